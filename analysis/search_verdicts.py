"""What searches say: whether their scores are worth something, and whether they beat random architectures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.answers import Answer, losses
from analysis.judging import MINIMUM_N, Comparison, judge
from analysis.ranking import MINIMUM_ARCHITECTURES, Ranking, ranking
from analysis.rows import results_at
from analysis.search_tables import FOUND, RANDOM, SearchStudy
from analysis.significance import at_equal_size, welch
from analysis.summaries import Values, summarise
from analysis.tables import Study
from analysis.text_tables import Table
from analysis.wording import MISSING, count, interval, number, p_value

RANDOM_SEARCH = "random search"
DRAWN = "architectures drawn at random"
# What retrained networks are compared with -> the methods that they are of.
CONTROLS = {RANDOM_SEARCH: ("enas", "nao"), DRAWN: ("enas", "nao", RANDOM_SEARCH)}
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
                    _values(known[score]), _values(known["standalone"])
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
        settings = study.facts[name]["search"]
        alike = ("data", "seed", "space", "nodes", "layers", "words", "network")
        derive = settings.get("derive", {})
        ends = (derive.get("alone"), derive.get("alone_seeds"))
        return tuple(str(value) for value in (*(settings.get(key) for key in alike), *ends))

    if study.facts[search]["search"]["method"] == RANDOM:
        return []
    return [
        name
        for name, facts in study.facts.items()
        if facts["search"]["method"] == RANDOM and training(name) == training(search)
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
    mine, other = (100 * _values(values) for values in alone)
    found = welch(mine, other, higher_is_better=True)
    unit = "points of accuracy" if ours["unit"].iloc[0] == "%" else "hundredths of reward"
    plain = Answer(
        question=f"{question}?",
        answer=f"Trained alone equally long, its best {mine.size} are on average {_gain(found)} "
        f"{unit} better than {what} ({_tested(found)}); the best of these is "
        f"{'better' if _best(theirs) > _best(ours) else 'no better'} than the best of the search.",
        verdict=judge(found, found.p, found.p_opposite),
    )
    sizes = [_values(side["parameters"]) for side in (ours, theirs)]
    would = f"{unit} better than the others would be at its sizes"
    return [plain, *_sized(f"{question} at equal parameters?", would, mine, other, *sizes)]


def _best(side: pd.DataFrame) -> float:
    """The highest stand-alone score; one that diverged has the lowest, 0."""
    return float(side["standalone"].max())


def _sized(
    question: str,
    what: str,
    ours: Values,
    theirs: Values,
    our_sizes: Values,
    their_sizes: Values,
    *,
    higher_is_better: bool = True,
) -> list[Answer]:
    """The same comparison at equal parameters; none where all have as many, or one side is too small.

    It is undecided where the sizes of the sides do not overlap: that would trust the line between them.
    """
    if len({*our_sizes, *their_sizes}) == 1 or min(ours.size, theirs.size) < MINIMUM_N:
        return []
    found = at_equal_size(ours, theirs, our_sizes, their_sizes, higher_is_better=higher_is_better)
    apart = our_sizes.min() > their_sizes.max() or our_sizes.max() < their_sizes.min()
    beyond = "; the sizes do not overlap, so this only extrapolates" if apart else ""
    return [
        Answer(
            question=question,
            answer=f"Its architectures have {count(our_sizes.mean())} parameters on average, the others "
            f"{count(their_sizes.mean())}. Adjusted for the logarithm of the number, its own "
            f"are {_gain(found)} {what} ({_tested(found)}){beyond}.",
            verdict="undecided" if apart else judge(found, found.p, found.p_opposite),
        )
    ]


def retraining_answers(study: Study) -> list[Answer]:
    """Per data set: do retrained networks of searches beat those of random search, and ones drawn at random.

    The unit is an architecture, its value the mean over the seeds of its retraining: seeds of one architecture say
    nothing about the next search. One of which a seed diverged ranks below all others. Runs whose training differs are
    not compared.

    Args:
        study: of runs that `lottery retrain` or `lottery prune` made; those that no search found are passed over.
    """
    rows = results_at(study.table)
    rows = rows[rows["level"] == 0]
    means = summarise(rows, ["run", "data", "parameters", "higher_is_better"])
    means["value"] = means["mean"].mask(means["diverged"] > 0)
    means["method"] = [_method(study, run) for run in means["run"]]
    means["budget"] = [str(study.facts[run]["experiment"].get("training")) for run in means["run"]]
    answers = []
    for (data, _), alike in means.groupby(["data", "budget"], sort=False):
        for control, methods in CONTROLS.items():
            theirs = alike[alike["method"] == control]
            for method in methods:
                ours = alike[alike["method"] == method]
                if len(ours) and len(theirs):
                    question = f"Does {method} beat {control} on {data} at equal retraining"
                    answers += _retrained(question, ours, theirs)
    return answers


def _retrained(question: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Answer]:
    higher = bool(ours["higher_is_better"].iloc[0])
    mine, other = (_values(side["value"]) for side in (ours, theirs))
    found = welch(mine, other, higher_is_better=higher)
    too_few = min(found.ours, found.theirs) < MINIMUM_N
    few = f"; at least {MINIMUM_N} of each are needed" if too_few else ""
    plain = Answer(
        question=f"{question}?",
        answer=f"{mine.size} architectures against {other.size}, each the mean of its seeds: an advantage of "
        f"{_gain(found)} ({_tested(found)}){few}.",
        verdict=judge(found, found.p, found.p_opposite),
    )
    sizes = [_values(side["parameters"]) for side in (ours, theirs)]
    what = "better than the others would be at their sizes"
    sized = f"{question} and parameters?"
    return [plain, *_sized(sized, what, mine, other, *sizes, higher_is_better=higher)]


def _method(study: Study, run: str) -> str:
    network = study.facts[run]["experiment"].get("network", {})
    if network.get("name", "").startswith("random-"):
        return DRAWN
    method = str((network.get("found") or {}).get("method", ""))
    return RANDOM_SEARCH if method == RANDOM else method


def _gain(found: Comparison) -> str:
    return f"{number(found.difference)} {interval(found.low, found.high)}"


def _tested(found: Comparison) -> str:
    """What diverged, and the p-value after the name of its test, where there was one."""
    tested = p_value(found.p) if math.isnan(found.p) else f"{found.test} {p_value(found.p)}"
    return "; ".join(filter(None, [losses(found, "its own", "the others"), tested]))


def _values(column: pd.Series[float]) -> Values:
    return np.asarray(column, dtype=np.float64)
