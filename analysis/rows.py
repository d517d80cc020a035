"""Rows of tables: one per seed, those at one point of training, those that are sound; and texts that act on nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from training.errors import LotteryError, visible

LOSS = "loss"
# What copies of a seed may differ in.
AVERAGED = (
    *("density", "parameters", "multiply_adds", "bytes", "early_stop_step", "kept", "value"),
)


def average_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, which is the unit of every statistic: its copies, which differ in noise alone, are averaged.

    A seed of which any copy diverged or has no value has diverged and has none.

    Args:
        rows: with a column `copy`; any of `AVERAGED`, `value` among them, and all others to tell rows apart.

    Returns:
        the same columns without `copy`, in the order of each seed's first row.
    """
    single = rows.drop(columns="copy")
    if not rows["copy"].any():
        return single
    means = [name for name in AVERAGED if name in single]
    keys = [name for name in single if name not in (*means, "diverged")]
    lost = single["value"].isna() | single.get("diverged", default=False)
    of_seed = single.assign(diverged=lost).groupby(keys, sort=False, dropna=False, as_index=False)
    found = of_seed.agg({**dict.fromkeys(means, "mean"), "diverged": "any"})
    found["value"] = found["value"].mask(found["diverged"])
    return found[list(single)]


def results_at(table: pd.DataFrame, *, at: str = "best", split: str = "test") -> pd.DataFrame:
    """The rows of the task's own metric (not the loss) at one point of training on one split, one per seed.

    Raises:
        LotteryError: there are none.
    """
    rows = table[(table["at"] == at) & (table["split"] == split) & (table["metric"] != LOSS)]
    if rows.empty:
        known = table[table["metric"] != LOSS][["at", "split"]].drop_duplicates()
        points = ", ".join(f"{a}/{s}" for a, s in known.itertuples(index=False))
        raise LotteryError(f"Nothing was read off at {at}/{split}; known: {points or 'nothing'}.")
    return average_copies(rows).reset_index(drop=True)


def sound_results(table: pd.DataFrame) -> pd.DataFrame:
    """The test results at the early-stop step; none where every network diverged."""
    rows = results_at(table)
    return rows if any_sound(rows) else rows.iloc[:0]


def sound_histories(rows: pd.DataFrame) -> pd.DataFrame:
    """Evaluations; none where every network diverged before the first."""
    return rows if rows["value"].notna().any() else rows.iloc[:0]


def any_sound(rows: pd.DataFrame) -> bool:
    """Whether any network of some rows did not diverge."""
    return bool((~rows["diverged"].astype(bool) & rows["value"].notna()).any())


def check_any_sound(rows: pd.DataFrame) -> None:
    """Refuse to draw rows without a value.

    Raises:
        LotteryError: every network diverged.
    """
    if not any_sound(rows):
        raise LotteryError(
            f"Every network of {', '.join(rows['run'].unique())} diverged, so there is nothing to draw; "
            "choose other runs, or train with a lower learning rate."
        )


def visible_names(table: pd.DataFrame) -> pd.DataFrame:
    """A table in which no text acts on a terminal, a page or a figure: the border for all that files may hold."""
    texts = table.select_dtypes(exclude=["number", "bool"])
    known = {
        value: visible(value)
        for column in texts
        for value in texts[column].unique()
        if isinstance(value, str) and not value.isprintable()
    }
    return table.replace(known) if known else table


def visible_values(value: Any) -> Any:
    """Plain JSON values with the texts in them made visible, as those of `visible_names`."""
    if isinstance(value, dict):
        return {visible(key): visible_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [visible_values(item) for item in value]
    return visible(value) if isinstance(value, str) else value
