"""Figures over size: networks against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.axes import size_axis, value_axis
from analysis.figures import Drawing
from analysis.frontier import frontier
from analysis.tables import Study
from analysis.theme import (
    Style,
    handle,
    legend,
    lost_note,
    network_styles,
    panel_title,
    panels,
    paper,
    value_label,
)


def searched_vs_pruned(levels: pd.DataFrame, *, split: str = "test") -> Figure:
    """The metric over remaining parameters: a panel per data set, a line per network.

    Lines are means with 95 % intervals, large markers the dense networks; the grey steps are the
    Pareto front.

    Args:
        levels: as from `frontier.frontier`.
        split: that they were read off at, for the label.
    """
    entries: dict[str, Line2D] = {}
    groups = [group for _, group in levels.groupby(["data", "metric"], sort=False)]
    styles = network_styles(levels["label"])
    with paper():
        figure, axes = panels(len(groups))
        for ax, group in zip(axes, groups, strict=True):
            _front(ax, group)
            for label, of_network in group.groupby("label", sort=False):
                style = styles[str(label)]
                _network_line(ax, of_network, style)
                entries[f"{label} ({of_network['origin'].iloc[0]})"] = handle(style)
            higher = bool(group["higher_is_better"].iloc[0])
            size_axis(ax, group["parameters"], "remaining parameters")
            value_axis(ax, group["mean"].dropna(), value_label(group, split), may_be_log=not higher)
            lost = int(group["diverged"].sum())
            note = lost_note(lost, lost + int(group["n"].sum()))
            ax.set_title(panel_title(str(group["data"].iloc[0]), note))
        entries["Pareto front"] = Line2D([], [], color="#bbbbbb", linewidth=4)
        legend(figure, entries)
    return figure


def _front(ax: Axes, group: pd.DataFrame) -> None:
    front = group[group["on_front"]].sort_values("parameters")
    x, y = front["parameters"], front["mean"]
    ax.step(x, y, where="post", color="#bbbbbb", linewidth=4, alpha=0.6, zorder=0)


def _network_line(ax: Axes, levels: pd.DataFrame, style: Style) -> None:
    levels = levels.sort_values("parameters")
    x, mean = levels["parameters"], levels["mean"]
    below, above = mean - levels["low"], levels["high"] - mean
    ax.errorbar(
        x,
        mean,
        yerr=np.nan_to_num([below, above]),
        color=style.colour,
        marker=style.marker,
        dashes=style.dashes or (None, None),
        markeredgecolor="white",
        markeredgewidth=0.5,
        elinewidth=0.8,
        capsize=1.5,
    )
    dense = levels[levels["level"] == 0]
    ax.scatter(
        dense["parameters"],
        dense["mean"],
        s=55,
        color=style.colour,
        marker=style.marker,
        edgecolors="black",
        linewidths=0.7,
        zorder=3,
    )


def frontier_drawing(study: Study) -> Drawing:
    """The figure `searched-vs-pruned`."""
    levels = frontier(study.table)
    return Drawing(data=levels, draw=lambda: searched_vs_pruned(levels))
