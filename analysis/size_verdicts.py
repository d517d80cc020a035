"""Search or prune: which network is the better one at matched sizes, in sentences."""

from __future__ import annotations

import pandas as pd

from analysis.answers import Answer, advantage, tested
from analysis.budgets import BUDGETS
from analysis.frontier import SEARCHED, contests
from analysis.judging import Verdict
from analysis.wording import count, counted, difference, interval, percent


def search_or_prune(
    table: pd.DataFrame, *, budget: str = "parameters", at: str = "best", split: str = "test"
) -> list[Answer]:
    """Per data set with two or more networks: which one is better at matched budgets.

    Args:
        table: as from `tables.read_table`.
        budget: a name in `BUDGETS`.
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
        f"{_advantage_of(row, ahead)} ({tested('adjusted ', row['p'], lost, 'rank test ')}, "
        f"n = {' and '.join(sizes)})."
    )


def _advantage_of(row: pd.Series, ahead: str) -> str:
    if ahead == "first":
        return advantage(row)
    return f"{difference(-row['difference'], row['unit'])} {interval(-row['high'], -row['low'])}"
