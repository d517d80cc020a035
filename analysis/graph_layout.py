"""Where the parts of a drawn graph stand: layers from left to right, few crossings, straight edges.

The way of Sugiyama, Tagawa & Toda 1981 ("Methods for visual understanding of hierarchical system
structures"): layers by longest path, an edge over several layers passes through a place of its own
in each of them, orders within layers by barycentres, then coordinates. The edges of one source share
their places, so that they run together and fork late.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from analysis.graphs import Graph, Item, Row, is_plain, layer_of, rows_of, segments

ROW = 0.25  # inches: height of one operation, of an input and of the output
PASS = 0.08  # height that is kept free for a passing edge
SPACE = 0.16  # between two that stand above one another
SWEEPS = 60
# How much an edge wants to be straight, by how many of its ends are passing ones.
STRAIGHT = (1.0, 2.0, 12.0)
_SIDES = (False, True)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the parts of a graph stand.

    Attributes:
        layers: the items of each layer, from the lowest to the highest.
        heights: item -> y of its middle, in inches from the lowest edge of anything.
        columns: vertex -> its layer.
        rows: vertex -> its operations (source, operation), from the lowest to the highest.
        height: of everything, in inches.
    """

    layers: tuple[tuple[Item, ...], ...]
    heights: Mapping[Item, float]
    columns: tuple[int, ...]
    rows: Mapping[int, tuple[Row, ...]]
    height: float

    def port(self, vertex: int, row: int) -> float:
        """The y where the edge of an operation enters a vertex."""
        return self.heights[vertex, self.columns[vertex]] + _offset(self.rows[vertex], row)


def lay_out(graph: Graph) -> Layout:
    """Place every vertex and every passing edge."""
    edges = segments(graph)
    order = _ordered(_first_order(graph, edges), edges)
    heights = {item: float(position) for layer in order for position, item in enumerate(layer)}
    rows = {index: rows_of(vertex) for index, vertex in enumerate(graph.vertices)}
    layers = layer_of(graph)
    tall = {item: _tall(rows[item[0]]) if layers[item[0]] == item[1] else PASS for item in heights}
    for sweep in range(SWEEPS):
        rows = _sorted_rows(rows, layers, heights)
        for layer in order if sweep % 2 else order[::-1]:
            heights |= _spread(layer, _targets(rows, layers, heights), tall)
    lowest = min(heights[item] - tall[item] / 2 for item in heights)
    heights = {item: y - lowest for item, y in heights.items()}
    return Layout(
        layers=tuple(map(tuple, order)),
        heights=heights,
        columns=layers,
        rows=_sorted_rows(rows, layers, heights),
        height=max(heights[item] + tall[item] / 2 for item in heights),
    )


def crossings(layers: Sequence[Sequence[Item]], edges: Iterable[tuple[Item, Item]]) -> int:
    """How many pairs of edges cross between neighbouring layers of the given orders."""
    position = {item: at for layer in layers for at, item in enumerate(layer)}
    between: dict[int, list[tuple[int, int]]] = {}
    for start, end in edges:
        between.setdefault(end[1], []).append((position[start], position[end]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for pairs in between.values()
        for i, a in enumerate(pairs)
        for b in pairs[:i]
    )


def _tall(rows: Sequence[Row]) -> float:
    return ROW if is_plain(rows) else ROW * len(rows)


def _offset(rows: Sequence[Row], row: int) -> float:
    return 0.0 if is_plain(rows) else ROW * (row - (len(rows) - 1) / 2)


def _first_order(graph: Graph, edges: Iterable[tuple[Item, Item]]) -> list[list[Item]]:
    """Vertices in the order given, from the top, with what passes below them."""
    layers = layer_of(graph)
    items = dict.fromkeys((v, layers[v]) for v in range(len(layers)))
    items |= dict.fromkeys(item for edge in edges for item in edge)
    order: list[list[Item]] = [[] for _ in range(max(layers) + 1)]
    for item in reversed(items):
        order[item[1]].append(item)
    return order


def _ordered(order: list[list[Item]], edges: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """The best order that sweeps of barycentres, and then swaps of neighbours, come by."""
    best, least = order, crossings(order, edges)
    for sweep in range(SWEEPS):
        order = _by_barycentre(order, edges, forwards=sweep % 2 == 0)
        found = crossings(order, edges)
        if found < least:
            best, least = order, found
    return _swapped(best, edges)


def _by_barycentre(
    order: list[list[Item]], edges: Iterable[tuple[Item, Item]], *, forwards: bool
) -> list[list[Item]]:
    new = [list(layer) for layer in order]
    for layer in new[1:] if forwards else new[-2::-1]:
        position = {item: at / len(of) for of in new for at, item in enumerate(of)}
        near: dict[Item, list[float]] = {item: [] for item in layer}
        for start, end in edges:
            item, other = (end, start) if forwards else (start, end)
            if item in near:
                near[item].append(position[other])
        layer.sort(key=lambda item: np.mean(near[item]) if near[item] else position[item])
    return new


def _swapped(order: list[list[Item]], edges: Iterable[tuple[Item, Item]]) -> list[list[Item]]:
    """Swap neighbours while that saves crossings."""
    order = [list(layer) for layer in order]
    position = {item: at for layer in order for at, item in enumerate(layer)}
    near: dict[tuple[Item, bool], list[Item]] = {(i, side): [] for i in position for side in _SIDES}
    for start, end in edges:
        near[start, True].append(end)
        near[end, False].append(start)

    def crossed(lower: Item, upper: Item) -> int:
        return sum(
            position[a] > position[b]
            for side in _SIDES
            for a in near[lower, side]
            for b in near[upper, side]
        )

    better = True
    while better:
        better = False
        for layer in order:
            for at in range(len(layer) - 1):
                lower, upper = layer[at : at + 2]
                if crossed(upper, lower) < crossed(lower, upper):
                    layer[at : at + 2] = upper, lower
                    position[upper], position[lower] = at, at + 1
                    better = True
    return order


def _sorted_rows(
    rows: Mapping[int, tuple[Row, ...]], layers: Sequence[int], heights: Mapping[Item, float]
) -> dict[int, tuple[Row, ...]]:
    """The rows of each vertex in the order in which their edges arrive."""
    return {
        vertex: tuple(sorted(own, key=lambda row: heights[row[0], layers[vertex] - 1]))
        for vertex, own in rows.items()
    }


def _targets(
    rows: Mapping[int, tuple[Row, ...]], layers: Sequence[int], heights: Mapping[Item, float]
) -> dict[Item, tuple[float, float]]:
    """Item -> (the y at which its edges would be straightest, how much it wants to be there)."""
    # A little of where it is, for what has no edge.
    pulls = {item: [(y, 1e-3)] for item, y in heights.items()}
    for start, end, offset in _edges(rows, layers, heights):
        pull = STRAIGHT[sum(layer > layers[vertex] for vertex, layer in (start, end))]
        pulls[start].append((heights[end] + offset, pull))
        pulls[end].append((heights[start] - offset, pull))
    totals = {item: sum(pull for _, pull in own) for item, own in pulls.items()}
    return {
        item: (sum(y * pull for y, pull in own) / totals[item], totals[item])
        for item, own in pulls.items()
    }


def _edges(
    rows: Mapping[int, tuple[Row, ...]], layers: Sequence[int], items: Iterable[Item]
) -> Iterator[tuple[Item, Item, float]]:
    """Each part of an edge, and how far above the middle of its end it arrives."""
    for vertex, own in rows.items():
        for at, (source, _) in enumerate(own):
            yield (source, layers[vertex] - 1), (vertex, layers[vertex]), _offset(own, at)
    for vertex, layer in items:
        if layer > layers[vertex]:
            yield (vertex, layer - 1), (vertex, layer), 0.0


def _spread(
    layer: Sequence[Item], targets: Mapping[Item, tuple[float, float]], tall: Mapping[Item, float]
) -> dict[Item, float]:
    """The nearest heights to the targets at which nothing in the layer overlaps."""
    steps = [(tall[a] + tall[b]) / 2 + SPACE for a, b in itertools.pairwise(layer)]
    base = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.array([targets[item][0] for item in layer]) - base
    fitted = isotonic_regression(wanted, weights=[targets[item][1] for item in layer]).x
    return dict(zip(layer, (fitted + base).tolist(), strict=True))
