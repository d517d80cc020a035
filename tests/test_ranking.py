"""Rank correlations and regrets, with answers by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.ranking import (
    MINIMUM_ARCHITECTURES,
    chance_regret,
    kendall,
    ranking,
    regret,
    spearman,
)
from analysis.summaries import Values


def values(*numbers: float) -> Values:
    return np.array(numbers, dtype=np.float64)


def test_correlations_by_hand() -> None:
    alone = values(1, 2, 3, 4)
    assert kendall(alone, alone) == spearman(alone, alone) == 1
    assert kendall(-alone, alone) == -1
    # Of the 6 pairs 5 agree and 1 does not; of the ranks two differ by 1: 1 - 6 * 2 / (4 * 15).
    swapped = values(1, 3, 2, 4)
    assert kendall(swapped, alone) == pytest.approx(4 / 6)
    assert spearman(swapped, alone) == pytest.approx(0.8)


def test_what_has_no_order_correlates_with_nothing() -> None:
    assert kendall(values(1, 1, 1), values(1, 2, 3)) == 0
    assert spearman(values(1, 2, 3), values(2, 2, 2)) == 0
    assert np.isnan(kendall(values(1), values(1)))


few_numbers = st.integers(-2, 2).map(float)


@given(st.lists(st.lists(st.tuples(few_numbers, few_numbers), min_size=6, max_size=6), min_size=1))
def test_correlations_of_many_samples_at_once_are_those_of_scipy(
    samples: list[list[tuple[float, float]]],
) -> None:
    pairs = np.array(samples)  # [samples, 6, 2], with ties
    scores, alone = pairs[..., 0], pairs[..., 1]
    found = zip(kendall(scores, alone), spearman(scores, alone), scores, alone, strict=True)
    for tau, rho, one, other in found:
        if np.ptp(one) == 0 or np.ptp(other) == 0:
            assert tau == rho == 0
        else:
            assert tau == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)
            assert rho == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
    for k in (1, 4):
        alike = [regret(one, other, k) for one, other in zip(scores, alone, strict=True)]
        assert regret(scores, alone, k).tolist() == alike


def test_regret_by_hand() -> None:
    scores, alone = values(4, 3, 2, 1), values(0.2, 0.5, 0.9, 0.4)
    assert [regret(scores, alone, k) for k in (1, 2, 3, 4)] == pytest.approx([0.7, 0.4, 0, 0])
    # Equal scores: the first counts.
    assert regret(values(1, 1), values(0.3, 0.5), 1) == pytest.approx(0.2)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=7), st.integers(1, 3))
def test_the_regret_of_chance_is_the_mean_over_all_choices(numbers: list[float], k: int) -> None:
    k = min(k, len(numbers))
    lost = [max(numbers) - max(chosen) for chosen in combinations(numbers, k)]
    assert chance_regret(values(*numbers), k) == pytest.approx(sum(lost) / len(lost), abs=1e-12)


def test_the_same_ranking_is_better_than_chance_and_its_opposite_is_not() -> None:
    alone = np.random.default_rng(0).normal(size=MINIMUM_ARCHITECTURES)
    same, opposite = ranking(2 * alone + 1, alone), ranking(-alone, alone)
    assert (same.verdict, opposite.verdict) == ("yes", "no")
    assert (same.tau.value, same.rho.value) == pytest.approx((1, 1))
    assert (same.tau.low, same.tau.high) == pytest.approx((1, 1))
    assert [found.loss.value for found in same.regrets] == [0, 0, 0]
    assert opposite.regrets[0].loss.value > opposite.regrets[0].by_chance > 0


def test_few_architectures_and_noise_are_undecided() -> None:
    draws = np.random.default_rng(1)
    few = draws.normal(size=MINIMUM_ARCHITECTURES - 1)
    assert ranking(few, few).verdict == "undecided"
    noisy = ranking(draws.normal(size=25), draws.normal(size=25))
    assert noisy.verdict == "undecided"
    assert noisy.tau.low < noisy.tau.value < noisy.tau.high
    assert ranking(np.ones(25), draws.normal(size=25)).verdict == "undecided"


def test_one_architecture_has_no_interval() -> None:
    found = ranking(values(1.0), values(2.0))
    assert np.isnan([found.tau.value, found.tau.low, found.tau.high]).all()
    assert [each.k for each in found.regrets] == [1]
