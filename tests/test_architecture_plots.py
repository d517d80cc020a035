"""Drawn architectures: everything is there, and nothing stands on anything else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.transforms import Bbox
from matplotlib.typing import ColorType

from analysis.architecture_plots import Chain, draw_chain, draw_graphs, skip_lanes
from analysis.graphs import Graph, Vertex
from analysis.rendering import render
from analysis.shapes import arrow_head, box_width, operation_label, page, text_width
from analysis.theme import OPERATIONS, WIDTH

CELL = Graph(
    title="a cell",
    note="with a note",
    vertices=(
        Vertex(name="cell k-2"),
        Vertex(name="cell k-1"),
        Vertex(name="2", inputs=((0, "separable-5x5"), (0, "identity"))),
        Vertex(name="3", inputs=((2, "max-3x3"), (1, "convolution-1x7-7x1"))),
        Vertex(name="4", inputs=((0, "average-2x2"), (1, "none"))),
        Vertex(name="concat", inputs=((3, ""), (4, ""))),
    ),
)
CHAIN = Chain(
    title="a chain",
    first="stem",
    layers=(
        ("convolution-3x3", ()),
        ("separable-5x5", (0,)),
        ("max-3x3", (0, 1)),
        ("average-3x3", ()),
        ("separable-3x3", (3,)),
    ),
)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    count = draw(st.integers(1, 12))
    layers = tuple(
        ("max-3x3", tuple(sorted(draw(st.sets(st.integers(0, index - 1)))) if index else ()))
        for index in range(count)
    )
    return Chain(title="", first="stem", layers=layers)


def words(figure: Figure) -> list[str]:
    return sorted(text.get_text() for text in figure.axes[0].texts if text.get_text())


def shapes(figure: Figure) -> list[Bbox]:
    """The boxes and circles of a drawing, in pixels."""
    found = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch | Circle)]
    return [patch.get_window_extent() for patch in found]


@pytest.mark.parametrize("figure", [draw_graphs([CELL, CELL]), draw_chain(CHAIN)])
def test_nothing_overlaps_and_nothing_is_cut_off(figure: Figure) -> None:
    own = shapes(figure)
    for one, other in itertools.combinations(own, 2):
        assert not one.overlaps(other)
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        assert figure.bbox.containsx(extent.x0)
        assert figure.bbox.containsx(extent.x1)
        assert figure.bbox.containsy(extent.y0)
        assert figure.bbox.containsy(extent.y1)
        inside = [box for box in own if box.overlaps(extent)]
        heading = text.get_text() in ("a cell", "with a note", "a chain", "")
        assert len(inside) == (0 if heading else 1)
        for box in inside:
            assert box.x0 < extent.x0 < extent.x1 < box.x1


def test_every_vertex_and_operation_is_named() -> None:
    assert words(draw_graphs([CELL])) == sorted(
        [
            *("a cell", "with a note", "cell k-2", "cell k-1", "2", "3", "4", "concat"),
            *map(operation_label, ("separable-5x5", "identity", "max-3x3", "convolution-1x7-7x1")),
            *map(operation_label, ("average-2x2", "none")),
        ]
    )


def test_a_usual_cell_is_as_wide_as_a_paper_at_most() -> None:
    assert draw_graphs([CELL]).get_figwidth() <= WIDTH
    assert draw_graphs([CELL, CELL]).get_figheight() == pytest.approx(
        2 * draw_graphs([CELL]).get_figheight()
    )


def test_a_long_title_has_room() -> None:
    title = "a name that nobody would give to a network of two vertices"
    vertices = (Vertex(name="a"), Vertex(name="b", inputs=((0, ""),)))
    figure = draw_graphs([Graph(title=title, vertices=vertices)])
    assert figure.get_figwidth() > text_width(title, size=8.5, weight="bold")


def test_a_chain_has_a_dot_for_each_skip() -> None:
    dots = [line for line in draw_chain(CHAIN).axes[0].lines if line.get_marker() == "o"]
    assert sorted(np.size(line.get_ydata()) for line in dots) == [1, 1, 2]


def test_lanes_are_used_again() -> None:
    # Output 0 is read until layer 3, output 1 by layer 3, output 3 by layer 5: 3 is not after 3.
    assert skip_lanes(CHAIN) == {0: 0, 1: 1, 3: 2}
    short = Chain(title="", first="stem", layers=CHAIN.layers[:2] + CHAIN.layers[3:])
    layers = (*short.layers[:3], ("max-3x3", ()), ("max-3x3", (3,)))
    assert skip_lanes(Chain(title="", first="stem", layers=layers)) == {0: 0, 3: 0}


@given(chains())
@settings(max_examples=60, deadline=None)
def test_lines_of_one_lane_never_meet(chain: Chain) -> None:
    reach = {
        source: max(row for row, (_, skips) in enumerate(chain.layers, 1) if source in skips)
        for _, skips in chain.layers
        for source in skips
    }
    lanes = skip_lanes(chain)
    assert lanes.keys() == reach.keys()
    for one, other in itertools.combinations(sorted(lanes), 2):
        assert lanes[one] != lanes[other] or reach[one] < other


def test_a_chain_without_skips_is_drawn() -> None:
    assert "1" in words(draw_chain(Chain(title="", first="stem", layers=(("max-3x3", ()),))))


@pytest.mark.parametrize("file_format", ["svg", "pdf", "png"])
def test_the_same_drawing_is_the_same_file(file_format: str) -> None:
    files = [render(draw_graphs([CELL]), file_format, salt="cell") for _ in range(2)]
    assert files[0] == files[1]
    if file_format == "svg":
        assert ">cell k-2<" in files[0].decode()


def test_operations_read_as_words() -> None:
    times = "\N{MULTIPLICATION SIGN}"
    assert operation_label("separable-3x3") == f"separable 3{times}3"
    assert operation_label("convolution-1x7-7x1") == f"convolution 1{times}7 7{times}1"
    assert operation_label("max-3x3") == f"max 3{times}3"


def test_boxes_are_as_wide_as_their_words() -> None:
    assert text_width("") == 0
    assert text_width("wide words") > text_width("words") > 0
    assert box_width("words") == pytest.approx(text_width("words") + 0.14)


def test_black_words_are_read_on_every_colour() -> None:
    node = Vertex(name="1", inputs=tuple((0, operation) for operation in OPERATIONS))
    figure = draw_graphs([Graph(title="", vertices=(Vertex(name="0"), node))])
    fills = [p.get_facecolor() for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    assert len(fills) == len(OPERATIONS) + 1
    assert min(map(luminance, fills)) > 0.65


def luminance(colour: ColorType) -> float:
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_head_of_an_arrow_points_along_it() -> None:
    _, axes = page(1, 1)
    arrow_head(axes, 0.5, 0.5, 0, -1)
    (head,) = axes.patches
    corners = np.asarray(head.get_path().vertices)[:3]
    assert corners == pytest.approx(np.array([[0.5, 0.5], [0.472, 0.56], [0.528, 0.56]]))
