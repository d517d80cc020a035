"""Summaries: worked intervals, and what diverged."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.summaries import INTERVALS, bca_interval, summarise, t_interval
from training.errors import LotteryError


def table(values: list[float | None], diverged: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"arm": "ticket", "value": values, "diverged": diverged})


def test_t_interval_of_one_two_three() -> None:
    # mean 2, sd 1, t(0.975, 2) = 4.302653: 2 ± 4.302653 / √3
    low, high = t_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((-0.484138, 4.484138), abs=1e-6)


@pytest.mark.parametrize("name", INTERVALS)
def test_one_value_has_no_interval(name: str) -> None:
    assert all(math.isnan(end) for end in INTERVALS[name](np.array([98.0])))


def test_bca_is_repeatable_and_inside_the_range() -> None:
    values = np.array([98.0, 98.2, 97.9, 98.4, 98.1])
    low, high = bca_interval(values)
    assert (low, high) == bca_interval(values)
    assert 97.9 <= low < values.mean() < high <= 98.4
    assert bca_interval(np.array([5.0, 5.0, 5.0])) == (5.0, 5.0)


def test_diverged_replicates_are_counted_and_left_out() -> None:
    rows = table([1.0, 3.0, None, 1000.0], [False, False, True, True])
    found = summarise(rows, ["arm"]).iloc[0]
    assert (found["mean"], found["n"], found["diverged"]) == (2.0, 2, 2)
    assert found["sd"] == pytest.approx(math.sqrt(2))


def test_all_diverged_has_no_mean() -> None:
    found = summarise(table([None, None], [True, True]), ["arm"]).iloc[0]
    assert math.isnan(found["mean"])
    assert (found["n"], found["diverged"]) == (0, 2)


def test_unknown_interval_names_the_known_ones() -> None:
    with pytest.raises(LotteryError, match="did you mean bca"):
        summarise(table([1.0], [False]), ["arm"], interval="bcaa")
