"""The AWD-LSTM of Merity et al. 2018, and, without its dropouts, the plain LSTM."""

from __future__ import annotations

from itertools import pairwise

from nas.language_model import LanguageModel
from nas.recurrent_cells import LSTMLayer
from training.specs import TextSpec


def awd_lstm(
    spec: TextSpec,
    *,
    embedding: int,
    hidden: int,
    layers: int,
    dropout_embedding: float = 0.0,
    dropout_input: float = 0.0,
    dropout_hidden: float = 0.0,
    dropout_output: float = 0.0,
    dropconnect: float = 0.0,
) -> LanguageModel:
    """Stacked LSTM layers E -> H -> ... -> H -> E between a tied embedding and decoder.

    See arXiv 1708.02182: sections 2 to 4 for the dropouts, section 5 for the sizes.

    Args:
        spec: of the text.
        embedding: E, width of the embedding and of the last layer.
        hidden: H, width of every other layer.
        layers: how many LSTM layers.
        dropout_embedding: of whole words, `dropoute` in the release.
        dropout_input: locked, on the embedded input, `dropouti`.
        dropout_hidden: locked, between layers, `dropouth`.
        dropout_output: locked, on the last layer's output, `dropout`.
        dropconnect: of the hidden-to-hidden weights of every layer, `wdrop`.
    """
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    return LanguageModel(
        spec.vocabulary,
        embedding,
        [LSTMLayer(inputs, outputs, dropconnect) for inputs, outputs in pairwise(widths)],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_hidden=dropout_hidden,
        dropout_output=dropout_output,
    )
