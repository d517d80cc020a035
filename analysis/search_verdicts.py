"""What searches say: whether their scores are worth something, and whether they beat random architectures."""

from __future__ import annotations

import pandas as pd

from analysis.answers import Answer
from analysis.architecture_answers import at_equal_parameters, gain, tested_by, values_of
from analysis.judging import judge
from analysis.ranking import MINIMUM_ARCHITECTURES, Ranking, ranking
from analysis.search_tables import FOUND, RANDOM, SearchStudy
from analysis.significance import welch
from analysis.text_tables import Table
from analysis.wording import MISSING, interval, number, p_value
from nas.search.methods import BASELINE

SCORES = {"score": "shared weights", "predicted": "NAO's predictor"}


def rankings(architectures: pd.DataFrame) -> dict[tuple[str, str], Ranking]:
    """(search, score) -> how that score ranks the architectures drawn at random from the space.

    The found ones are left out: a sample that was selected by its score says little about the score.

    Args:
        architectures: as from `search_tables.read_searches`.
    """
    rows = architectures[architectures["origin"] == RANDOM]
    found = {}
    for search, of_search in rows.groupby("search", sort=False):
        for score in SCORES:
            known = of_search.dropna(subset=[score, "standalone"])
            if not known.empty:
                found[str(search), score] = ranking(
                    values_of(known[score]), values_of(known["standalone"])
                )
    return found


def ranking_table(architectures: pd.DataFrame) -> Table:
    """Rank correlations and regrets of each search as text."""
    rows = []
    for (search, score), found in rankings(architectures).items():
        regrets = [
            f"{number(100 * r.loss.value)} {interval(100 * r.loss.low, 100 * r.loss.high)}, "
            f"by chance {number(100 * r.by_chance)}"
            for r in found.regrets
        ]
        rows.append(
            (
                *(search, SCORES[score], str(found.n)),
                f"{number(found.tau.value)} {interval(found.tau.low, found.tau.high)}",
                f"{number(found.rho.value)} {interval(found.rho.low, found.rho.high)}",
                *(p_value(found.p), *regrets, *[MISSING] * (3 - len(regrets)), found.verdict),
            )
        )
    tops = tuple(f"top-{k} regret (1/100)" for k in (1, 3, 5))
    head = ("search", "score", "n", "Kendall's tau", "Spearman's rho", "tau > 0", *tops)
    return Table(head=(*head, "ranks better than chance"), rows=rows)


def search_answers(study: SearchStudy) -> list[Answer]:
    """Per search: does its score rank, and are its best better than random architectures and than random search's.

    Random searches count as a search's rivals where data, seed, networks and their training alone are the same.
    """
    architectures = study.architectures
    answers = [
        _ranking_answer(search, score, found)
        for (search, score), found in rankings(architectures).items()
    ]
    trained = {
        str(search): of_search.dropna(subset=["standalone"])
        for search, of_search in architectures.groupby("search", sort=False)
    }
    for search, rows in trained.items():
        answers += _against_drawn(search, rows)
        for rival in _rivals(study, search):
            question = f"Does {search} find better architectures than the random search {rival}"
            theirs = _of(trained[rival], FOUND)
            what = f"{len(theirs)} that {rival} found"
            answers += _alone_against(question, what, _of(rows, FOUND), theirs)
    return answers


def _rivals(study: SearchStudy, search: str) -> list[str]:
    def training(name: str) -> tuple[str, ...]:
        settings = study.descriptions[name]["search"]
        alike = ("data", "seed", "space", "nodes", "layers", "words", "network")
        derive = settings.get("derive", {})
        ends = (derive.get("alone"), derive.get("alone_seeds"))
        return tuple(str(value) for value in (*(settings.get(key) for key in alike), *ends))

    if study.descriptions[search]["search"]["method"] == BASELINE:
        return []
    return [
        name
        for name, description in study.descriptions.items()
        if description["search"]["method"] == BASELINE and training(name) == training(search)
    ]


def _ranking_answer(search: str, score: str, found: Ranking) -> Answer:
    few = (
        f"; at least {MINIMUM_ARCHITECTURES} are needed" if found.n < MINIMUM_ARCHITECTURES else ""
    )
    low, high = found.tau.low, found.tau.high
    return Answer(
        question=f"Do the scores by {SCORES[score]} of {search} rank architectures?",
        answer=f"Kendall's tau with stand-alone training is {number(found.tau.value)} "
        f"{interval(low, high)} over {found.n} architectures drawn at random ({p_value(found.p)} "
        f"for tau above 0){few}.",
        verdict=found.verdict,
    )


def _of(trained: pd.DataFrame, origin: str) -> pd.DataFrame:
    return trained[trained["origin"] == origin]


def _against_drawn(search: str, trained: pd.DataFrame) -> list[Answer]:
    """The best of a search against architectures drawn at random."""
    question = f"Does {search} find better architectures than chance"
    theirs = _of(trained, RANDOM)
    return _alone_against(question, f"{len(theirs)} drawn at random", _of(trained, FOUND), theirs)


def _alone_against(
    question: str, what: str, ours: pd.DataFrame, theirs: pd.DataFrame
) -> list[Answer]:
    """The best of a search against others, after equally long training alone."""
    if ours.empty or theirs.empty:
        return []
    alone = (side["standalone"].mask(side["lost"] > 0) for side in (ours, theirs))
    mine, other = (100 * values_of(values) for values in alone)
    found = welch(mine, other, higher_is_better=True)
    unit = "points of accuracy" if ours["unit"].iloc[0] == "%" else "hundredths of reward"
    plain = Answer(
        question=f"{question}?",
        answer=f"Trained alone equally long, its best {mine.size} are on average {gain(found)} "
        f"{unit} better than {what} ({tested_by(found)}); the best of these is "
        f"{'better' if _best(theirs) > _best(ours) else 'no better'} than the best of the search.",
        verdict=judge(found, found.p, found.p_opposite),
    )
    sizes = [values_of(side["parameters"]) for side in (ours, theirs)]
    would = f"{unit} better than the others would be at its sizes"
    return [
        plain,
        *at_equal_parameters(f"{question} at equal parameters?", would, mine, other, *sizes),
    ]


def _best(side: pd.DataFrame) -> float:
    """The highest stand-alone score; one that diverged has the lowest, 0."""
    return float(side["standalone"].max())
