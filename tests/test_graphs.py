"""Layers of drawn graphs, and what their edges pass."""

from __future__ import annotations

import pytest

from analysis.graphs import Vertex, is_plain, layer_of, rows_of, segments
from tests.small_graphs import graph

# 0 -> 1 -> 2 -> 3, and 0 -> 2, 0 -> 3 past the layers between.
CHAIN = graph((), (0,), (1, 0), (2, 0))


def test_a_layer_is_the_longest_path() -> None:
    assert layer_of(CHAIN) == (0, 1, 2, 3)
    assert layer_of(graph((), (), (0, 1), (0, 2), (1,))) == (0, 0, 1, 2, 1)


def test_long_edges_of_one_source_share_their_way() -> None:
    assert sorted(segments(CHAIN)) == [
        ((0, 0), (0, 1)),
        ((0, 0), (1, 1)),
        ((0, 1), (0, 2)),
        ((0, 1), (2, 2)),
        ((0, 2), (3, 3)),
        ((1, 1), (2, 2)),
        ((2, 2), (3, 3)),
    ]


def test_a_vertex_reads_only_what_is_before_it() -> None:
    with pytest.raises(ValueError, match="vertex 1 reads 1, which is not before it"):
        graph((), (1,))


def test_plain_edges_of_one_source_are_one() -> None:
    plain = Vertex(name="concat", inputs=((0, ""), (0, ""), (1, "")))
    twice = Vertex(name="2", inputs=((0, "identity"), (0, "identity")))
    assert is_plain(plain.inputs)
    assert is_plain(())
    assert not is_plain(twice.inputs)
    assert rows_of(plain) == ((0, ""), (1, ""))
    assert rows_of(twice) == twice.inputs
