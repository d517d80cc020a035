"""Searched against pruned: networks of the same data at matched sizes.

Levels and networks are chosen by the validation metric; the test metric only judges the choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from analysis.budgets import BUDGETS, matched_budgets
from analysis.judging import Comparison, holm, judge
from analysis.rows import LOSS, average_copies, results_at
from analysis.significance import welch
from analysis.summaries import summarise_levels
from lottery.identity import TICKET
from training.errors import chosen

SEARCHED = "searched"
COMPARISON = (
    *("data", "budget", "run", "network", "origin", "level", "density", "embeddings"),
    *("parameters", "multiply_adds", "bytes", "metric", "unit"),
    *("mean", "low", "high", "n", "diverged", "on_front"),
)
CONTESTS = (
    *("data", "metric", "unit", "budget"),
    *("first", "first_origin", "first_density", "first_n", "first_diverged"),
    *("second", "second_origin", "second_density", "second_n", "second_diverged"),
    *("difference", "low", "high", "effect", "p", "better"),
)


def frontier(
    table: pd.DataFrame, *, at: str = "best", split: str = "test", interval: str = "t"
) -> pd.DataFrame:
    """Every level of every network's tickets: sizes, metric with n and interval, and `on_front`.

    A level is on the front when no other of the same data and metric has at most its parameters and
    at least its mean, one of them strictly. `validation` is the mean on the validation split, by
    which levels are chosen; `label` names the network, and the run where several have it. A level of which half or
    more diverged has no `validation` and is not on the front: what is left of it is not what it does.

    Raises:
        LotteryError: nothing was read off there.
    """
    tickets = _tickets(results_at(table, at=at, split=split))
    levels = summarise_levels(tickets, interval=interval)
    chosen_by = average_copies(table[(table["at"] == at) & (table["split"] == "validation")])
    chosen_by = chosen_by[~chosen_by["diverged"].astype(bool) & (chosen_by["metric"] != LOSS)]
    by_level = _tickets(chosen_by).groupby(["run", "level"], as_index=False)
    validation = by_level.agg(validation=("value", "mean"))
    levels = levels.merge(validation, on=["run", "level"], how="left")
    runs_of = levels.groupby(["data", "network"])["run"].transform("nunique")
    levels["label"] = np.where(
        runs_of > 1, levels["network"] + " (" + levels["run"] + ")", levels["network"]
    )
    levels["on_front"] = False
    sound = levels["diverged"] < levels["n"]
    levels["validation"] = levels["validation"].where(sound)
    for _, group in levels.groupby(["data", "metric"], sort=False):
        levels.loc[group.index, "on_front"] = pareto(
            group["parameters"].tolist(),
            group["mean"].where(sound).tolist(),
            higher_is_better=bool(group["higher_is_better"].iloc[0]),
        )
    return levels


def pareto(
    sizes: Sequence[float], values: Sequence[float], *, higher_is_better: bool
) -> list[bool]:
    """Which points no other point dominates (no larger and no worse, and one of them strictly).

    A point without a value (NaN) is never on the front and dominates none.
    """
    sign = 1 if higher_is_better else -1
    points = [(size, -sign * value) for size, value in zip(sizes, values, strict=True)]
    return [
        not math.isnan(cost)
        and not any(s <= size and c <= cost and (s, c) != (size, cost) for s, c in points)
        for size, cost in points
    ]


def at_budget(
    levels: pd.DataFrame, budget: str = "parameters", budgets: Sequence[int] | None = None
) -> pd.DataFrame:
    """Per data, budget and network, the level within the budget that is best on validation.

    A network without a level that small is left out. Among equals the larger one is taken; levels of which half or
    more diverged come last.

    Args:
        levels: as from `frontier`.
        budget: a name in `BUDGETS`.
        budgets: the sizes; `matched_budgets` of each data set by default.

    Raises:
        LotteryError: there is no such budget.
    """
    chosen("budget", budget, BUDGETS)
    found = []
    for _, group in levels.groupby(["data", "metric"], sort=False):
        for size in matched_budgets(group, budget) if budgets is None else budgets:
            fitting = _best_first(group[group[budget] <= size], budget)
            found.append(fitting.drop_duplicates("label").assign(budget=size))
    empty = levels.iloc[:0].assign(budget=0)
    return pd.concat([empty, *found], ignore_index=True) if found else empty


def comparison(
    table: pd.DataFrame, *, budget: str = "parameters", at: str = "best", split: str = "test"
) -> pd.DataFrame:
    """One row per matched budget and network, the best first; columns `COMPARISON`.

    Raises:
        LotteryError: nothing was read off there, or there is no such budget.
    """
    rows = at_budget(frontier(table, at=at, split=split), budget)
    rows["network"] = rows["label"]
    return rows[list(COMPARISON)]


def contests(
    table: pd.DataFrame,
    *,
    budget: str = "parameters",
    between: Literal["networks", "origins"] = "networks",
    at: str = "best",
    split: str = "test",
) -> pd.DataFrame:
    """The two best contenders of each matched budget, tested against each other.

    Contenders are ranked on validation; then Welch's two-sided test compares their test values.
    The runs may differ in their seeds, so the test is not paired. The p-values are adjusted after
    Holm over the budgets of a data set; `better` names the winner at 0.05 or is empty (undecided). It never names the
    one of which more diverged; diverged networks rank worst.
    Budgets at which the same two levels would meet again are left out.

    Args:
        table: as from `tables.read_table`.
        budget: a name in `BUDGETS`.
        between: the two best networks, or the best searched network and the best of the others.
        at: "best" or "end".
        split: "test" or "validation".

    Returns:
        columns `CONTESTS`; `difference` is the first one's advantage, positive when better.

    Raises:
        LotteryError: nothing was read off there, or there is no such budget.
    """
    fitting = at_budget(frontier(table, at=at, split=split), budget)
    values = _tickets(results_at(table, at=at, split=split))
    found = []
    for _, of_data in fitting.groupby(["data", "metric"], sort=False):
        rows: dict[tuple[object, ...], tuple[dict[str, object], Comparison]] = {}
        for _, group in of_data.groupby("budget", sort=False):
            pair = _contenders(group, between)
            if len(pair) == 2:
                met = tuple(pair[["run", "level"]].to_numpy().ravel())
                rows.setdefault(met, _contest(pair, values))
        adjusted = holm([_two_sided(tested) for _, tested in rows.values()])
        for (row, tested), p in zip(rows.values(), adjusted, strict=True):
            for_first = tested.p < tested.p_opposite
            verdict = judge(tested, p if for_first else math.nan, math.nan if for_first else p)
            better = {"yes": row["first"], "no": row["second"], "undecided": ""}[verdict]
            found.append({**row, "p": p, "better": better})
    return pd.DataFrame(found, columns=list(CONTESTS))


def _contenders(group: pd.DataFrame, between: str) -> pd.DataFrame:
    """The first two rows, or the first of either side; the rows come best first."""
    if between == "origins":
        group = group.assign(side=group["origin"] == SEARCHED).drop_duplicates("side")
    return group.head(2)


def _contest(pair: pd.DataFrame, values: pd.DataFrame) -> tuple[dict[str, object], Comparison]:
    sides = []
    for run, level in pair[["run", "level"]].itertuples(index=False, name=None):
        here = values[(values["run"] == run) & (values["level"] == level)]
        known = here["value"].mask(here["diverged"].astype(bool))
        sides.append(known.to_numpy(dtype=np.float64))
    first, second = pair.iloc[0], pair.iloc[1]
    tested = welch(sides[0], sides[1], higher_is_better=bool(first["higher_is_better"]))
    row: dict[str, object] = {key: first[key] for key in ("data", "metric", "unit", "budget")}
    for name, side in (("first", first), ("second", second)):
        row |= {name: side["label"], f"{name}_origin": side["origin"]}
        row |= {f"{name}_density": side["density"], f"{name}_n": int(side["n"])}
        row |= {f"{name}_diverged": int(side["diverged"])}
    interval = {"low": tested.low, "high": tested.high, "effect": tested.effect}
    return {**row, "difference": tested.difference, **interval}, tested


def _two_sided(tested: Comparison) -> float:
    p = min(tested.p, tested.p_opposite)  # both are NaN, or neither
    return p if math.isnan(p) else min(1.0, 2 * p)


def _best_first(rows: pd.DataFrame, budget: str) -> pd.DataFrame:
    sign = -1 if rows["higher_is_better"].all() else 1
    ranked = rows.assign(_cost=sign * rows["validation"], _size=-rows[budget])
    ranked = ranked.sort_values(["_cost", "_size"], kind="stable", na_position="last")
    return ranked.drop(columns=["_cost", "_size"])


def _tickets(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["arm"] == TICKET]
