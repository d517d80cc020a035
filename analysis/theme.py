"""How figures look: colours, a style per arm, sizes for paper, titles and legends."""

from __future__ import annotations

import contextlib
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

WIDTH = 6.5  # inches: the text width of a paper
PANEL_HEIGHT = 2.6

# Colours that stay apart for colour-blind readers (Okabe & Ito 2008, "Color Universal Design").
OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
GREY = "#777777"
SOLID: tuple[float, ...] = ()

PAPER: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and edited
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a dollar in a name is a dollar
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one line is drawn, told apart by colour, marker and dashes alike.

    Attributes:
        colour: hexadecimal.
        marker: a filled matplotlib marker.
        dashes: lengths on and off in points; empty for a solid line.
    """

    colour: str
    marker: str
    dashes: tuple[float, ...] = SOLID


ARMS = {
    "ticket": Style(colour=OKABE_ITO["blue"], marker="o"),
    "reinitialised": Style(colour=OKABE_ITO["vermillion"], marker="s", dashes=(4, 1.5)),
    "random-mask": Style(colour=OKABE_ITO["green"], marker="^", dashes=(1, 1)),
    "shuffled-mask": Style(colour=OKABE_ITO["purple"], marker="v", dashes=(5, 1, 1, 1)),
    "random-ticket": Style(colour=OKABE_ITO["orange"], marker="D", dashes=(2, 1)),
    "reinitialised-same-sign": Style(colour=OKABE_ITO["sky"], marker="P", dashes=(6, 2)),
    "signed-constant": Style(colour=OKABE_ITO["black"], marker="X", dashes=(3, 1, 1, 1, 1, 1)),
    "inverted-mask": Style(colour=OKABE_ITO["yellow"], marker="h", dashes=(7, 1)),
}
SPARE = (
    Style(colour=GREY, marker="p", dashes=(2, 2)),
    Style(colour="#4d4d4d", marker="<", dashes=(8, 2, 2, 2)),
    Style(colour="#a6a6a6", marker=">", dashes=(1, 2)),
)
NETWORKS = tuple(
    Style(colour=OKABE_ITO[colour], marker=marker, dashes=dashes)
    for colour, marker, dashes in (
        ("blue", "o", SOLID),
        ("vermillion", "s", (4.0, 1.5)),
        ("green", "^", (1.0, 1.0)),
        ("purple", "D", (5.0, 1.0, 1.0, 1.0)),
        ("orange", "v", (2.0, 1.0)),
        ("sky", "P", (6.0, 2.0)),
        ("black", "X", (3.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
    )
)

# Operations and activations of a drawn architecture, by the first part of their name.
OPERATIONS = {
    "separable": OKABE_ITO["blue"],
    "dilated": OKABE_ITO["purple"],
    "convolution": OKABE_ITO["vermillion"],
    "max": OKABE_ITO["green"],
    "average": OKABE_ITO["sky"],
    "identity": GREY,
    "none": "#bbbbbb",
    "tanh": OKABE_ITO["blue"],
    "relu": OKABE_ITO["orange"],
    "sigmoid": OKABE_ITO["green"],
}


def arm_styles(arms: Iterable[str]) -> dict[str, Style]:
    """The style of each arm; arms without one of their own get grey ones, by name."""
    own = list(dict.fromkeys(arms))
    others = sorted(arm for arm in own if arm not in ARMS)
    spare = {arm: SPARE[i % len(SPARE)] for i, arm in enumerate(others)}
    return {arm: ARMS.get(arm) or spare[arm] for arm in own}


def network_styles(labels: Iterable[str]) -> dict[str, Style]:
    """A style per network, in the order given."""
    own = list(dict.fromkeys(labels))
    return {label: NETWORKS[i % len(NETWORKS)] for i, label in enumerate(own)}


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Draw and save with this theme, and leave matplotlib's settings as they were.

    A letter that the font lacks is drawn as a box, and stays itself in SVG, whose text is text.
    """
    with mpl.rc_context(PAPER), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def panels(number: int, *, heights: Sequence[float] = ()) -> tuple[Figure, list[Axes]]:
    """A figure of `number` panels, at the width of a paper; no pyplot, no global state.

    Args:
        number: of panels.
        heights: of panels below one another, in inches; none for rows of two of the usual height.
    """
    across = 1 if heights else min(number, 2)
    rows = list(heights) or [PANEL_HEIGHT] * -(-number // across)
    figure = Figure(figsize=(WIDTH, sum(rows) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), across, squeeze=False, height_ratios=rows)
    axes: list[Axes] = list(grid.ravel())
    for unused in axes[number:]:
        unused.remove()
    return figure, axes[:number]


def legend(figure: Figure, entries: Mapping[str, Line2D]) -> None:
    """One legend below all panels, where it covers no data, in as many columns as fit."""
    inches = 0.6 + 0.055 * max(len(label) for label in entries)
    figure.legend(
        handles=list(entries.values()),
        # Matplotlib leaves out what begins with an underscore.
        labels=[f" {label}" if label.startswith("_") else label for label in entries],
        loc="outside lower center",
        ncols=max(1, min(int(WIDTH / inches), len(entries))),
    )


def handle(style: Style) -> Line2D:
    """A legend's sample of a style."""
    line = Line2D([], [], color=style.colour, marker=style.marker, markeredgecolor="white")
    if style.dashes:
        line.set_dashes(list(style.dashes))
    return line


def value_label(rows: pd.DataFrame, split: str) -> str:
    """The label of a metric's axis: split, name and unit, of rows that have columns for them."""
    metric, unit = rows["metric"].iloc[0], rows["unit"].iloc[0]
    return f"{split} {metric} ({unit})" if unit else f"{split} {metric}"


def panel_title(name: str, *notes: str) -> str:
    """A name wrapped to the width of a panel, and below it the notes that say something."""
    return "\n".join([*textwrap.wrap(name, 44), *filter(None, notes)])


def lost_note(lost: int, networks: int) -> str:
    """The line of a panel that says what diverged; nothing where nothing did."""
    if not lost:
        return ""
    if lost == networks:
        return f"every one of {networks} networks diverged"
    return f"{lost} of {networks} networks diverged; means are of the others"
