"""The language model around a searched recurrent cell, as each source's release starts and ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import SearchedRecurrentCell
from nas.recurrent.language_model import LanguageModel
from training.errors import chosen
from training.specs import TextSpec


@dataclass(frozen=True)
class Release:
    """What a source's language model around a searched cell has its own way.

    Attributes:
        bound: width of the layers -> every weight, the tied embedding among them, is uniform within it at first.
        bias: whether the decoder has one, 0 at first.
    """

    bound: Callable[[int], float]
    bias: bool


RELEASES: dict[str, Release] = {
    # `_build_params` and `_get_log_probs` of ptb_enas_child.py in melodyguan/enas.
    "enas": Release(
        bound=lambda hidden: 0.1 if hidden <= 300 else 0.05 if hidden <= 400 else 0.04, bias=False
    ),
    # `child_init_range` and `_forward` of src/fixed_lib.py in google-research/enas_lm.
    "enas_lm": Release(bound=lambda hidden: 0.05, bias=False),
    # `INITRANGE` and `init_weights` of rnn/model.py in quark0/darts, and of its copies NAO/rnn and NAO-WS/rnn.
    "darts": Release(bound=lambda hidden: 0.04, bias=True),
}


def searched_language_model(
    spec: TextSpec,
    *,
    genotype: RecurrentGenotype,
    hidden: int,
    dropout_embedding: float,
    dropout_input: float,
    dropout_cell_input: float,
    dropout_cell_state: float,
    dropout_output: float,
    release: str = "enas",
) -> LanguageModel:
    """A searched recurrent cell between a tied embedding and decoder, all `hidden` wide.

    The five dropouts are those of enas_lm (src/fixed_lib.py), DARTS and NAO (rnn/model.py, the same
    in both), each with one mask for all time steps of a forward. ENAS (`ptb_enas_child.py`) has four:
    its `e_keep` drops positions, each for one sequence, and later repetitions of the word with them,
    where `dropout_embedding` drops a word everywhere.

    Args:
        spec: of the text.
        genotype: the cell.
        hidden: width of the embedding and of every state.
        dropout_embedding: of whole words, `drop_e` in enas_lm, `dropoute` in DARTS and NAO.
        dropout_input: locked, on the embedded input, `drop_i`, `dropouti`.
        dropout_cell_input: one mask on what the cell reads, `drop_x`, `dropoutx`.
        dropout_cell_state: one mask on the states of all nodes, `drop_l`, `dropouth`.
        dropout_output: locked, on the cell's output, `drop_o`, `dropout`.
        release: whose start and decoder it has, a word of `RELEASES`.
    """
    way = chosen("release", release, RELEASES)
    bound = way.bound(hidden)
    cell = SearchedRecurrentCell(
        genotype, hidden, hidden, dropout_cell_input, dropout_cell_state, bound
    )
    return LanguageModel(
        spec.vocabulary,
        hidden,
        [cell],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_output=dropout_output,
        bias=way.bias,
        bound=bound,
    )
