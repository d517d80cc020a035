"""Published figures to draw over ours, from CSV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.rows import visible_names
from training.errors import ExitCode, LotteryError

PUBLISHED = ("arm", "density", "value", "source")


def read_published(path: Path) -> pd.DataFrame:
    """Published figures to draw over ours, from a CSV file with the columns `PUBLISHED`.

    Raises:
        LotteryError: it can't be read, a column is missing, or a row has no density from 0 to 1 or no value.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise LotteryError(f"{path} can't be read as CSV ({error}).", ExitCode.BAD_DATA) from None
    table = visible_names(table)
    missing = [name for name in PUBLISHED if name not in table.columns]
    if missing:
        raise LotteryError(
            f"{path} has no column {missing[0]}; it needs {', '.join(PUBLISHED)}.",
            ExitCode.BAD_DATA,
        )
    numbers = table[["density", "value"]].apply(pd.to_numeric, errors="coerce").astype(float)
    fits = numbers["density"].between(0, 1) & np.isfinite(numbers["value"])
    bad = ~fits | table[["arm", "source"]].isna().any(axis=1)
    if bad.any():
        raise LotteryError(
            f"{path}, row {int(bad.to_numpy().argmax()) + 1}: it needs an arm, a density from 0 to 1, a value and a "
            "source.",
            ExitCode.BAD_DATA,
        )
    return table.assign(**numbers, **table[["arm", "source"]].astype(str))
