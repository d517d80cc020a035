"""Numbers as text."""

from __future__ import annotations

import doctest

import pytest

from analysis import judging, wording


def test_the_examples_hold() -> None:
    for module in (wording, judging):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


def test_missing_numbers_are_a_dash() -> None:
    nan = float("nan")
    assert wording.with_unit(nan, "%") == wording.count(nan) == wording.difference(nan, "") == "–"


@pytest.mark.parametrize(("value", "text"), [(99.994, "99.99"), (100.04, "100.0"), (-0.5, "-0.50")])
def test_values_of_a_hundred_lose_a_decimal(value: float, text: str) -> None:
    assert wording.number(value) == text
