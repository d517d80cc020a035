"""Genotypes from and to the rows of integers that ENAS, NAO and enas_lm write; torch-free.

Each source numbers its operations in its own way; the numberings are the constants below.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from nas.genotypes import (
    MAX_LAYERS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    Edge,
    Layer,
    LayerwiseGenotype,
    RecurrentGenotype,
    loose_ends,
    recurrent_loose_ends,
)
from nas.integer_rows import IntegerRow

# ENAS micro space, `micro_child.py` of melodyguan/enas.
ENAS_MICRO_OPERATIONS = {
    0: "separable-3x3",
    1: "separable-5x5",
    2: "average-3x3",
    3: "max-3x3",
    4: "identity",
}
# ENAS macro space, README and `general_child.py` of melodyguan/enas.
ENAS_MACRO_OPERATIONS = {
    0: "convolution-3x3",
    1: "separable-3x3",
    2: "convolution-5x5",
    3: "separable-5x5",
    4: "average-3x3",
    5: "max-3x3",
}
# NAO, `operations.py` of NAO_pytorch: 0 to 4 with weight sharing, 5 to 15 without. Of the averages,
# 14 and 15 count padded pixels and 2 does not; identity and max-3x3 have two numbers.
NAO_OPERATIONS = {
    **ENAS_MICRO_OPERATIONS,
    5: "identity",
    6: "convolution-1x1",
    7: "convolution-3x3",
    8: "convolution-1x3-3x1",
    9: "convolution-1x7-7x1",
    10: "max-2x2",
    11: "max-3x3",
    12: "max-5x5",
    13: "average-2x2",
    14: "average-3x3-padded",
    15: "average-5x5-padded",
}
# ENAS recurrent space, `ptb_enas_child.py` of melodyguan/enas.
ENAS_RNN_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "identity", 3: "sigmoid"}
# The same space in google-research/enas_lm, whose 2 and 3 are the other way round.
ENAS_LM_ACTIVATIONS = {0: "tanh", 1: "relu", 2: "sigmoid", 3: "identity"}


def parse_enas_micro(text: str) -> ConvCellGenotype:
    """Read the ENAS micro text: the normal cell, then the reduction cell, four integers a node.

    A node is `input operation input operation`; operations are numbered as in
    `ENAS_MICRO_OPERATIONS`. The loose ends are the output.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    return _parse_cells("ENAS micro", text, ENAS_MICRO_OPERATIONS)


def print_enas_micro(genotype: ConvCellGenotype) -> str:
    """The ENAS micro text of a genotype, see `parse_enas_micro`.

    Raises:
        ValueError: the text can't say it: cells of unequal size, an output other than the loose
            ends, or an operation without a number.
    """
    return _print_cells("ENAS micro", genotype, ENAS_MICRO_OPERATIONS)


def parse_nao(text: str) -> ConvCellGenotype:
    """Read the NAO text, `--arch` of NAO_pytorch: as ENAS micro, numbered by `NAO_OPERATIONS`.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    return _parse_cells("NAO", text, NAO_OPERATIONS)


def print_nao(genotype: ConvCellGenotype) -> str:
    """The NAO text of a genotype, see `parse_nao`.

    Of an operation with two numbers the lower one is written where all operations are among 0 to 4,
    else the higher one.

    Raises:
        ValueError: the text can't say it: cells of unequal size, an output other than the loose
            ends, or an operation without a number.
    """
    shared = set(ENAS_MICRO_OPERATIONS.values())
    if {operation for _, operation in _edges(genotype)} <= shared:
        return _print_cells("NAO", genotype, ENAS_MICRO_OPERATIONS)
    return _print_cells("NAO", genotype, NAO_OPERATIONS)


def parse_enas_macro(text: str) -> LayerwiseGenotype:
    """Read the ENAS macro text: for layer i from 1 its operation, then i - 1 bits.

    Bit j, counted from 0, says whether output j (0 is the stem, j the j-th layer) is a skip into the
    layer; its direct input, output i - 1, has no bit. L layers are L + L (L - 1) / 2 integers;
    operations are numbered as in `ENAS_MACRO_OPERATIONS`.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = IntegerRow.read("ENAS macro", text)
    count = (math.isqrt(8 * len(row.numbers) + 1) - 1) // 2
    if count < 1 or count * (count + 1) // 2 != len(row.numbers):
        raise row.wrong_length("1 for the first layer and 1 more for each further one: 1, 3, 6, 10")
    if count > MAX_LAYERS:
        raise row.too_many(count, "layers", MAX_LAYERS)
    return LayerwiseGenotype(layers=tuple(_parse_layer(row, index) for index in range(count)))


def print_enas_macro(genotype: LayerwiseGenotype) -> str:
    """The ENAS macro text of a genotype, see `parse_enas_macro`."""
    numbers = _numbers(ENAS_MACRO_OPERATIONS)
    return _join(
        number
        for index, layer in enumerate(genotype.layers)
        for number in (
            numbers[layer.operation],
            *(int(output in layer.skips) for output in range(index)),
        )
    )


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
    nodes = _parse_recurrent_nodes(row, start=1, nodes=count, numbering=ENAS_RNN_ACTIVATIONS)
    return RecurrentGenotype(first=first, nodes=nodes, output=recurrent_loose_ends(nodes))


def print_enas_rnn(genotype: RecurrentGenotype) -> str:
    """The melodyguan/enas text of a genotype, see `parse_enas_rnn`.

    Raises:
        ValueError: the output is not the loose ends, which the text can't say.
    """
    if genotype.output != recurrent_loose_ends(genotype.nodes):
        raise ValueError("the ENAS recurrent text needs the loose ends as output")
    first = _numbers(ENAS_RNN_ACTIVATIONS)[genotype.first]
    return _join([first, *_recurrent_numbers(genotype, ENAS_RNN_ACTIVATIONS)])


def parse_enas_lm(text: str) -> RecurrentGenotype:
    """Read the text of enas_lm: `previous activation` per searched node.

    The first transform is always tanh and is not in the text. Activations are numbered as in
    `ENAS_LM_ACTIVATIONS`; the output is the mean of all searched nodes.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = IntegerRow.read("enas_lm", text)
    # State 0, which the text leaves out, is one of the nodes of the cell.
    most = MAX_NODES - 1
    count = row.count("nodes", per_part=2, extra=0, form="2 for each node", most=most)
    nodes = _parse_recurrent_nodes(row, start=0, nodes=count, numbering=ENAS_LM_ACTIVATIONS)
    return RecurrentGenotype(first="tanh", nodes=nodes, output=_searched(nodes))


def print_enas_lm(genotype: RecurrentGenotype) -> str:
    """The enas_lm text of a genotype, see `parse_enas_lm`.

    Raises:
        ValueError: the first activation is not tanh, there is no node, or the output is not all
            searched nodes.
    """
    if genotype.first != "tanh" or genotype.output != _searched(genotype.nodes):
        raise ValueError("the enas_lm text needs tanh first and all searched nodes as output")
    return _join(_recurrent_numbers(genotype, ENAS_LM_ACTIVATIONS))


def _parse_cells(kind: str, text: str, numbering: Mapping[int, str]) -> ConvCellGenotype:
    row = IntegerRow.read(kind, text)
    form = "8 for each node, half of them per cell"
    count = row.count("nodes", per_part=8, extra=0, form=form, most=MAX_NODES)
    normal = _parse_cell(row, start=0, nodes=count, numbering=numbering)
    reduction = _parse_cell(row, start=4 * count, nodes=count, numbering=numbering)
    return ConvCellGenotype(normal=normal, reduction=reduction)


def _parse_cell(
    row: IntegerRow, *, start: int, nodes: int, numbering: Mapping[int, str]
) -> CellGraph:
    def edge(index: int, states: int) -> Edge:
        return row.source(index, states), row.word(index + 1, "an operation", numbering)

    graph = tuple(
        (edge(start + 4 * n, n + 2), edge(start + 4 * n + 2, n + 2)) for n in range(nodes)
    )
    return CellGraph(nodes=graph, output=loose_ends(graph))


def _print_cells(kind: str, genotype: ConvCellGenotype, numbering: Mapping[int, str]) -> str:
    if len(genotype.normal.nodes) != len(genotype.reduction.nodes):
        raise ValueError(f"the {kind} text needs two cells with the same number of nodes")
    for graph in (genotype.normal, genotype.reduction):
        if graph.output != loose_ends(graph.nodes):
            raise ValueError(f"the {kind} text needs the loose ends as output")
    numbers = _numbers(numbering)
    for _, operation in _edges(genotype):
        if operation not in numbers:
            raise ValueError(f"the {kind} text has no number for {operation}")
    return _join(
        number for source, operation in _edges(genotype) for number in (source, numbers[operation])
    )


def _edges(genotype: ConvCellGenotype) -> list[Edge]:
    graphs = (genotype.normal, genotype.reduction)
    return [edge for graph in graphs for node in graph.nodes for edge in node]


def _parse_layer(row: IntegerRow, index: int) -> Layer:
    start = index * (index + 1) // 2
    operation = row.word(start, "an operation", ENAS_MACRO_OPERATIONS)
    bits = [row.bit(start + 1 + output, "a skip") for output in range(index)]
    return Layer(operation=operation, skips=tuple(output for output, bit in enumerate(bits) if bit))


def _parse_recurrent_nodes(
    row: IntegerRow, *, start: int, nodes: int, numbering: Mapping[int, str]
) -> tuple[tuple[int, str], ...]:
    return tuple(
        (
            row.source(start + 2 * n, states=n + 1),
            row.word(start + 2 * n + 1, "an activation", numbering),
        )
        for n in range(nodes)
    )


def _recurrent_numbers(genotype: RecurrentGenotype, numbering: Mapping[int, str]) -> list[int]:
    numbers = _numbers(numbering)
    return [n for previous, word in genotype.nodes for n in (previous, numbers[word])]


def _searched(nodes: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    return tuple(range(1, len(nodes) + 1))


def _numbers(numbering: Mapping[int, str]) -> dict[str, int]:
    """Word -> number; of two numbers the higher."""
    return {word: number for number, word in numbering.items()}


def _join(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))
