"""The figure of forgotten examples: images that most tickets lose, words that they predict worse."""

from __future__ import annotations

import base64
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import Drawing
from analysis.tables import Study
from analysis.theme import OKABE_ITO, panel_title, panels, paper
from analysis.wording import percent
from training.errors import LotteryError, cut_short

# Images to a row; each is as wide as it is high, with its index and its label below it.
ACROSS = 12
# Inches: of a row of images and of a word, and of what stands around them: titles and an axis.
IMAGE_HEIGHT, WORD_HEIGHT = 0.72, 0.14
AROUND_IMAGES, AROUND_WORDS = 0.35, 1.0
# Letters of a word; a longer one would leave no room.
LONGEST_WORD = 24


def drawn_examples(examples: pd.DataFrame) -> pd.DataFrame:
    """The rows that `forgotten_examples` draws: of the first, a middle and the last level that was measured of a run.

    Args:
        examples: as `Study.examples`.
    """
    chosen = set()
    for run, of_run in examples.groupby("run", sort=False):
        levels = sorted(of_run["level"].unique())
        chosen |= {(run, level) for level in (levels[0], levels[len(levels) // 2], levels[-1])}
    keys = zip(examples["run"], examples["level"], strict=True)
    return examples.loc[np.array([key in chosen for key in keys], dtype=bool)]


def forgotten_examples(examples: pd.DataFrame) -> Figure:
    """What pruned networks forget: a panel per run and level, of images or of words.

    Images that most dense networks get right and most tickets wrong stand beside one another, with their index in the
    test split and their label; words from the dense networks' mean loss to the tickets'.

    Args:
        examples: as `Study.examples`.

    Raises:
        LotteryError: there is nothing to draw.
    """
    rows = drawn_examples(examples)
    if rows.empty:
        raise LotteryError(
            "No examples that networks forgot were found on these runs; find them with `lottery measure forgotten`, "
            "or draw another figure, such as metric-vs-density."
        )
    groups = [group for _, group in rows.groupby(["run", "level"], sort=False)]
    with paper():
        figure, axes = panels(len(groups), heights=[_height(group) for group in groups])
        for ax, group in zip(axes, groups, strict=True):
            first = group.iloc[0]
            draw = _draw_images if first["unit"] == "images" else _draw_words
            draw(ax, group)
            name = f"{first['run']}, {percent(first['density'])} of the weights"
            ax.set_title(panel_title(name, _found(first)))
    return figure


def _found(first: pd.Series) -> str:
    """The line of a title that says how many there are."""
    what = f"{first['found']:,} of {first['among']:,} {first['unit']}"
    if first["unit"] == "images":
        return f"{what}: right in most of {first['networks']} dense networks, wrong in most tickets"
    return f"{what} lose; mean loss of {first['networks']} dense networks (ring) and tickets (dot)"


def _height(group: pd.DataFrame) -> float:
    if group["unit"].iloc[0] == "images":
        return AROUND_IMAGES + IMAGE_HEIGHT * math.ceil(len(group) / ACROSS)
    return AROUND_WORDS + WORD_HEIGHT * len(group)


def _draw_images(ax: Axes, group: pd.DataFrame) -> None:
    ax.set_axis_off()
    below = math.ceil(len(group) / ACROSS)
    for place, (_, one) in enumerate(group.iterrows()):
        row, column = divmod(place, ACROSS)
        top = -1.3 * row
        pixels = np.frombuffer(base64.b64decode(one["pixels"]), dtype=np.uint8)
        image = pixels.reshape(one["height"], one["width"], one["channels"])
        ax.imshow(
            image[..., 0] if one["channels"] == 1 else image[..., :3],
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(column, column + 0.92, top - 0.92, top),
            interpolation="nearest",
        )
        label = f"{one['index']}: {one['label']}"
        ax.text(column + 0.46, top - 0.97, label, ha="center", va="top", fontsize="x-small")
    ax.set_xlim(0, ACROSS)
    ax.set_ylim(-1.3 * below, 0)
    ax.set_aspect("equal")


def _draw_words(ax: Axes, group: pd.DataFrame) -> None:
    places = np.arange(len(group))[::-1]
    colour = OKABE_ITO["blue"]
    ax.hlines(places, group["dense"], group["pruned"], color=colour, linewidth=1.0)
    ax.scatter(group["dense"], places, facecolors="white", edgecolors=colour, s=12, zorder=3)
    ax.scatter(group["pruned"], places, color=colour, s=12, zorder=3)
    ax.set_yticks(places, [cut_short(label, LONGEST_WORD) for label in group["label"]])
    ax.set_ylim(-0.7, len(group) - 0.3)
    ax.set_xlabel("loss per token (nats)")


def examples_drawing(study: Study) -> Drawing:
    """The figure `forgotten-examples`."""
    rows = study.examples
    data = drawn_examples(rows).drop(columns="pixels")
    return Drawing(data=data, draw=lambda: forgotten_examples(rows))
