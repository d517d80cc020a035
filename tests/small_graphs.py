"""Graphs to lay out and draw."""

from __future__ import annotations

from analysis.graphs import Graph, Vertex


def graph(*inputs: tuple[int, ...]) -> Graph:
    """A graph from what each vertex reads."""
    vertices = tuple(
        Vertex(name=str(index), inputs=tuple((source, "identity") for source in sources))
        for index, sources in enumerate(inputs)
    )
    return Graph(title="a graph", vertices=vertices)
