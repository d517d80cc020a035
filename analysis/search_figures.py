"""Every kind of figure of searches by name; as in `figures`, what draws is imported when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.figures import Drawing, FigureKind
from training.errors import LotteryError, chosen

if TYPE_CHECKING:
    from analysis.search_tables import SearchStudy


SEARCH_FIGURES: dict[str, FigureKind[SearchStudy]] = {
    "search-curves": FigureKind(
        summary="reward, baseline, loss and entropy while it went on",
        caption="Mean reward of the strategy's samples, its baseline, what was shown, the loss of the shared weights "
        "and the entropy of the controller while the search went on; dotted lines are rollbacks.",
        module="analysis.search_plots",
        function="curves_drawing",
    ),
    "score-vs-standalone": FigureKind(
        summary="what the scores are worth",
        caption="Stand-alone score over the score that the search chose by, with the rank by stand-alone score at each "
        "point; Kendall's tau is of the random architectures.",
        module="analysis.search_plots",
        function="ranking_drawing",
    ),
    "searched-vs-random": FigureKind(
        summary="the best of a search and random architectures, trained alone",
        caption="Stand-alone scores of the best of a search and of architectures drawn at random, after equally long "
        "training; lines are means.",
        module="analysis.search_plots",
        function="contest_drawing",
    ),
    "promised-vs-real": FigureKind(
        summary="what NAO promised and got, per step size",
        caption="NAO: mean gain in reward of new architectures over those that they were made from, per step size: "
        "promised by the moved embedding, predicted for what it was decoded to, and real.",
        module="analysis.search_plots",
        function="promises_drawing",
    ),
}


def search_drawing(name: str, study: SearchStudy) -> Drawing:
    """A figure of searches by name, about to be drawn.

    Raises:
        LotteryError: there is no such figure, or nothing to draw in it.
    """
    found = chosen("figure of searches", name, SEARCH_FIGURES).drawing(study)
    if found.data.empty:
        figures = SEARCH_FIGURES.items()
        others = [one for one, kind in figures if not kind.drawing(study).data.empty]
        raise LotteryError(
            f"These searches have nothing to draw in {name}; they have {', '.join(others) or 'no figure'}."
        )
    return found
