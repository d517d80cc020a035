"""Recurrent genotypes from and to the rows of integers of ENAS, enas_lm and NAO; torch-free.

Each release numbers its activations in its own way, and the output is the mean of the loose ends in
one and of all searched nodes in the others:

    release               first activation   2          3          output
    ENAS                  in the text        identity   sigmoid    loose ends
    enas_lm, NAO-WS       tanh               sigmoid    identity   all searched nodes
    NAO                   tanh               identity   sigmoid    all searched nodes

The recurrent form of DARTS, which writes words, is in `nas.genotypes.darts_encoding`.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.genotypes.integer_rows import IntegerRow, numbers_of, written
from nas.genotypes.values import MAX_NODES, RecurrentGenotype, recurrent_loose_ends

# `ptb_enas_child.py` of melodyguan/enas.
ENAS_RNN_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "identity", 3: "sigmoid"}
# `src/fixed_lib.py` of google-research/enas_lm: 2 and 3 are the other way round.
ENAS_LM_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "sigmoid", 3: "identity"}
# `parse_arch` in NAO/rnn/utils.py of renqianluo/NAO.
NAO_RNN_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "identity", 3: "sigmoid"}
# `_get_activation` in NAO-WS/rnn/model.py of the same repository.
NAO_WS_RNN_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "sigmoid", 3: "identity"}


def parse_enas_rnn(text: str) -> RecurrentGenotype:
    """Read the recurrent text of melodyguan/enas.

    It is the first activation, then `previous activation` for each further node. Activations are
    numbered as in `ENAS_RNN_ACTIVATIONS`; the output is the mean of the loose ends.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = IntegerRow.read("ENAS recurrent", text)
    form = "1 and 2 for each further node"
    count = row.count("nodes", per_part=2, extra=1, form=form, most=MAX_NODES)
    first = row.word(0, "an activation", ENAS_RNN_ACTIVATIONS)
    nodes = _parse_nodes(row, start=1, nodes=count, numbering=ENAS_RNN_ACTIVATIONS)
    return RecurrentGenotype(first=first, nodes=nodes, output=recurrent_loose_ends(nodes))


def print_enas_rnn(genotype: RecurrentGenotype) -> str:
    """The melodyguan/enas text of a genotype, see `parse_enas_rnn`.

    Raises:
        ValueError: the output is not the loose ends, which the text can't say.
    """
    if genotype.output != recurrent_loose_ends(genotype.nodes):
        raise ValueError("the ENAS recurrent text needs the loose ends as output")
    first = numbers_of(ENAS_RNN_ACTIVATIONS)[genotype.first]
    return written([first, *_node_numbers(genotype, ENAS_RNN_ACTIVATIONS)])


def parse_enas_lm(text: str) -> RecurrentGenotype:
    """Read the text of enas_lm: `previous activation` per searched node.

    The first transform is always tanh and is not in the text. Activations are numbered as in
    `ENAS_LM_ACTIVATIONS`; the output is the mean of all searched nodes.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    return _parse_searched("enas_lm", text, ENAS_LM_ACTIVATIONS)


def print_enas_lm(genotype: RecurrentGenotype) -> str:
    """The enas_lm text of a genotype, see `parse_enas_lm`.

    Raises:
        ValueError: the first activation is not tanh, there is no node, or the output is not all
            searched nodes.
    """
    return _print_searched("enas_lm", genotype, ENAS_LM_ACTIVATIONS)


def parse_nao_rnn(text: str) -> RecurrentGenotype:
    """Read `--arch` of NAO/rnn/train.py: as enas_lm, numbered by `NAO_RNN_ACTIVATIONS`.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    return _parse_searched("NAO recurrent", text, NAO_RNN_ACTIVATIONS)


def print_nao_rnn(genotype: RecurrentGenotype) -> str:
    """The NAO text of a genotype, see `parse_nao_rnn`.

    Raises:
        ValueError: the first activation is not tanh, there is no node, or the output is not all
            searched nodes.
    """
    return _print_searched("NAO recurrent", genotype, NAO_RNN_ACTIVATIONS)


def parse_nao_ws_rnn(text: str) -> RecurrentGenotype:
    """Read `--arch` of NAO-WS/rnn/train.py: as enas_lm, numbered by `NAO_WS_RNN_ACTIVATIONS`.

    This is how the cell is retrained; the search that found it averages state 0 too
    (NAO-WS/rnn/model_search.py).

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    return _parse_searched("NAO-WS recurrent", text, NAO_WS_RNN_ACTIVATIONS)


def print_nao_ws_rnn(genotype: RecurrentGenotype) -> str:
    """The NAO-WS text of a genotype, see `parse_nao_ws_rnn`.

    Raises:
        ValueError: the first activation is not tanh, there is no node, or the output is not all
            searched nodes.
    """
    return _print_searched("NAO-WS recurrent", genotype, NAO_WS_RNN_ACTIVATIONS)


def _parse_searched(kind: str, text: str, numbering: Mapping[int, str]) -> RecurrentGenotype:
    row = IntegerRow.read(kind, text)
    # State 0, which the text leaves out, is one of the nodes of the cell.
    most = MAX_NODES - 1
    count = row.count("nodes", per_part=2, extra=0, form="2 for each node", most=most)
    nodes = _parse_nodes(row, start=0, nodes=count, numbering=numbering)
    return RecurrentGenotype(first="tanh", nodes=nodes, output=_searched(nodes))


def _print_searched(kind: str, genotype: RecurrentGenotype, numbering: Mapping[int, str]) -> str:
    if genotype.first != "tanh" or genotype.output != _searched(genotype.nodes):
        raise ValueError(f"the {kind} text needs tanh first and all searched nodes as output")
    return written(_node_numbers(genotype, numbering))


def _parse_nodes(
    row: IntegerRow, *, start: int, nodes: int, numbering: Mapping[int, str]
) -> tuple[tuple[int, str], ...]:
    return tuple(
        (
            row.source(start + 2 * n, states=n + 1),
            row.word(start + 2 * n + 1, "an activation", numbering),
        )
        for n in range(nodes)
    )


def _node_numbers(genotype: RecurrentGenotype, numbering: Mapping[int, str]) -> list[int]:
    numbers = numbers_of(numbering)
    return [n for previous, word in genotype.nodes for n in (previous, numbers[word])]


def _searched(nodes: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    return tuple(range(1, len(nodes) + 1))
