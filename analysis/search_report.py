"""Searches -> one self-contained HTML page: what was found, what the scores are worth, and how it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from analysis.report import Chart, charts, inline_svg, page
from analysis.search_figures import SEARCH_FIGURES
from analysis.search_tables import SearchStudy, read_drawings, read_searches
from analysis.search_text import architectures_table, history_table
from analysis.search_verdicts import ranking_table, search_answers

GLOSSARY = {
    "score": "reward by which the search ranks, on the validation split: of an architecture with the shared "
    "weights, or of the network that a search without them trained",
    "alone, stand-alone": "of an architecture trained from scratch at the end, for the same few steps as all "
    "others, with seeds that nothing was chosen by",
    "reward": "the share of images that are right, or a constant divided by the perplexity; higher is better",
    "found": "suggested by the search's strategy, in the order of its scores",
    "random": "drawn from the whole space beside them, and never chosen by a score",
    "Kendall's tau": "share of pairs in the same order less that in the opposite one: 1 is the same ranking, 0 chance",
    "top-k regret": "best stand-alone score of all less the best among the k that the score puts first; by chance: the "
    "mean of k drawn at random",
    "undecided": "neither the test nor its opposite is significant, or there are too few architectures",
    "[low, high]": "two-sided 95 % interval: a bootstrap over architectures, or of a difference of means after "
    "Welch, at equal parameters of an analysis of covariance; verdicts are one-sided tests at 5 %",
}


def render_search_report(runs: Sequence[Path], title: str) -> str:
    """The report on some finished searches as one HTML page that loads nothing from elsewhere.

    Raises:
        LotteryError: one is not a search or not finished, or a file is damaged.
    """
    study = read_searches(runs)
    return page(
        "search.html.j2",
        title=title,
        answers=search_answers(study),
        found={name: architectures_table(study.architectures, name) for name in study.descriptions},
        ranks=ranking_table(study.architectures),
        charts=[*_drawings(runs), *charts(SEARCH_FIGURES, study)],
        last=history_table(study.history),
        descriptions={name: _described(study, name) for name in study.descriptions},
        glossary=GLOSSARY,
    )


def _drawings(runs: Sequence[Path]) -> list[Chart]:
    return [
        Chart(
            caption=f"The best of {name}.", svg=inline_svg(svg, f"best-{number}", f"best of {name}")
        )
        for number, (name, svg) in enumerate(read_drawings(runs).items())
    ]


def _described(study: SearchStudy, name: str) -> dict[str, str]:
    """What a search says of itself, as text."""
    return {
        key: json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        for key, value in study.descriptions[name].items()
    }
