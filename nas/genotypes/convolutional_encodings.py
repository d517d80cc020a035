"""Convolutional genotypes from and to the rows of integers that ENAS and NAO write; torch-free.

Each source numbers its operations in its own way; the numberings are the constants below. Recurrent
genotypes are in `nas.genotypes.recurrent_encodings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from nas.genotypes.integer_rows import IntegerRow, numbers_of, written
from nas.genotypes.values import (
    MAX_LAYERS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    Edge,
    Layer,
    LayerwiseGenotype,
    loose_ends,
)

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
    numbers = numbers_of(ENAS_MACRO_OPERATIONS)
    return written(
        number
        for index, layer in enumerate(genotype.layers)
        for number in (
            numbers[layer.operation],
            *(int(output in layer.skips) for output in range(index)),
        )
    )


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
    numbers = numbers_of(numbering)
    for _, operation in _edges(genotype):
        if operation not in numbers:
            raise ValueError(f"the {kind} text has no number for {operation}")
    return written(
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
