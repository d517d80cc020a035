"""One sentence per question of a study, with the numbers that carry it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analysis.frontier import BUDGETS, SEARCHED, contests
from analysis.judging import MINIMUM_N, Comparison, Verdict, judge
from analysis.rows import results_at
from analysis.winners import (
    REINITIALISED,
    compare_arms,
    judge_levels,
    smallest_matching,
    smallest_winning,
)
from analysis.wording import (
    count,
    counted,
    difference,
    diverged,
    interval,
    p_value,
    percent,
    with_unit,
)
from lottery.records import TICKET

RANDOM_MASK = "random-mask"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question about a study and what its numbers say.

    Attributes:
        question: one sentence.
        answer: one or two sentences with n, intervals and p-values.
        verdict: the answer in a word.
    """

    question: str
    answer: str
    verdict: Verdict


def answer_questions(table: pd.DataFrame, *, at: str = "best", split: str = "test") -> list[Answer]:
    """What a study says: which network wins, and per run whether it holds tickets, and why.

    Args:
        table: as from `tables.read_table`.
        at: "best" or "end".
        split: "test" or "validation".

    Raises:
        LotteryError: nothing was read off there.
    """
    rows = results_at(table, at=at, split=split)
    judged = judge_levels(table, at=at, split=split)
    answers = search_or_prune(table, at=at, split=split)
    for run, of_run in rows.groupby("run", sort=False):
        name = _name(rows, of_run)
        answers.append(_winning(name, judged[judged["run"] == run], split))
        answers += _control(
            of_run, REINITIALISED, f"Does the initialisation of {name} matter?", "new weights"
        )
        answers += _control(
            of_run, RANDOM_MASK, f"Does the place of the weights of {name} matter?", "a random mask"
        )
    return answers


def search_or_prune(
    table: pd.DataFrame, *, budget: str = "parameters", at: str = "best", split: str = "test"
) -> list[Answer]:
    """Per data set with two or more networks: which one is better at matched budgets.

    Args:
        table: as from `tables.read_table`.
        budget: a name in `frontier.BUDGETS`.
        at: "best" or "end".
        split: "test" or "validation".

    Raises:
        LotteryError: nothing was read off there, or there is no such budget.
    """
    return [
        answer
        for data, of_data in table.groupby("data", sort=False)
        for answer in _search_or_prune(str(data), of_data, budget, at, split)
    ]


def _name(rows: pd.DataFrame, of_run: pd.DataFrame) -> str:
    """The network on its data, and the run where several runs share both."""
    network, data, run = of_run[["network", "data", "run"]].iloc[0]
    same = rows[(rows["network"] == network) & (rows["data"] == data)]
    suffix = f" (run {run})" if same["run"].nunique() > 1 else ""
    return f"{network} on {data}{suffix}"


def _winning(name: str, judged: pd.DataFrame, split: str) -> Answer:
    question = f"Does {name} hold winning tickets?"
    if judged.empty:
        return Answer(question=question, answer="Nothing was pruned yet.", verdict="undecided")
    winning = judged["winning"].tolist()
    verdict: Verdict = "undecided"
    if "yes" in winning:
        verdict = "yes"
    elif all(word == "no" for word in winning):
        verdict = "no"
    return Answer(
        question=question,
        answer=f"{_matching(judged, split)} {_winning_levels(judged)}",
        verdict=verdict,
    )


def _matching(judged: pd.DataFrame, split: str) -> str:
    found = smallest_matching(judged)
    if found.empty:
        words = judged["matching"].tolist()
        lost = int(judged["diverged"].sum()), int(judged["replicates"].sum())
        of_dense = int(judged["dense_diverged"].max()), int(judged["replicates"].max())
        told = diverged(ticket=lost, dense=of_dense)
        why = f"; {told}" if told else ""
        if of_dense[1] < MINIMUM_N:
            why = f"; at least {MINIMUM_N} seeds are needed{why}"
        return (
            f"No level was shown to match the dense network: of {len(words)}, {words.count('no')} do not and "
            f"{words.count('undecided')} are undecided{why}."
        )
    best = found.iloc[0]
    told = diverged(
        ticket=(best["diverged"], best["replicates"]),
        dense=(best["dense_diverged"], best["replicates"]),
    )
    return (
        f"With {percent(best['density'])} of its weights it still matches the dense network: "
        f"{split} {best['metric']} {with_unit(best['mean'], best['unit'])} against "
        f"{with_unit(best['dense_mean'], best['unit'])}, an advantage of {_advantage(best)} "
        f"({_sample(best['n'], told)}, {_tested('', best['p_matching'], told)} for a margin of "
        f"{with_unit(best['margin'], '')})."
    )


def _winning_levels(judged: pd.DataFrame) -> str:
    if not judged["reinitialised"].any():
        return (
            f"Whether these are winning tickets is open: there is no {REINITIALISED} replicate "
            "to compare them with."
        )
    winning = judged[judged["winning"] == "yes"]
    if winning.empty:
        names = ("diverged", "replicates", "reinitialised_diverged", "reinitialised")
        lost, tickets, lost_there, controls = (int(judged[name].sum()) for name in names)
        told = diverged(ticket=(lost, tickets), reinitialised=(lost_there, controls))
        why = f"; {told}" if told else ""
        return f"No level was shown to win, that is, to match and to beat {REINITIALISED} too{why}."
    sparsest = smallest_winning(judged).iloc[0]
    gain = interval(sparsest["gain_low"], sparsest["gain_high"])
    told = diverged(
        ticket=(sparsest["diverged"], sparsest["replicates"]),
        reinitialised=(sparsest["reinitialised_diverged"], sparsest["reinitialised"]),
    )
    densities = ", ".join(percent(density) for density in winning["density"])
    return (
        f"{len(winning)} of {len(judged)} levels win, that is, match and beat {REINITIALISED} too "
        f"(densities {densities}); at {percent(sparsest['density'])} by "
        f"{difference(sparsest['gain'], sparsest['unit'])} {gain} "
        f"({_sample(sparsest['n_reinitialised'], told)}, {_tested('', sparsest['p_gain'], told)})."
    )


def _control(rows: pd.DataFrame, control: str, question: str, what: str) -> list[Answer]:
    """Ticket against a control at the sparsest level that has both."""
    both = set(rows[rows["arm"] == TICKET]["level"]) & set(rows[rows["arm"] == control]["level"])
    if not both - {0}:
        return []
    level = int(max(both))
    verdict, shown = decide_control(rows, level, control)
    of_ticket = rows[(rows["level"] == level) & (rows["arm"] == TICKET)]
    density = percent(of_ticket["density"].mean())
    unit = str(rows["unit"].iloc[0])
    names = (control, TICKET) if verdict == "no" else (TICKET, control)
    told = losses(shown, *names)
    numbers = (
        f"{difference(shown.difference, unit)} {interval(shown.low, shown.high)} "
        f"({_sample(shown.n, told)}, {_tested('one-sided ', shown.p, told)})"
    )
    endings = {
        "yes": f"the ticket beats {what}",
        "no": f"{what} does as well as the ticket or better",
        "undecided": f"ticket and {what} were not told apart",
    }
    return [
        Answer(
            question=question,
            answer=f"At {density} of the weights {endings[verdict]}: {numbers}.",
            verdict=verdict,
        )
    ]


def decide_control(rows: pd.DataFrame, level: int, control: str) -> tuple[Verdict, Comparison]:
    """Whether a ticket beats a control at one level of one run, and the comparison that says so.

    "yes" when it is significantly better, "no" when the control is shown to be no worse than the
    ticket by more than the metric's margin (the comparison is then the control's with the ticket),
    else "undecided". Neither is for the side that lost more.
    """
    better = compare_arms(rows, level, TICKET, control)
    equal = compare_arms(rows, level, control, TICKET, within_margin=True)
    verdict = judge(better, better.p, equal.p)
    return verdict, equal if verdict == "no" else better


def losses(found: Comparison, ours: str, theirs: str) -> str:
    """How many of both sides of a comparison diverged; nothing where none did."""
    sides = {ours: (found.ours_lost, found.ours), theirs: (found.theirs_lost, found.theirs)}
    return diverged(**sides)


def _search_or_prune(
    data: str, table: pd.DataFrame, budget: str, at: str, split: str
) -> list[Answer]:
    """Which network is better at matched sizes; decided when most budgets are, and all one way."""
    networks = table.drop_duplicates(["network", "run"])
    if len(networks) < 2:
        return []
    searched = networks["origin"] == SEARCHED
    if searched.any() and not searched.all():
        fought = contests(table, budget=budget, between="origins", at=at, split=split)
        question = f"Search or prune: is the searched network the better one on {data}?"
        winner = fought["first_origin"].where(
            fought["better"] == fought["first"], fought["second_origin"]
        )
        said_yes = winner == SEARCHED
    else:
        fought = contests(table, budget=budget, at=at, split=split)
        question = f"Is there a better network at equal size on {data}?"
        said_yes = fought["better"] != ""
    decided = fought["better"] != ""
    verdict: Verdict = "undecided"
    if decided.any() and 2 * decided.sum() >= len(fought):
        words = said_yes[decided]
        verdict = "yes" if words.all() else "undecided" if words.any() else "no"
    sentences = [_sentence(row, budget) for _, row in fought.iterrows()]
    none = "No two networks have a level of matched size."
    return [Answer(question=question, answer=" ".join(sentences) or none, verdict=verdict)]


def _sentence(row: pd.Series, budget: str) -> str:
    first_is_ahead = row["better"] == row["first"] if row["better"] else row["difference"] > 0
    ahead, behind = ("first", "second") if first_is_ahead else ("second", "first")
    says = "is better than" if row["better"] else "is not shown to differ from"
    lost = row["first_diverged"] + row["second_diverged"]
    sizes = [counted(row[f"{side}_n"], row[f"{side}_diverged"]) for side in (ahead, behind)]
    sides = [
        f"{row[side]} ({row[f'{side}_origin']}, density {percent(row[f'{side}_density'])})"
        for side in (ahead, behind)
    ]
    return (
        f"Within {count(row['budget'])} {BUDGETS[budget]} {sides[0]} {says} {sides[1]}: "
        f"{_advantage_of(row, ahead)} ({_tested('adjusted ', row['p'], lost, 'rank test ')}, "
        f"n = {' and '.join(sizes)})."
    )


def _sample(n: int, lost: str) -> str:
    """How many pairs a number is of, and what diverged."""
    return f"n = {n}; {lost}" if lost else f"n = {n}"


def _tested(how: str, p: float, lost: object, instead: str = "sign test ") -> str:
    """A p-value after the words that say how it came about, or why there is none.

    Args:
        how: words before it.
        p: it.
        lost: what diverged, if anything did.
        instead: the test that then took the place of the usual one.
    """
    if math.isnan(p) and lost:
        return "not tested: too few are left"
    if math.isnan(p):
        return f"not tested: that needs {MINIMUM_N} networks of each"
    return f"{how}{instead if lost else ''}{p_value(p)}"


def _advantage_of(row: pd.Series, ahead: str) -> str:
    if ahead == "first":
        return _advantage(row)
    return f"{difference(-row['difference'], row['unit'])} {interval(-row['high'], -row['low'])}"


def _advantage(row: pd.Series) -> str:
    return f"{difference(row['difference'], row['unit'])} {interval(row['low'], row['high'])}"
