"""Figures over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.axes import value_axis
from analysis.figures import Drawing
from analysis.rows import LOSS, average_copies, check_any_sound, sound_histories
from analysis.summaries import summarise
from analysis.tables import Study
from analysis.theme import arm_styles, legend, lost_note, panel_title, panels, paper, value_label
from lottery.identity import TICKET
from training.errors import LotteryError

ARMS = (TICKET, "reinitialised")


def drawn_evaluations(
    histories: pd.DataFrame, *, levels: Sequence[int] | None = None, arms: Sequence[str] = ARMS
) -> pd.DataFrame:
    """The rows that `learning_curves` draws: of the task's own metric, at these levels and arms."""
    rows = histories[(histories["metric"] != LOSS) & histories["arm"].isin(arms)]
    rows = average_copies(rows)
    runs = [_at_levels(of_run, levels) for _, of_run in rows.groupby("run", sort=False)]
    return pd.concat(runs) if runs else rows


def learning_curves(
    histories: pd.DataFrame,
    *,
    levels: Sequence[int] | None = None,
    arms: Sequence[str] = ARMS,
    interval: str = "t",
) -> Figure:
    """The validation metric over training steps: a panel per run, a colour per level.

    Lines are means, bands 95 % intervals. The y axis covers what comes after the first tenth of
    training, which else would flatten the rest.

    Args:
        histories: as `Study.histories`.
        levels: which to draw; by default the first, the middle and the last of each run.
        arms: which to draw.
        interval: a name in `summaries.INTERVALS`.

    Raises:
        LotteryError: there is nothing to draw, every network diverged, or no such interval.
    """
    rows = drawn_evaluations(histories, levels=levels, arms=arms)
    rows = rows.assign(density=100 * rows["density"], diverged=rows["value"].isna())
    if rows.empty:
        at = f" at levels {', '.join(map(str, levels))}" if levels else ""
        raise LotteryError(
            f"No evaluation of {' or '.join(arms)}{at} was recorded during training; draw another figure, such as "
            "metric-vs-density, or train again with another --out."
        )
    check_any_sound(rows)
    entries: dict[str, Line2D] = {}
    with paper():
        densities = sorted({_percent(density) for density in rows["density"]}, reverse=True)
        colours = dict(zip(densities, sns.color_palette("viridis", len(densities)), strict=True))
        figure, axes = panels(rows["run"].nunique())
        for ax, (run, of_run) in zip(axes, rows.groupby("run", sort=False), strict=True):
            entries |= _curves(ax, of_run, interval, colours)
            networks = of_run.groupby(["level", "arm", "seed"])["diverged"].any()
            note = lost_note(int(networks.sum()), len(networks))
            ax.set_title(panel_title(str(run), note))
            ax.set_xlabel("training step")
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend(figure, entries)
    return figure


def _at_levels(of_run: pd.DataFrame, levels: Sequence[int] | None) -> pd.DataFrame:
    finished = sorted(of_run["level"].unique())
    chosen = levels or [finished[0], finished[len(finished) // 2], finished[-1]]
    return of_run[of_run["level"].isin(chosen)]


def _percent(density: float) -> float:
    """Densities that read alike get the same colour."""
    return float(f"{density:.3g}")


def _curves(
    ax: Axes, of_run: pd.DataFrame, interval: str, colours: Mapping[float, Any]
) -> dict[str, Line2D]:
    """Draw one run's curves; the legend's entries."""
    means = summarise(of_run, ["arm", "density", "step"], interval=interval)
    styles = arm_styles(means["arm"])
    entries = {}
    for (arm, density), line in means.groupby(["arm", "density"], sort=False):
        shown = _percent(float(str(density)))
        colour, dashes = colours[shown], styles[str(arm)].dashes
        pattern: Any = (0, dashes) if dashes else "-"
        ax.plot(line["step"], line["mean"], color=colour, linestyle=pattern)
        ax.fill_between(
            line["step"], line["low"], line["high"], color=colour, alpha=0.15, linewidth=0
        )
        entries[f"{arm} at {shown:g} %"] = Line2D([], [], color=colour, linestyle=pattern)
    higher = bool(of_run["higher_is_better"].iloc[0])
    reached = _reached(means, higher, of_run["unit"].iloc[0] == "%")
    value_axis(ax, reached, value_label(of_run, "validation"), may_be_log=not higher)
    if ax.get_yscale() == "linear" and reached:
        room = 0.08 * (np.ptp(reached) or 1)
        ax.set_ylim(min(reached) - room, max(reached) + room)
    return entries


def _reached(means: pd.DataFrame, higher: bool, is_share: bool) -> list[float]:
    """What y must reach: the means after the first tenth of training, and their bands where these are not too wide."""
    late = means[means["step"] >= means["step"].max() / 10]
    values = late["mean"].dropna().tolist()
    if not values:
        return []
    low, high = min(values), max(values)
    room = high - low or 1
    bounds = (low - room, high + room) if higher else (low / 1.5, high * 1.5)
    ends = late[["low", "high"]].stack().dropna().clip(*bounds).clip(0, 100 if is_share else None)
    return [*values, *ends.tolist()]


def curves_drawing(study: Study) -> Drawing:
    """The figure `learning-curves`."""
    return Drawing(
        data=sound_histories(drawn_evaluations(study.histories)),
        draw=lambda: learning_curves(study.histories),
    )
