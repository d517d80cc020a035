"""Hypothesis strategies for genotypes and for texts that are nearly one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from nas.genotypes.convolutional_encodings import ENAS_MACRO_OPERATIONS
from nas.genotypes.values import (
    ACTIVATIONS,
    CellGraph,
    ConvCellGenotype,
    Layer,
    LayerwiseGenotype,
    loose_ends,
    unread_nodes,
)


@st.composite
def cells(
    draw: st.DrawFn, operations: Sequence[str], nodes: int, any_output: bool = False
) -> CellGraph:
    """Cells of so many nodes; with `any_output` more than the loose ends may be the output."""
    graph = []
    for states in range(2, nodes + 2):
        edge = st.tuples(st.integers(0, states - 1), st.sampled_from(operations))
        graph.append((draw(edge), draw(edge)))
    output = set(loose_ends(graph))
    if any_output:
        output = draw(st.sets(st.integers(0, nodes + 1), min_size=1))
        output |= set(unread_nodes(graph, output))
    return CellGraph(nodes=tuple(graph), output=tuple(sorted(output)))


@st.composite
def pairs_of_cells(draw: st.DrawFn, operations: Sequence[str]) -> ConvCellGenotype:
    """Two cells with the same number of nodes, their loose ends the output."""
    nodes = draw(st.integers(1, 7))
    normal, reduction = (draw(cells(operations, nodes)) for _ in range(2))
    return ConvCellGenotype(normal=normal, reduction=reduction)


@st.composite
def layerwise_genotypes(draw: st.DrawFn) -> LayerwiseGenotype:
    """Networks of a few layers of the ENAS macro space."""
    words = st.sampled_from(list(ENAS_MACRO_OPERATIONS.values()))
    layers = []
    for index in range(draw(st.integers(1, 6))):
        skips = draw(st.sets(st.integers(0, index - 1))) if index else set()
        layers.append(Layer(operation=draw(words), skips=tuple(sorted(skips))))
    return LayerwiseGenotype(layers=tuple(layers))


def rows() -> st.SearchStrategy[str]:
    """Rows of small integers, most of them wrong."""
    return st.lists(st.integers(0, 16), max_size=24).map(lambda row: " ".join(map(str, row)))


@st.composite
def recurrent_nodes(draw: st.DrawFn, least: int) -> tuple[tuple[int, str], ...]:
    """Nodes of a recurrent cell, each with its previous state and its activation."""
    count = draw(st.integers(least, 12))
    words = st.sampled_from(sorted(ACTIVATIONS))
    return tuple((draw(st.integers(0, index)), draw(words)) for index in range(count))
