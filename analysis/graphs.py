"""Graphs of operations, ready to be drawn: plain values that know nothing of networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Item = tuple[int, int]  # (vertex, layer): the vertex itself, or its edges where they pass a layer
Row = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Vertex:
    """One vertex of a graph.

    Attributes:
        name: its label.
        inputs: (index of a vertex before this one, operation on the edge); an edge without
            operation has "". There are none at an input of the graph.
    """

    name: str
    inputs: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph of operations, ready to be drawn.

    Attributes:
        title: a line above the drawing.
        note: a smaller line below the title; may be empty.
        vertices: every vertex after those that it reads.
    """

    title: str
    vertices: tuple[Vertex, ...]
    note: str = ""

    def __post_init__(self) -> None:
        for index, vertex in enumerate(self.vertices):
            for source, _ in vertex.inputs:
                if not 0 <= source < index:
                    raise ValueError(f"vertex {index} reads {source}, which is not before it")


def layer_of(graph: Graph) -> tuple[int, ...]:
    """The layer of each vertex: the length of the longest path to it."""
    layers: list[int] = []
    for vertex in graph.vertices:
        layers.append(max((layers[source] + 1 for source, _ in vertex.inputs), default=0))
    return tuple(layers)


def segments(graph: Graph) -> tuple[tuple[Item, Item], ...]:
    """The parts of the edges between neighbouring layers; an edge to a row counts once per row."""
    layers = layer_of(graph)
    found: list[tuple[Item, Item]] = []
    passing: set[Item] = set()
    for index, vertex in enumerate(graph.vertices):
        for source, _ in rows_of(vertex):
            found.append(((source, layers[index] - 1), (index, layers[index])))
            passing |= {(source, at) for at in range(layers[source] + 1, layers[index])}
    return (*found, *(((source, at - 1), (source, at)) for source, at in sorted(passing)))


def rows_of(vertex: Vertex) -> tuple[Row, ...]:
    """What is read, in the order given; plain edges of one source are one."""
    return tuple(dict.fromkeys(vertex.inputs)) if is_plain(vertex.inputs) else vertex.inputs


def is_plain(rows: Iterable[Row]) -> bool:
    """Whether there are no operations: an input, or an output that only gathers."""
    return not any(operation for _, operation in rows)
