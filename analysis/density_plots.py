"""Figures over density: the metric and the early-stop step."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.axes import density_axis, value_axis
from analysis.figures import Drawing
from analysis.rows import check_any_sound, results_at, sound_results
from analysis.summaries import summarise_levels
from analysis.tables import Study
from analysis.theme import (
    GREY,
    Style,
    arm_styles,
    handle,
    legend,
    lost_note,
    panel_title,
    panels,
    paper,
    value_label,
)
from analysis.wording import number
from lottery.identity import TICKET

# A baseline further away than this many times the range of the data is named, not drawn.
FAR = 0.5


def metric_vs_density(
    table: pd.DataFrame,
    *,
    at: str = "best",
    split: str = "test",
    baselines: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    interval: str = "t",
) -> Figure:
    """The metric over density: one panel per run, one line per arm.

    Lines are means, bands 95 % intervals, faint points single seeds; the dashed line is the dense
    mean and the grey band its margin. A baseline far from the data is named in the title instead.

    Args:
        table: as from `tables.read_table`.
        at: "best" or "end".
        split: "test" or "validation".
        baselines: as `Study.baselines`.
        published: figures to draw over ours as hollow markers: arm, density, value, source.
        interval: a name in `summaries.INTERVALS`.

    Raises:
        LotteryError: nothing was read off there, every network diverged, or there is no such interval.
    """
    rows = results_at(table, at=at, split=split)
    check_any_sound(rows)
    overlay = pd.DataFrame(columns=["arm", "density", "value", "source"])
    overlay = overlay if published is None else published
    entries: dict[str, Line2D] = {}
    with paper():
        figure, axes = panels(rows["run"].nunique())
        for ax, (run, of_run) in zip(axes, rows.groupby("run", sort=False), strict=True):
            levels = summarise_levels(of_run, interval=interval)
            styles = arm_styles([*levels["arm"], *overlay["arm"]])
            entries |= {arm: handle(styles[arm]) for arm in levels["arm"].unique()}
            _reference(ax, levels, of_run)
            is_share = of_run["unit"].iloc[0] == "%"
            draw_arms(ax, _clipped(levels, 100 if is_share else None), of_run, "value", styles)
            entries |= _published(ax, overlay, styles)
            density_axis(ax, [*of_run["density"], *overlay["density"]])
            values = [*_sound(of_run)["value"], *overlay["value"]]
            higher = bool(of_run["higher_is_better"].iloc[0])
            value_axis(ax, values, value_label(of_run, split), may_be_log=not higher)
            metric = str(of_run["metric"].iloc[0])
            note = _baseline_note(ax, str(run), baselines, split, metric, values)
            ax.set_title(panel_title(str(run), note, _lost(levels)))
        entries["dense mean and margin"] = Line2D([], [], color=GREY, linestyle=(0, (3, 2)))
        legend(figure, entries)
    return figure


def early_stop_vs_density(table: pd.DataFrame, *, interval: str = "t") -> Figure:
    """The step of least validation loss over density: one panel per run, one line per arm.

    Args:
        table: as from `tables.read_table`.
        interval: a name in `summaries.INTERVALS`.

    Raises:
        LotteryError: there is no result, every network diverged, or there is no such interval.
    """
    rows = results_at(table)
    check_any_sound(rows)
    entries: dict[str, Line2D] = {}
    with paper():
        figure, axes = panels(rows["run"].nunique())
        for ax, (run, of_run) in zip(axes, rows.groupby("run", sort=False), strict=True):
            levels = summarise_levels(of_run, "early_stop_step", interval)
            styles = arm_styles(levels["arm"])
            entries |= {arm: handle(style) for arm, style in styles.items()}
            draw_arms(ax, _clipped(levels), of_run, "early_stop_step", styles)
            density_axis(ax, of_run["density"])
            steps = _sound(of_run)["early_stop_step"]
            value_axis(ax, steps, "early-stop step", may_be_log=False)
            ax.set_title(panel_title(str(run), _lost(levels)))
        legend(figure, entries)
    return figure


def _sound(rows: pd.DataFrame) -> pd.DataFrame:
    """The replicates that means are of; one that diverged may have a finite best value from before."""
    return rows[~rows["diverged"].astype(bool)]


def _lost(levels: pd.DataFrame) -> str:
    lost = int(levels["diverged"].sum())
    return lost_note(lost, lost + int(levels["n"].sum()))


def _clipped(levels: pd.DataFrame, most: float | None = None) -> pd.DataFrame:
    """Levels whose intervals are cut at what is possible."""
    bands = levels[["low", "high"]].clip(0, most)
    return levels.assign(low=bands["low"], high=bands["high"])


def draw_arms(
    ax: Axes, levels: pd.DataFrame, rows: pd.DataFrame, value: str, styles: dict[str, Style]
) -> None:
    """Mean lines with bands over density, and every seed as a faint point.

    Args:
        ax: to draw on.
        levels: columns arm, density, mean, low and high.
        rows: one per seed: columns arm, density, diverged and the value's.
        value: the column of `rows` that is drawn.
        styles: of each arm.
    """
    levels = levels.assign(percent=100 * levels["density"])
    arms = list(levels["arm"].unique())
    for arm, of_arm in _sound(rows).groupby("arm", sort=False):
        style = styles[str(arm)]
        x = 100 * of_arm["density"]
        ax.scatter(x, of_arm[value], s=5, color=style.colour, alpha=0.3, linewidths=0, zorder=2)
    for arm in arms:
        of_arm = levels[levels["arm"] == arm].sort_values("density")
        colour = styles[arm].colour
        x = of_arm["percent"].to_numpy()
        ax.fill_between(x, of_arm["low"], of_arm["high"], color=colour, alpha=0.15, linewidth=0)
    sns.lineplot(
        levels,
        x="percent",
        y="mean",
        hue="arm",
        style="arm",
        hue_order=arms,
        style_order=arms,
        palette={arm: styles[arm].colour for arm in arms},
        markers={arm: styles[arm].marker for arm in arms},
        dashes={arm: styles[arm].dashes for arm in arms},
        estimator=None,
        errorbar=None,
        legend=False,
        ax=ax,
    )


def _reference(ax: Axes, levels: pd.DataFrame, rows: pd.DataFrame) -> None:
    """The dense mean and the margin below (or, for perplexity, above) it."""
    dense = levels[(levels["arm"] == TICKET) & (levels["level"] == 0)]
    if dense.empty or math.isnan(dense["mean"].iloc[0]):
        return
    mean = float(dense["mean"].iloc[0])
    first = rows.iloc[0]
    margin = first["margin"] * mean if first["margin_is_relative"] else first["margin"]
    bound = mean - margin if first["higher_is_better"] else mean + margin
    ax.axhline(mean, color=GREY, linestyle=(0, (3, 2)), linewidth=0.9, zorder=1)
    ax.axhspan(min(mean, bound), max(mean, bound), color=GREY, alpha=0.15, linewidth=0, zorder=0)


def _published(ax: Axes, overlay: pd.DataFrame, styles: dict[str, Style]) -> dict[str, Line2D]:
    entries = {}
    for (arm, source), points in overlay.groupby(["arm", "source"], sort=False):
        style = styles[str(arm)]
        marks: dict[str, Any] = {
            "marker": style.marker,
            "linestyle": "none",
            "markerfacecolor": "none",
            "markeredgecolor": style.colour,
            "markersize": 6,
        }
        ax.plot(100 * points["density"], points["value"], zorder=4, **marks)
        entries[f"{arm}, published: {source}"] = Line2D([], [], **marks)
    return entries


def _baseline_note(
    ax: Axes,
    run: str,
    baselines: pd.DataFrame | None,
    split: str,
    metric: str,
    values: list[float],
) -> str:
    """Draw the run's baselines that lie near the data; the text that names the others."""
    if baselines is None or not values:
        return ""
    reach = FAR * (max(values) - min(values))
    far = []
    of_run = baselines[(baselines["run"] == run) & (baselines["split"] == split)]
    # Of what stands on the axis.
    of_run = of_run[of_run["metric"] == metric]
    for name, value in of_run[["name", "value"]].itertuples(index=False):
        if min(values) - reach <= value <= max(values) + reach:
            ax.axhline(value, color=GREY, linestyle=(0, (1, 1.5)), linewidth=0.9)
            ax.annotate(
                f"{name} {number(value)}",
                (0.01, value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                fontsize=6.5,
                color=GREY,
            )
        else:
            far.append(f"{name} {metric}: {number(value)} (off scale)")
    return "; ".join(far)


def metric_drawing(study: Study) -> Drawing:
    """The figure `metric-vs-density`."""
    return Drawing(
        data=sound_results(study.table),
        draw=lambda: metric_vs_density(
            study.table, baselines=study.baselines, published=study.published
        ),
    )


def early_stop_drawing(study: Study) -> Drawing:
    """The figure `early-stop-vs-density`."""
    return Drawing(data=sound_results(study.table), draw=lambda: early_stop_vs_density(study.table))
