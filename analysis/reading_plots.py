"""Figures of what measurements read off trained networks."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.axes import density_axis, value_axis
from analysis.density_plots import draw_arms
from analysis.figures import Drawing
from analysis.readings import SERIES, readings_of_seeds, summarise_readings
from analysis.tables import Study
from analysis.theme import arm_styles, handle, legend, lost_note, panel_title, panels, paper
from analysis.wording import percent
from training.errors import LotteryError

# What stands along the curves of a measurement.
ALONG = {"connectivity": "way from one network to the other", "early-bird": "training step"}
WEIGHTS = {"start": "before training", "best": "early-stop weights", "end": "last weights"}


def drawn_readings(readings: pd.DataFrame) -> pd.DataFrame:
    """The rows that `readings_vs_density` draws: one per seed, of what is no curve; none where none has a value.

    Args:
        readings: as `Study.readings`.
    """
    rows = readings_of_seeds(readings)
    rows = rows[rows["x"].isna() & rows["density"].notna()]
    return rows if rows["value"].notna().any() else rows.iloc[:0]


def readings_vs_density(readings: pd.DataFrame, *, interval: str = "t") -> Figure:
    """What was measured over density: a panel per run, measurement and metric, one line per arm.

    What was read with other settings, of other parts or at other weights has a panel of its own. Lines are means, bands
    95 % intervals, faint points single seeds.

    Args:
        readings: as `Study.readings`.
        interval: a name in `summaries.INTERVALS`.

    Raises:
        LotteryError: there is nothing to draw, or there is no such interval.
    """
    rows = drawn_readings(readings)
    if rows.empty:
        raise LotteryError(
            "Nothing that has a value was measured on these runs; measure with `lottery measure`, or draw another "
            "figure, such as metric-vs-density."
        )
    groups = [group for _, group in rows.groupby(list(SERIES), sort=False)]
    entries: dict[str, Line2D] = {}
    with paper():
        figure, axes = panels(len(groups))
        for ax, group in zip(axes, groups, strict=True):
            means = summarise_readings(group, interval)
            styles = arm_styles(means["arm"])
            entries |= {arm: handle(style) for arm, style in styles.items()}
            draw_arms(ax, means, group, "value", styles)
            density_axis(ax, group["density"])
            first = group.iloc[0]
            value_axis(ax, group["value"], str(first["metric"]), may_be_log=False)
            lost = lost_note(int(means["diverged"].sum()), len(group))
            ax.set_title(panel_title(str(first["run"]), _what(first), lost))
        legend(figure, entries)
    return figure


def drawn_curves(readings: pd.DataFrame) -> pd.DataFrame:
    """The rows that `readings_along_x` draws: one per seed and point; none where none has a value.

    Args:
        readings: as `Study.readings`.
    """
    rows = readings_of_seeds(readings)
    rows = rows[rows["x"].notna()]
    return rows if rows["value"].notna().any() else rows.iloc[:0]


def readings_along_x(readings: pd.DataFrame, *, interval: str = "t") -> Figure:
    """What was measured along curves: a panel per run, measurement, arm and metric, one line per level.

    Lines are means of the seeds, bands 95 % intervals; the first, a middle and the last level are drawn.

    Args:
        readings: as `Study.readings`.
        interval: a name in `summaries.INTERVALS`.

    Raises:
        LotteryError: there is nothing to draw, or there is no such interval.
    """
    rows = drawn_curves(readings)
    if rows.empty:
        raise LotteryError(
            "No curve was measured on these runs; measure one with `lottery measure`, such as connectivity, or draw "
            "another figure, such as metric-vs-density."
        )
    groups = [group for _, group in rows.groupby([*SERIES, "arm"], sort=False)]
    with paper():
        figure, axes = panels(len(groups))
        for ax, group in zip(axes, groups, strict=True):
            means = summarise_readings(group, interval)
            levels = sorted(means["level"].unique())
            levels = sorted({levels[0], levels[len(levels) // 2], levels[-1]})
            colours = sns.color_palette("viridis", len(levels))
            for level, colour in zip(levels, colours, strict=True):
                line = means[means["level"] == level].sort_values("x")
                label = f"{percent(line['density'].iloc[0])} of the weights"
                ax.plot(line["x"], line["mean"], color=colour, label=label)
                ax.fill_between(
                    line["x"], line["low"], line["high"], color=colour, alpha=0.15, linewidth=0
                )
            first = group.iloc[0]
            value_axis(ax, means["mean"].dropna(), str(first["metric"]), may_be_log=False)
            ax.set_xlabel(ALONG.get(str(first["measurement"]), "x"))
            lost = lost_note(int(means["diverged"].sum()), len(group))
            ax.set_title(panel_title(f"{first['run']}, {first['arm']}", _what(first), lost))
            ax.legend(fontsize="small")
    return figure


def _what(first: pd.Series) -> str:
    """The lines of a title that say what was measured, how, and on which weights."""
    told = (first["measurement"], first["other"], WEIGHTS[first["at"]], first["settings"])
    return panel_title(", ".join(filter(None, map(str, told))))


def curves_drawing(study: Study) -> Drawing:
    """The figure `readings-along-x`."""
    rows = study.readings
    return Drawing(data=drawn_curves(rows), draw=lambda: readings_along_x(rows))


def readings_drawing(study: Study) -> Drawing:
    """The figure `readings-vs-density`."""
    rows = study.readings
    return Drawing(data=drawn_readings(rows), draw=lambda: readings_vs_density(rows))
