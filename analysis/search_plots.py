"""Figures of searches: how they went, what their scores are worth, and what NAO promised and got."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from analysis.axes import value_axis
from analysis.figures import Drawing
from analysis.ranking import kendall
from analysis.search_tables import FOUND, RANDOM, SearchStudy
from analysis.search_verdicts import SCORES
from analysis.theme import GREY, OKABE_ITO, legend, lost_note, panel_title, panels, paper
from analysis.wording import number

ORIGINS = {
    RANDOM: ("random", OKABE_ITO["blue"], "o"),
    FOUND: ("found", OKABE_ITO["vermillion"], "s"),
}
CURVES = {
    "reward": ("reward", "mean of the strategy's samples"),
    "baseline": ("reward", "baseline"),
    "score": ("reward", "mean of the shown"),
    "best": ("reward", "best of the shown"),
    "loss": ("shared loss", "training loss of the shared weights"),
    "entropy": ("entropy", "entropy of the controller"),
}
_COLOURS = ("blue", "black", "green", "vermillion", "purple", "orange")


def search_curves(history: pd.DataFrame) -> Figure:
    """Reward, baseline and what was shown, the loss and the entropy over the steps of the shared weights.

    Args:
        history: as from `search_tables.read_searches`; a column of panels per quantity, a row per search.
    """
    quantities = list(dict.fromkeys(CURVES[name][0] for name in _drawn(history)))
    searches = list(history["search"].unique())
    with paper():
        figure, axes = panels(len(searches) * len(quantities))
        entries: dict[str, Line2D] = {}
        pairs = [(search, quantity) for search in searches for quantity in quantities]
        for ax, (search, quantity) in zip(axes, pairs, strict=True):
            of_search = history[history["search"] == search]
            entries |= _curves(ax, of_search, quantity)
            ax.set_title(panel_title(str(search)))
            # Without shared weights there are no steps of theirs.
            ax.set_xlabel("step of the shared weights" if of_search["step"].any() else "round")
            ax.set_ylabel(quantity)
        legend(figure, entries)
    return figure


def _drawn(history: pd.DataFrame) -> list[str]:
    return [name for name in CURVES if name in set(history["name"])]


def _curves(ax: Axes, of_search: pd.DataFrame, quantity: str) -> dict[str, Line2D]:
    entries = {}
    over = "step" if of_search["step"].any() else "epoch"
    for (name, (whose, label)), colour in zip(CURVES.items(), _COLOURS, strict=True):
        rows = of_search[of_search["name"] == name]
        if whose == quantity and not rows.empty:
            (line,) = ax.plot(rows[over], rows["value"], color=OKABE_ITO[colour])
            entries[label] = line
    for step in of_search[of_search["name"] == "rollback"][over]:
        ax.axvline(step, color=GREY, linewidth=0.8, linestyle=":")
        entries["rollback"] = Line2D([], [], color=GREY, linestyle=":")
    return entries


def ranked(architectures: pd.DataFrame) -> pd.DataFrame:
    """Architectures with a score and a stand-alone score: one row per pair of them, with both ranks, 1 the best.

    Columns are `search`, `origin`, `by` (the score's name), `score`, `standalone`, `rank by score`, `rank alone`,
    `genotype`; ranks are within the search.
    """
    parts = []
    for score in SCORES:
        known = architectures.dropna(subset=[score, "standalone"])
        columns = ["search", "origin", score, "standalone", "genotype"]
        parts.append(known[columns].rename(columns={score: "score"}).assign(by=score))
    rows = pd.concat(parts, ignore_index=True)
    # A score is judged on random architectures; without them there is nothing to judge.
    judged = rows[rows["origin"] == RANDOM][["search", "by"]].drop_duplicates()
    rows = rows.merge(judged, on=["search", "by"])
    of_one = rows.groupby(["search", "by"], sort=False)
    ranks = of_one[["score", "standalone"]].rank(ascending=False, method="average")
    rows["rank by score"], rows["rank alone"] = ranks["score"], ranks["standalone"]
    return rows


def ranking_scatter(architectures: pd.DataFrame) -> Figure:
    """Stand-alone score over score: a panel per search and score; tau is of the random architectures alone."""
    rows = ranked(architectures)
    groups = list(rows.groupby(["search", "by"], sort=False))
    with paper():
        figure, axes = panels(len(groups))
        entries: dict[str, Any] = {}
        for ax, ((search, by), pairs) in zip(axes, groups, strict=True):
            for origin, (label, colour, marker) in ORIGINS.items():
                own = pairs[pairs["origin"] == origin]
                (points,) = ax.plot(
                    *(own["score"], own["standalone"]),
                    marker=marker,
                    color=colour,
                    linestyle="none",
                    alpha=0.8,
                )
                entries[label] = points
                for x, y, rank in own[["score", "standalone", "rank alone"]].itertuples(
                    index=False
                ):
                    ax.annotate(f"{rank:g}", (x, y), (2, 2), textcoords="offset points", fontsize=5)
            random = pairs[pairs["origin"] == RANDOM]
            tau = float(kendall(random["score"].to_numpy(), random["standalone"].to_numpy()))
            ax.set_title(
                panel_title(str(search), f"Kendall's tau {number(tau)}, n = {len(random)}")
            )
            ax.set_xlabel(f"score by {SCORES[str(by)]}")
            ax.set_ylabel("stand-alone score")
        legend(figure, entries)
    return figure


def contest(architectures: pd.DataFrame) -> pd.DataFrame:
    """The architectures that were trained alone, equally long: search, origin and stand-alone score.

    One of which a seed diverged has no score (NaN), as in verdicts and tables.
    """
    known = architectures.dropna(subset=["standalone"])
    known = known.assign(standalone=known["standalone"].mask(known["lost"] > 0))
    known["standalone_metric"] = known["standalone_metric"].mask(known["lost"] > 0)
    columns = [
        "search",
        "origin",
        "rank",
        "standalone",
        "standalone_metric",
        "lost",
        "parameters",
        "genotype",
    ]
    return known[columns].reset_index(drop=True)


def searched_against_random(architectures: pd.DataFrame) -> Figure:
    """Stand-alone scores of what a search found beside those of random architectures, with means.

    What diverged is counted in the title, and left out otherwise.
    """
    rows = contest(architectures)
    groups = list(rows.groupby("search", sort=False))
    with paper():
        figure, axes = panels(len(groups))
        for ax, (search, of_search) in zip(axes, groups, strict=True):
            for x, (origin, (_, colour, marker)) in enumerate(ORIGINS.items()):
                of_origin = of_search[of_search["origin"] == origin]
                scores = of_origin["standalone"].dropna().to_numpy()
                # Spread by rank, so that equal scores don't hide one another.
                aside = 0.3 * (stats.rankdata(scores, "ordinal") / max(len(scores), 1) - 0.5)
                ax.plot(x + aside, scores, marker=marker, color=colour, linestyle="none", alpha=0.7)
                if len(scores):
                    ax.hlines(scores.mean(), x - 0.3, x + 0.3, color=colour)
            ax.set_xticks(range(len(ORIGINS)), [label for label, _, _ in ORIGINS.values()])
            ax.set_xlim(-0.5, 1.5)
            note = lost_note(int((of_search["lost"] > 0).sum()), len(of_search))
            ax.set_title(panel_title(str(search), note))
            value_axis(ax, of_search["standalone"], "stand-alone score", may_be_log=False)
    return figure


def promised_against_real(steps: pd.DataFrame) -> Figure:
    """NAO's mean gain over the parents per step size: promised by the moved embedding, predicted, and real."""
    searches = list(steps.groupby("search", sort=False))
    with paper():
        figure, axes = panels(len(searches))
        entries: dict[str, Any] = {}
        for ax, (search, of_search) in zip(axes, searches, strict=True):
            whats = (
                ("promised", "sky", "^"),
                ("predicted", "blue", "o"),
                ("real", "vermillion", "s"),
            )
            for what, colour, marker in whats:
                weights, sizes = of_search["count"], of_search["step_size"]
                sums = (of_search[what] * weights).groupby(sizes).sum()
                means = sums / weights.groupby(sizes).sum()
                (line,) = ax.plot(means.index, means, color=OKABE_ITO[colour], marker=marker)
                entries[what] = line
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(panel_title(str(search)))
            ax.set_xlabel("step size along the predictor's gradient")
            ax.set_ylabel("gain over the parent (reward)")
        legend(figure, entries)
    return figure


def curves_drawing(study: SearchStudy) -> Drawing:
    """The figure `search-curves`."""
    drawn = study.history["name"].isin([*CURVES, "rollback"])
    return Drawing(data=study.history[drawn], draw=lambda: search_curves(study.history))


def ranking_drawing(study: SearchStudy) -> Drawing:
    """The figure `score-vs-standalone`."""
    architectures = study.architectures
    return Drawing(data=ranked(architectures), draw=lambda: ranking_scatter(architectures))


def contest_drawing(study: SearchStudy) -> Drawing:
    """The figure `searched-vs-random`."""
    architectures = study.architectures
    return Drawing(data=contest(architectures), draw=lambda: searched_against_random(architectures))


def promises_drawing(study: SearchStudy) -> Drawing:
    """The figure `promised-vs-real`."""
    return Drawing(data=study.steps, draw=lambda: promised_against_real(study.steps))
