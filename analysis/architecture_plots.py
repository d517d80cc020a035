"""Architectures as figures: cells as graphs of operations, layer by layer networks as a chain.

One inch of a drawing is one inch on paper, so that its letters keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.graph_layout import Layout, lay_out
from analysis.graphs import Graph, is_plain
from analysis.shapes import (
    BOX,
    HEAD,
    INK,
    MARGIN,
    RADIUS,
    Point,
    arrow_head,
    box_width,
    curve,
    heading,
    line,
    numbered_circle,
    operation_box,
    operation_label,
    page,
    plain_box,
    text_width,
)
from analysis.theme import GREY, NETWORKS, WIDTH, paper

JOIN = 0.12  # inches between the boxes of a node and its circle
GAP = (0.28, 0.8)  # inches between two layers, for their edges: at least, and at most
ROW = 0.29  # inches between two layers of a chain
LANE = 0.14  # inches between the lines of two skips
APART = 0.045  # inches between what a layer of a chain gives and what it takes


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A network layer by layer, ready to be drawn.

    Attributes:
        title: a line above the drawing.
        note: a smaller line below the title; may be empty.
        first: the name of output 0, which the first layer reads.
        layers: (operation, skips) of each; output j is that of the j-th layer, counted from 1.
    """

    title: str
    first: str
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    note: str = ""


def draw_graphs(graphs: Sequence[Graph]) -> Figure:
    """Graphs below one another: inputs on the left, operations in boxes, the output on the right.

    A node is a circle with its number, behind the boxes of what it adds up.
    """
    with paper():
        drawings = [_Drawing.of(graph) for graph in graphs]
        height = sum(drawing.height for drawing in drawings)
        figure, axes = page(max(drawing.width for drawing in drawings), height)
        for drawing in drawings:
            height -= drawing.height
            drawing.draw(axes, height)
    return figure


def draw_chain(chain: Chain) -> Figure:
    """Layers below one another; on the right a line from each output down to those that join it.

    A dot on a line is a layer that joins that output; lines that cross without a dot don't touch.
    """
    boxes = max(box_width(operation_label(operation)) for operation, _ in chain.layers)
    left = MARGIN + 2 * RADIUS + JOIN
    lanes = skip_lanes(chain)
    right = left + boxes + 0.3 + LANE * max(lanes.values(), default=0)
    height = HEAD + ROW * (len(chain.layers) + 1) + MARGIN
    with paper():
        words = max(text_width(chain.title, size=8.5, weight="bold"), text_width(chain.note))
        figure, axes = page(max(right, MARGIN + words) + MARGIN, height)
        heading(axes, height, chain.title, chain.note)
        rows = [height - HEAD - ROW * (at + 0.5) for at in range(len(chain.layers) + 1)]
        plain_box(axes, left, rows[0], boxes, chain.first)
        for number, (operation, _) in enumerate(chain.layers, start=1):
            y = rows[number]
            line(axes, [(left + boxes / 2, rows[number - 1] - BOX / 2), (left + boxes / 2, y)])
            arrow_head(axes, left + boxes / 2, y + BOX / 2, 0, -1)
            operation_box(axes, left, y, boxes, operation)
            numbered_circle(axes, MARGIN + RADIUS, y, str(number))
        _draw_skips(axes, chain, rows, left + boxes)
    return figure


def skip_lanes(chain: Chain) -> dict[int, int]:
    """The lane of each output that is skipped to, from 0 at the layers; no two lines overlap."""
    last = {source: row for row, (_, skips) in enumerate(chain.layers, start=1) for source in skips}
    free: list[int] = []  # the row where each lane's newest line ends
    lanes: dict[int, int] = {}
    for source in sorted(last):
        lane = next((at for at, end in enumerate(free) if end < source), len(free))
        free[lane : lane + 1] = [last[source]]
        lanes[source] = lane
    return lanes


def _draw_skips(axes: Axes, chain: Chain, rows: Sequence[float], edge: float) -> None:
    lanes = skip_lanes(chain)
    readers = {
        source: [row for row, (_, skips) in enumerate(chain.layers, start=1) if source in skips]
        for source in lanes
    }
    x = {source: edge + 0.3 + LANE * lane for source, lane in lanes.items()}
    for row, (_, skips) in enumerate(chain.layers, start=1):
        if skips:
            y = rows[row] + APART
            line(axes, [(edge, y), (max(x[source] for source in skips), y)], "#bbbbbb")
            arrow_head(axes, edge, y, -1, 0, GREY)
    for at, source in enumerate(lanes):
        colour = NETWORKS[at % len(NETWORKS)].colour
        start, end = rows[source] - APART, rows[readers[source][-1]] + APART
        line(axes, [(edge, start), (x[source], start), (x[source], end)], colour)
        dots = [rows[row] + APART for row in readers[source]]
        axes.plot([x[source]] * len(dots), dots, "o", color=colour, markersize=3.2, zorder=4)


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """A laid out graph with the columns that its layers stand in, in inches."""

    graph: Graph
    layout: Layout
    lefts: tuple[float, ...]
    boxes: tuple[float, ...]
    widths: tuple[float, ...]

    @classmethod
    def of(cls, graph: Graph) -> _Drawing:
        """Lay a graph out and give each of its columns the width of its widest box."""
        layout = lay_out(graph)
        boxes, widths = [0.0] * len(layout.layers), [0.0] * len(layout.layers)
        for vertex, column in zip(graph.vertices, layout.columns, strict=True):
            plain = is_plain(vertex.inputs)
            labels = (
                [vertex.name] if plain else [operation_label(word) for _, word in vertex.inputs]
            )
            boxes[column] = max(boxes[column], *map(box_width, labels))
            widths[column] = max(
                widths[column], boxes[column] + (0 if plain else JOIN + 2 * RADIUS)
            )
        spare = WIDTH - 2 * MARGIN - sum(widths)
        gap = min(max(spare / max(len(widths) - 1, 1), GAP[0]), GAP[1])
        lefts = [MARGIN]
        for width in widths[:-1]:
            lefts.append(lefts[-1] + width + gap)
        return cls(
            graph=graph, layout=layout, lefts=tuple(lefts), boxes=tuple(boxes), widths=tuple(widths)
        )

    @property
    def width(self) -> float:
        """Inches, with the margins and the words above."""
        words = text_width(self.graph.title, size=8.5, weight="bold"), text_width(self.graph.note)
        return max(self.lefts[-1] + self.widths[-1], MARGIN + max(words)) + MARGIN

    @property
    def height(self) -> float:
        """Inches, with the margins and the words above."""
        return self.layout.height + HEAD + 2 * MARGIN

    def draw(self, axes: Axes, bottom: float) -> None:
        """Draw from the given height upwards."""
        heading(axes, bottom + self.height, self.graph.title, self.graph.note)
        bottom += MARGIN
        for (vertex, column), y in self.layout.heights.items():
            if column > self.layout.columns[vertex]:
                self._draw_passing(axes, vertex, column, bottom, bottom + y)
        for vertex in range(len(self.graph.vertices)):
            self._draw_arriving(axes, vertex, bottom)
            self._draw_vertex(axes, vertex, bottom)

    def _draw_passing(self, axes: Axes, vertex: int, column: int, bottom: float, y: float) -> None:
        """The edges of a vertex that go past a column, as one."""
        x = self.lefts[column]
        start = self._leaving(vertex, column - 1, bottom)
        curve(axes, [start, (x, y), (x + self.widths[column], y)], self._ink(vertex))

    def _draw_arriving(self, axes: Axes, vertex: int, bottom: float) -> None:
        column = self.layout.columns[vertex]
        for row, (source, _) in enumerate(self.layout.rows[vertex]):
            x, y = self.lefts[column], bottom + self.layout.port(vertex, row)
            curve(axes, [self._leaving(source, column - 1, bottom), (x, y)], self._ink(source))
            arrow_head(axes, x, y, 1, 0, self._ink(source))

    def _draw_vertex(self, axes: Axes, vertex: int, bottom: float) -> None:
        column = self.layout.columns[vertex]
        x, y = self.lefts[column], bottom + self.layout.heights[vertex, column]
        name = self.graph.vertices[vertex].name
        if is_plain(self.layout.rows[vertex]):
            plain_box(axes, x, y, self.boxes[column], name)
            return
        end = x + self.boxes[column]
        for row, (_, operation) in enumerate(self.layout.rows[vertex]):
            height = bottom + self.layout.port(vertex, row)
            line(axes, [(end, height), (end + JOIN + RADIUS, y)])
            operation_box(axes, x, height, self.boxes[column], operation)
        numbered_circle(axes, end + JOIN + RADIUS, y, name)

    def _leaving(self, vertex: int, column: int, bottom: float) -> Point:
        """Where the edges of a vertex leave a column."""
        return self.lefts[column] + self.widths[column], bottom + self.layout.heights[
            vertex, column
        ]

    def _ink(self, source: int) -> str:
        """The first input's edges are lighter, so that they can be told from the second's."""
        return "#999999" if source == 0 and not self.graph.vertices[1].inputs else INK
