"""What searches found as tables of text, for terminals and reports."""

from __future__ import annotations

import math

import pandas as pd

from analysis.search_tables import FOUND, RANDOM
from analysis.text_tables import Table
from analysis.wording import MISSING, count, counted, number, with_unit


def architectures_table(architectures: pd.DataFrame, search: str, most: int | None = None) -> Table:
    """What a search found, the best first, and below it the mean of the random architectures.

    Args:
        architectures: as from `search_tables.read_searches`.
        search: its name.
        most: how many are shown; None for all.
    """
    rows = architectures[architectures["search"] == search]
    unit, metric = str(rows["unit"].iloc[0]), str(rows["metric"].iloc[0])
    found = rows[rows["origin"] == FOUND].sort_values("rank")
    shown = [_row(row, unit) for _, row in found.head(most if most else len(found)).iterrows()]
    by_chance = rows[rows["origin"] == RANDOM]
    if not by_chance.empty:
        lost = by_chance["lost"] > 0
        alone = by_chance["standalone_metric"].mask(lost).mean()
        cells = (_cell(by_chance["score_metric"].mean(), unit), _cell(alone, unit))
        number = f"mean of {counted((~lost).sum(), lost.sum())} random"
        shown.append((MISSING, *cells, count(by_chance["parameters"].mean()), number))
    head = ("rank", f"{metric} by score", f"{metric} alone", "parameters", "genotype")
    return Table(head=head, rows=shown)


def _row(row: pd.Series[float], unit: str) -> tuple[str, ...]:
    alone = f"{MISSING} (diverged)" if row["lost"] else _cell(row["standalone_metric"], unit)
    cells = (_cell(row["score_metric"], unit), alone)
    return (str(row["rank"]), *cells, count(row["parameters"]), str(row["genotype"]))


def _cell(value: float, unit: str) -> str:
    return with_unit(value, unit) if math.isfinite(value) else MISSING


def history_table(history: pd.DataFrame) -> Table:
    """The last value of every number that searches record, one row per search and number."""
    last = history.groupby(["search", "name"], sort=False)["value"].agg(["last", "count"])
    rows: list[tuple[str, ...]] = [
        (str(search), str(name), number(float(row["last"])), str(int(row["count"])))
        for (search, name), row in zip(last.index, last.to_dict("records"), strict=True)
    ]
    return Table(head=("search", "number", "at the end", "phases"), rows=rows)
