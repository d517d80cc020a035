"""Verdicts of comparisons, and their adjustment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judging import Comparison, holm, judge


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04 -> running maximum
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_passes_over_what_was_not_tested() -> None:
    adjusted = holm([0.5, math.nan, 0.02])
    assert adjusted[0] == 0.5
    assert math.isnan(adjusted[1])
    assert adjusted[2] == 0.04


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_lowers_nothing(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(a >= p and a <= 1 for a, p in zip(adjusted, p_values, strict=True))
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in ranked] == sorted(adjusted)


@pytest.mark.parametrize(
    ("lost", "p", "opposite", "verdict"),
    [
        ((0, 0), 0.01, 0.9, "yes"),
        ((0, 1), 0.01, 0.9, "yes"),
        ((1, 1), 0.01, 0.9, "yes"),
        ((2, 1), 0.01, 0.9, "undecided"),
        ((2, 1), 0.9, 0.01, "no"),
        ((1, 1), 0.9, 0.01, "no"),
        ((1, 2), 0.9, 0.01, "undecided"),
        ((2, 1), 0.01, 0.01, "no"),  # better, but within the margin of the other
        ((0, 0), 0.01, 0.01, "yes"),
        ((0, 4), 0.3, 0.3, "undecided"),
    ],
)
def test_the_side_that_lost_more_never_wins(
    lost: tuple[int, int], p: float, opposite: float, verdict: str
) -> None:
    found = Comparison(n=3, ours=5, theirs=5, ours_lost=lost[0], theirs_lost=lost[1])
    assert judge(found, p, opposite) == verdict


def test_what_was_lost_is_a_share_where_the_sides_differ_in_size() -> None:
    more = Comparison(n=3, ours=4, theirs=20, ours_lost=1, theirs_lost=2)
    assert judge(more, 0.001, 0.9) == "undecided"
    less = Comparison(n=3, ours=20, theirs=4, ours_lost=2, theirs_lost=1)
    assert judge(less, 0.001, 0.9) == "yes"
