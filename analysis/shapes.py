"""What drawings of architectures are made of: boxes, circles and curves, in inches on paper."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from analysis.theme import GREY, OPERATIONS

LETTERS = 7.0  # points
BOX = 0.19  # inches: height of a box
RADIUS = 0.105  # inches: of the circle with a number
MARGIN = 0.12  # inches around a drawing
HEAD = 0.46  # inches: the title and the note above a drawing
INK = "#444444"

Point = tuple[float, float]

PADDING = 0.07  # inches beside the words of a box
LINE = 0.8  # points
PALE = 0.72  # share of white in the fill of a box


def operation_label(operation: str) -> str:
    """An operation as words: `separable-3x3` is "separable 3×3"."""
    return re.sub(r"(\d)x(\d)", "\\1\N{MULTIPLICATION SIGN}\\2", operation).replace("-", " ")


def page(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure whose coordinates are inches from its lower left corner."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def heading(axes: Axes, top: float, title: str, note: str) -> None:
    """A title and a smaller line below it, under the height `top`."""
    axes.text(MARGIN, top - 0.2, title, fontsize=8.5, weight="bold")
    axes.text(MARGIN, top - 0.36, note, fontsize=LETTERS, color=GREY)


def text_width(text: str, *, size: float = LETTERS, weight: str = "normal") -> float:
    """How wide some words are, in inches."""
    if not text:
        return 0.0
    font = FontProperties(weight=weight)
    return float(TextPath((0, 0), text, size=size, prop=font).get_extents().width) / 72


def box_width(words: str) -> float:
    """The width of a box around some words, in inches."""
    return text_width(words) + 2 * PADDING


def plain_box(axes: Axes, x: float, y: float, width: float, words: str) -> None:
    """A white box, from x to the right, around the height y."""
    _box(axes, (x, y), width, words, face="white", edge=INK)


def operation_box(axes: Axes, x: float, y: float, width: float, operation: str) -> None:
    """A box in the colour of an operation's kind, from x to the right, around the height y."""
    colour = OPERATIONS.get(operation.partition("-")[0], GREY)
    _box(axes, (x, y), width, operation_label(operation), face=_pale(colour), edge=colour)


def numbered_circle(axes: Axes, x: float, y: float, words: str) -> None:
    """A circle around (x, y) with a number in it."""
    axes.add_patch(
        Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, linewidth=LINE, zorder=3)
    )
    _words(axes, x, y, words)


def curve(axes: Axes, points: Sequence[Point], colour: str = INK) -> None:
    """A curve between two points that leaves and arrives horizontally, then straight lines."""
    (x0, y0), (x1, y1), *rest = points
    middle = (x0 + x1) / 2
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, *[Path.LINETO] * len(rest)]
    path = Path([(x0, y0), (middle, y0), (middle, y1), (x1, y1), *rest], codes)
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=LINE, zorder=1))


def line(axes: Axes, points: Sequence[Point], colour: str = INK) -> None:
    """Straight lines from point to point."""
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=LINE, zorder=1)


def arrow_head(axes: Axes, x: float, y: float, dx: float, dy: float, colour: str = INK) -> None:
    """The head of an arrow that ends in (x, y) and points along the unit vector (dx, dy)."""
    back, side = 0.06, 0.028
    base = (x - back * dx, y - back * dy)
    corners = [(base[0] + s * dy, base[1] - s * dx) for s in (side, -side)]
    axes.fill(*zip((x, y), *corners, strict=True), color=colour, linewidth=0, zorder=2)


def _box(axes: Axes, left: Point, width: float, words: str, *, face: str, edge: str) -> None:
    x, y = left
    shape = "round,pad=0,rounding_size=0.045"
    box = FancyBboxPatch((x, y - BOX / 2), width, BOX, boxstyle=shape, facecolor=face)
    box.set(edgecolor=edge, linewidth=LINE, zorder=3)
    axes.add_patch(box)
    _words(axes, x + width / 2, y, words)


def _words(axes: Axes, x: float, y: float, words: str) -> None:
    # Matplotlib's "center" would follow the letters below the line, such as those of "separable".
    baseline = y - 0.36 * LETTERS / 72
    axes.text(x, baseline, words, fontsize=LETTERS, color="black", ha="center", zorder=4)


def _pale(colour: str) -> str:
    """A fill on which black words are read easily."""
    mixed = (PALE + (1 - PALE) * part for part in to_rgb(colour))
    return "#" + "".join(f"{round(255 * part):02x}" for part in mixed)
