"""Replicates -> mean, spread, interval, count. Diverged ones are counted, never averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from training.errors import chosen

Values = npt.NDArray[np.float64]
CONFIDENCE = 0.95
BOOTSTRAP_SEED = 20190506
STATISTICS = ("mean", "sd", "n", "diverged", "low", "high")
LEVEL_KEYS = (
    *("run", "network", "origin", "data", "metric", "unit", "higher_is_better"),
    *("embeddings", "arm", "level"),
)
SIZES = ("density", "parameters", "multiply_adds", "bytes")


def t_interval(values: Values) -> tuple[float, float]:
    """Student's 95 % interval of a mean: mean ± t(0.975, n - 1) sd / √n; NaN below two values."""
    if values.size < 2:
        return float("nan"), float("nan")
    mean = float(values.mean())
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1))
    half = quantile * float(values.std(ddof=1)) / float(np.sqrt(values.size))
    return mean - half, mean + half


def bca_interval(values: Values) -> tuple[float, float]:
    """The 95 % BCa bootstrap interval of a mean (Efron 1987); NaN below two values.

    The resamples are drawn with a fixed seed, so that the same values give the same interval.
    """
    if values.size < 2:
        return float("nan"), float("nan")
    if np.ptp(values) == 0:  # every resample is the same: BCa divides by zero
        return float(values[0]), float(values[0])
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


INTERVALS: dict[str, Callable[[Values], tuple[float, float]]] = {
    "t": t_interval,
    "bca": bca_interval,
}


def summarise(
    table: pd.DataFrame, by: Sequence[str], value: str = "value", interval: str = "t"
) -> pd.DataFrame:
    """Mean, standard deviation, n, number diverged and 95 % interval of a column within each group.

    Args:
        table: one row per replicate, with a column `diverged`.
        by: the columns that make a group; the groups keep the order in which they first occur.
        value: the column to summarise; rows without a value count as diverged.
        interval: a name in `INTERVALS`.

    Raises:
        LotteryError: there is no such interval.
    """
    interval_of = chosen("interval", interval, INTERVALS)
    rows = []
    for keys, group in table.groupby(list(by), sort=False, dropna=False):
        sound = group.loc[~group["diverged"].astype(bool), value].dropna()
        values = sound.to_numpy(dtype=np.float64)
        with np.errstate(over="ignore"):  # a perplexity may be so large that its square is infinite
            low, high = interval_of(values)
            sd = float(values.std(ddof=1)) if values.size > 1 else float("nan")
        mean = float(values.mean()) if values.size else float("nan")
        lost = len(group) - values.size
        rows.append((*keys, mean, sd, values.size, lost, low, high))
    return pd.DataFrame(rows, columns=[*by, *STATISTICS])


def summarise_levels(rows: pd.DataFrame, value: str = "value", interval: str = "t") -> pd.DataFrame:
    """Per run, arm and level: the statistics of `value` and the mean sizes.

    What no mean can be is cut off the intervals: below 0, and of shares above 100 %.

    Args:
        rows: one row per replicate, as from `tables.results_at`.
        value: the column to summarise.
        interval: a name in `INTERVALS`.

    Raises:
        LotteryError: there is no such interval.
    """
    statistics = summarise(rows, LEVEL_KEYS, value, interval)
    is_share = (statistics["unit"] == "%") & (value == "value")
    statistics["low"] = statistics["low"].clip(lower=0.0)
    statistics["high"] = statistics["high"].where(~is_share, statistics["high"].clip(upper=100.0))
    sizes = rows.groupby(list(LEVEL_KEYS), sort=False, as_index=False)[list(SIZES)].mean()
    return statistics.merge(sizes, on=list(LEVEL_KEYS), how="left", validate="one_to_one")
