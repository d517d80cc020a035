"""One sentence per question of a study, with the numbers that carry it: does a run hold tickets, and why."""

from __future__ import annotations

import pandas as pd

from analysis.answers import Answer, advantage, losses, sample, tested
from analysis.judging import MINIMUM_N, Comparison, Verdict, judge
from analysis.rows import results_at
from analysis.size_verdicts import search_or_prune
from analysis.winners import (
    REINITIALISED,
    compare_arms,
    judge_levels,
    smallest_matching,
    smallest_winning,
)
from analysis.wording import difference, diverged, interval, percent, with_unit
from lottery.identity import TICKET

# Control -> what it asks of a network, and what the ticket is compared with there.
CONTROLS = {
    REINITIALISED: ("Does the initialisation of {name} matter?", "new weights"),
    "shuffled-mask": (
        "Does the place of the weights within the layers of {name} matter?",
        "a shuffled mask",
    ),
    "random-mask": ("Does the place of the weights of {name} matter?", "a random mask"),
}


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
        for control, (question, what) in CONTROLS.items():
            answers += _control(of_run, control, question.format(name=name), what)
    return answers


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
        f"{with_unit(best['dense_mean'], best['unit'])}, an advantage of {advantage(best)} "
        f"({sample(best['n'], told)}, {tested('', best['p_matching'], told)} for a margin of "
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
        f"({sample(sparsest['n_reinitialised'], told)}, {tested('', sparsest['p_gain'], told)})."
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
        f"({sample(shown.n, told)}, {tested('one-sided ', shown.p, told)})"
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
