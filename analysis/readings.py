"""What measurements read off trained networks: over the seeds, and as a table of text."""

from __future__ import annotations

import pandas as pd

from analysis.rows import average_copies
from analysis.summaries import summarise
from analysis.text_tables import Table
from analysis.wording import MISSING, counted, digits, percent

# What a mean is of, beside the seeds.
SERIES = ("run", "measurement", "settings", "other", "at", "metric")
KEYS = (*SERIES, "x", "level", "arm")


def readings_of_seeds(readings: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, with `diverged` where it has no value.

    Args:
        readings: as `Study.readings`.
    """
    rows = average_copies(readings)
    return rows.assign(diverged=rows["value"].isna())


def summarise_readings(rows: pd.DataFrame, interval: str = "t") -> pd.DataFrame:
    """Mean, spread, n and interval over the seeds of each reading, and its mean density.

    Args:
        rows: as from `readings_of_seeds`.
        interval: a name in `summaries.INTERVALS`.

    Returns:
        columns `KEYS`, those of `summaries.STATISTICS`, and density.
    """
    statistics = summarise(rows, KEYS, interval=interval)
    grouped = rows.groupby(list(KEYS), sort=False, dropna=False, as_index=False)
    return statistics.merge(grouped["density"].mean(), on=list(KEYS), validate="one_to_one")


def readings_table(readings: pd.DataFrame, run: str) -> Table:
    """One row per measurement, level, arm and metric of a run; columns that say nothing are left out.

    Args:
        readings: as `Study.readings`.
        run: its name.
    """
    means = summarise_readings(readings_of_seeds(readings[readings["run"] == run]))
    head = ("measurement", "settings", "level", "density", "arm", "of", "weights", "metric", "x")
    rows: list[tuple[str, ...]] = [
        (
            *(row["measurement"], row["settings"], str(row["level"]), _density(row["density"])),
            *(row["arm"], row["other"], row["at"], row["metric"], digits(row["x"])),
            *(digits(row["mean"]), f"[{digits(row['low'])}, {digits(row['high'])}]"),
            counted(row["n"], row["diverged"]),
        )
        for _, row in means.iterrows()
    ]
    table = Table(head=(*head, "mean", "95 % interval", "n"), rows=rows)
    empty = {
        title
        for column, title in enumerate(head)
        if all(row[column] in ("", MISSING) for row in rows)
    }
    return table.select(*(title for title in table.head if title not in empty))


def _density(density: float) -> str:
    return MISSING if pd.isna(density) else percent(density)
