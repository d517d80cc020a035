"""Tests between networks: worked answers and invariants."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.judging import Comparison, decide, judge
from analysis.significance import at_equal_size, paired, welch

SEEDS = range(5)


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_non_inferiority_against_a_worked_example() -> None:
    # differences -0.1, 0, 0.1: mean 0, sd 0.1; with a margin of 0.2, t = 0.2 / (0.1 / √3) = 3.4641
    # on 2 degrees of freedom: p = (1 - t / √(t² + 2)) / 2 = (1 - √(6/7)) / 2 = 0.03709
    found = paired(
        by_seed(97.9, 98.0, 98.1), by_seed(98.0, 98.0, 98.0), higher_is_better=True, margin=0.2
    )
    assert found.n == 3
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert found.p == pytest.approx(0.037090, abs=1e-6)
    assert found.p_opposite == pytest.approx(1 - 0.037090, abs=1e-6)
    assert decide(found.p, found.p_opposite) == "yes"


def test_lower_is_better_turns_the_sign() -> None:
    found = paired(by_seed(90, 92, 91), by_seed(100, 101, 105), higher_is_better=False)
    assert found.difference == pytest.approx(11)
    assert found.p < 0.05
    assert found.effect > 0


def test_only_common_seeds_count() -> None:
    found = paired({0: 1.0, 1: 2.0, 7: 9.0}, {0: 0.0, 1: 0.0, 3: 5.0}, higher_is_better=True)
    assert (found.n, found.difference) == (2, 1.5)
    assert math.isnan(found.p)
    assert decide(found.p, found.p_opposite) == "undecided"


def test_nothing_in_common_is_undecided() -> None:
    found = paired({0: 1.0}, {1: 1.0}, higher_is_better=True)
    assert found.n == 0
    assert decide(found.p, found.p_opposite) == "undecided"


@pytest.mark.parametrize(
    ("shift", "margin", "verdict"),
    [(0.1, 0.0, "yes"), (-0.1, 0.0, "no"), (-0.1, 0.2, "yes"), (0.0, 0.0, "undecided")],
)
def test_identical_differences_need_no_spread(shift: float, margin: float, verdict: str) -> None:
    theirs = {seed: 98.0 + 0.3 * seed for seed in SEEDS}
    ours = {seed: value + shift for seed, value in theirs.items()}
    found = paired(ours, theirs, higher_is_better=True, margin=margin)
    assert decide(found.p, found.p_opposite) == verdict


NAN = math.nan


@pytest.mark.parametrize(
    ("ours", "theirs", "n", "wins", "of"),
    [
        # Every pair that one side lost counts for the other, those that both lost for none.
        ((1.3, 1.2, 1.1, 1.4), (NAN, 0.2, 0.0, 0.5), 3, 4, 4),
        ((1.3, 1.2, 1.1, 1.4), (NAN, NAN, NAN, NAN), 0, 4, 4),
        ((NAN, 1.2, 1.1, 1.4), (0.1, 0.2, 0.0, 0.5), 3, 3, 4),
        ((NAN, 1.2, 1.1, 1.4), (0.1, NAN, 0.0, 0.5), 2, 3, 4),
        ((NAN, 1.2, 1.1, 1.4), (NAN, 0.2, 0.0, 0.5), 3, 3, 3),
        ((NAN, NAN, NAN, 1.4), (0.1, 0.2, 0.0, 0.5), 1, 1, 4),
        ((NAN, NAN, NAN, NAN), (0.1, 0.2, 0.0, 0.5), 0, 0, 4),
        ((NAN, 0.2, 0.0, 0.5), (0.1, 0.2, 0.0, 0.4), 3, 1, 2),  # two ties
    ],
)
def test_pairs_with_lost_replicates_take_the_sign_test(
    ours: tuple[float, ...], theirs: tuple[float, ...], n: int, wins: int, of: int
) -> None:
    found = paired(by_seed(*ours), by_seed(*theirs), higher_is_better=True)
    known = [a - b for a, b in zip(ours, theirs, strict=True) if not math.isnan(a - b)]
    assert found.n == n == len(known)
    assert found.difference == pytest.approx(np.mean(known) if known else NAN, nan_ok=True)
    assert found.p == pytest.approx(stats.binomtest(wins, of, alternative="greater").pvalue)
    assert found.p_opposite == pytest.approx(stats.binomtest(wins, of, alternative="less").pvalue)
    assert (found.ours, found.theirs) == (4, 4)
    assert found.ours_lost == sum(map(math.isnan, ours))
    assert found.theirs_lost == sum(map(math.isnan, theirs))
    if not known:  # who diverged decides, whatever the direction
        less = paired(by_seed(*ours), by_seed(*theirs), higher_is_better=False)
        assert (less.p, less.p_opposite) == (found.p, found.p_opposite)


def test_a_margin_holds_for_the_pairs_that_are_left() -> None:
    # Worse by 0.1 three times within a margin of 0.2, once lost by the other side: 4 of 4.
    ours, theirs = by_seed(0.9, 0.8, 0.7, 0.6), by_seed(1.0, 0.9, 0.8, NAN)
    assert paired(ours, theirs, higher_is_better=True, margin=0.2).p == 0.5**4
    assert paired(ours, theirs, higher_is_better=True).p == 15 / 16  # 1 of 4
    assert paired(ours, by_seed(NAN, NAN, NAN, NAN), higher_is_better=True, margin=NAN).p == 0.5**4


def test_two_pairs_or_only_lost_ones_test_nothing() -> None:
    lost = by_seed(NAN, NAN, NAN)
    for found in (
        paired(by_seed(NAN, 1.0), by_seed(0.5, 0.5), higher_is_better=True),
        paired(lost, lost, higher_is_better=True),
        welch(np.full(3, NAN), np.full(3, NAN), higher_is_better=True),
        welch(np.array([NAN, 1.0]), np.array([0.5, 0.5, 0.6]), higher_is_better=True),
    ):
        assert math.isnan(found.p)
        assert math.isnan(found.p_opposite)
        assert judge(found, found.p, found.p_opposite) == "undecided"


@pytest.mark.parametrize("higher", [True, False])
def test_samples_with_lost_replicates_take_the_rank_test(higher: bool) -> None:
    ours, theirs = np.array([3.0, 5.0, 4.0, 2.2]), np.array([1.0, NAN, 2.5, NAN, 0.5])
    found = welch(ours, theirs, higher_is_better=higher)
    assert (found.n, found.ours_lost, found.theirs_lost) == (3, 0, 2)
    assert (found.ours, found.theirs) == (4, 5)
    # Of the 126 ways to choose 4 of 9 ranks, those of which the sum is at least ours: two lost share ranks 1 and 2.
    sign = 1 if higher else -1
    worst = np.concatenate([sign * ours, np.where(np.isnan(theirs), -99.0, sign * theirs)])
    ranks = stats.rankdata(worst)
    sums = [sum(chosen) for chosen in itertools.combinations(ranks, 4)]
    assert found.p == pytest.approx(np.mean([total >= ranks[:4].sum() for total in sums]))
    assert found.p_opposite == pytest.approx(np.mean([total <= ranks[:4].sum() for total in sums]))
    left = stats.ttest_ind(ours, theirs[~np.isnan(theirs)], equal_var=False)
    assert (found.low, found.high) == pytest.approx(
        sorted(sign * end for end in left.confidence_interval(0.95))
    )


def test_many_lost_replicates_take_the_normal_approximation() -> None:
    ours = np.linspace(1.0, 2.0, 10)
    theirs = np.where(np.arange(10) < 3, NAN, ours - 0.5)
    worst = np.where(np.isnan(theirs), -99.0, theirs)
    known = stats.mannwhitneyu(ours, worst, alternative="greater", method="asymptotic")
    assert welch(ours, theirs, higher_is_better=True).p == pytest.approx(known.pvalue)


def test_at_equal_size_passes_over_what_was_lost() -> None:
    sizes, values = np.exp([0.0, 1.0, 2.0]), np.array([0.1, 0.8, 2.1])
    whole = at_equal_size(values + 2, values[::-1], sizes, sizes, higher_is_better=True)
    more = at_equal_size(
        np.append(values + 2, NAN),
        values[::-1],
        np.append(sizes, 9.0),
        sizes,
        higher_is_better=True,
    )
    assert (more.p, more.difference, more.n) == (whole.p, whole.difference, 3)
    assert (more.ours, more.ours_lost) == (4, 1)


def test_welch_equals_scipy() -> None:
    ours, theirs = np.array([3.0, 5.0, 4.0, 6.5]), np.array([1.0, 2.0, 2.5])
    found = welch(ours, theirs, higher_is_better=True)
    known = stats.ttest_ind(ours, theirs, equal_var=False, alternative="greater")
    both = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert found.p == pytest.approx(float(known.pvalue))
    assert (found.low, found.high) == pytest.approx((both.low, both.high))
    assert found.n == 3


def test_welch_without_spread_or_replicates() -> None:
    same = np.array([2.0, 2.0, 2.0])
    found = welch(same, same - 1, higher_is_better=True)
    assert (found.p, found.low, found.high) == (0.5**3, 1.0, 1.0)
    assert math.isnan(welch(same[:2], same, higher_is_better=True).p)


def test_at_equal_size_by_hand() -> None:
    sizes = np.exp([0.0, 1.0, 2.0])
    theirs = np.array([0.1, 0.8, 2.1])  # log size, and residuals of 0.1, -0.2, 0.1
    ours = np.array([1.9, 3.2, 3.9])  # 2 more, with the opposite residuals
    found = at_equal_size(ours, theirs, sizes, sizes, higher_is_better=True)
    # Squares of the residuals 0.12 by 6 - 3 degrees of freedom, times 1/3 + 1/3.
    error = math.sqrt(0.04 * 2 / 3)
    assert found.difference == pytest.approx(2.0)
    assert found.effect == pytest.approx(2.0 / 0.2)
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found.p == pytest.approx(stats.t.sf(2.0 / error, 3))
    worse = at_equal_size(ours, theirs, sizes, sizes, higher_is_better=False)
    assert (worse.difference, worse.p) == pytest.approx((-2.0, found.p_opposite))


def test_what_size_explains_is_no_advantage() -> None:
    sizes = np.exp([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    values = np.log(sizes) + np.array([0.1, -0.1, 0.1, 0.1, -0.1, -0.1])
    assert decide(*_ps(welch(values[3:], values[:3], higher_is_better=True))) == "yes"
    found = at_equal_size(values[3:], values[:3], sizes[3:], sizes[:3], higher_is_better=True)
    assert decide(*_ps(found)) == "undecided"


def test_at_equal_size_needs_three_and_sizes_that_overlap() -> None:
    two, three = np.array([1.0, 2.0]), np.array([1.0, 2.0, 4.0])
    assert math.isnan(at_equal_size(two, three, two, three, higher_is_better=True).p)
    # Each side has one size: whatever they differ in may be the size's doing.
    small, large = np.full(3, 10.0), np.full(3, 20.0)
    assert math.isnan(at_equal_size(three, three + 1, large, small, higher_is_better=True).p)


def _ps(found: Comparison) -> tuple[float, float]:
    return found.p, found.p_opposite


@given(
    st.lists(st.floats(90, 99), min_size=3, max_size=8),
    st.lists(st.floats(90, 99), min_size=8, max_size=8),
)
def test_exchanging_sides_exchanges_the_tests(ours: list[float], theirs: list[float]) -> None:
    forth = paired(by_seed(*ours), by_seed(*theirs), higher_is_better=True)
    back = paired(by_seed(*theirs), by_seed(*ours), higher_is_better=True)
    assert forth.p == pytest.approx(back.p_opposite)
    assert forth.difference == pytest.approx(-back.difference)
