"""Layers, orders and heights of drawn graphs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.graph_layout import PASS, ROW, SPACE, Layout, crossings, lay_out
from analysis.graphs import Graph, Item, Vertex, segments
from tests.small_graphs import graph


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 9))
    nodes = [
        tuple(draw(st.lists(st.integers(0, index - 1), min_size=1, max_size=3)))
        for index in range(2, count + 2)
    ]
    return graph((), (), *nodes)


def tall(layout: Layout, item: Item) -> float:
    vertex, layer = item
    return ROW * max(1, len(layout.rows[vertex])) if layout.columns[vertex] == layer else PASS


def test_crossings_are_counted() -> None:
    edges = [((0, 0), (2, 1)), ((1, 0), (3, 1)), ((0, 0), (3, 1))]
    left: list[Item] = [(0, 0), (1, 0)]
    assert crossings([left, [(2, 1), (3, 1)]], edges) == 0
    assert crossings([left, [(3, 1), (2, 1)]], edges) == 1


def test_what_can_be_drawn_without_crossings_is() -> None:
    # Two strands, the vertices of the second layer given the wrong way round.
    found = graph((), (), (1,), (0,), (2,), (3,))
    assert crossings(lay_out(found).layers, segments(found)) == 0


def test_a_lone_chain_is_straight() -> None:
    layout = lay_out(graph((), (0,), (1,), (2,)))
    assert list(layout.heights.values()) == pytest.approx([ROW / 2] * 4)
    assert layout.height == pytest.approx(ROW)


def test_operations_stand_in_the_order_in_which_their_edges_arrive() -> None:
    layout = lay_out(graph((), (), (0, 1, 0)))
    lower, upper = sorted((0, 1), key=lambda vertex: layout.heights[vertex, 0])
    assert [source for source, _ in layout.rows[2]] == sorted((0, 1, 0), key=(lower, upper).index)
    ports = [layout.port(2, row) for row in range(3)]
    assert [b - a for a, b in itertools.pairwise(ports)] == pytest.approx([ROW, ROW])


def test_plain_edges_arrive_at_one_place() -> None:
    end = Vertex(name="concat", inputs=((0, ""), (1, "")))
    layout = lay_out(Graph(title="", vertices=(Vertex(name="a"), Vertex(name="b"), end)))
    assert layout.port(2, 0) == layout.port(2, 1) == layout.heights[2, 1]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_nothing_overlaps_and_nothing_is_lost(found: Graph) -> None:
    layout = lay_out(found)
    placed = {item for layer in layout.layers for item in layer}
    assert placed == set(layout.heights) >= {item for edge in segments(found) for item in edge}
    assert {vertex for vertex, _ in placed} == set(range(len(found.vertices)))
    for column, layer in enumerate(layout.layers):
        assert {at for _, at in layer} == {column}
        for lower, upper in itertools.pairwise(layer):
            apart = (tall(layout, lower) + tall(layout, upper)) / 2 + SPACE
            assert layout.heights[upper] - layout.heights[lower] >= apart - 1e-9
    edges = [(y - tall(layout, i) / 2, y + tall(layout, i) / 2) for i, y in layout.heights.items()]
    assert min(low for low, _ in edges) == pytest.approx(0)
    assert max(high for _, high in edges) == pytest.approx(layout.height)
    for index, vertex in enumerate(found.vertices):
        assert sorted(layout.rows[index]) == sorted(vertex.inputs)


@given(graphs())
@settings(max_examples=20, deadline=None)
def test_the_same_graph_is_laid_out_the_same(found: Graph) -> None:
    assert lay_out(found) == lay_out(found)
