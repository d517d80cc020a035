"""What the answers on searches say of their tests."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from analysis.search_tables import SearchStudy, read_searches
from analysis.search_verdicts import search_answers
from tests.fake_searches import write_search

CHANCE = "Does enas find better architectures than chance"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SearchStudy:
    return read_searches([write_search(tmp_path_factory.mktemp("searches") / "enas")])


def answers(study: SearchStudy, table: pd.DataFrame) -> dict[str, str]:
    found = search_answers(dataclasses.replace(study, architectures=table))
    return {answer.question.removeprefix(CHANCE): answer.answer for answer in found}


def losing(table: pd.DataFrame, origin: str, number: int) -> pd.DataFrame:
    """The same with so many of the architectures that were trained alone diverged."""
    alone = table[table["standalone"].notna() & (table["origin"] == origin)]
    return table.assign(lost=np.where(table.index.isin(alone.index[:number]), 1, table["lost"]))


def test_numbers_stand_by_their_units_and_tests_after_them(study: SearchStudy) -> None:
    found = answers(study, study.architectures)
    gain = r"-?\d+\.\d\d \[-?\d+\.\d\d, -?\d+\.\d\d\] points of accuracy better than"
    plain = rf"its best 5 are on average {gain} 20 drawn at random \(Welch's test p [<=] [\d.]+\); "
    assert re.search(plain, found["?"])
    sized = rf"its own are {gain} the others would be at its sizes \(analysis of covariance p [<=] "
    assert re.search(sized, found[" at equal parameters?"])


@pytest.mark.parametrize(("origin", "number"), [("found", 1), ("found", 2), ("random", 4)])
def test_a_test_is_named_that_was_made(study: SearchStudy, origin: str, number: int) -> None:
    found = answers(study, losing(study.architectures, origin, number))
    ours, theirs = (number if origin == side else 0 for side in ("found", "random"))
    told = f"diverged: its own {ours} of 5, the others {theirs} of 20"
    assert f"({told}; rank test p " in found["?"]
    assert f"({told}; analysis of covariance p " in found[" at equal parameters?"]


def test_no_test_is_named_where_none_was_made(study: SearchStudy) -> None:
    # Two of five are left: ranks can be tested, a line through their sizes can't.
    few = answers(study, losing(study.architectures, "found", 3))
    told = "(diverged: its own 3 of 5, the others 0 of 20; "
    assert f"{told}rank test p " in few["?"]
    assert f"{told}not tested)" in few[" at equal parameters?"]
    none = answers(study, losing(losing(study.architectures, "found", 5), "random", 20))
    assert "its own 5 of 5, the others 20 of 20; not tested)" in none["?"]


def test_without_spread_no_test_of_means_is_named(study: SearchStudy) -> None:
    table = study.architectures
    flat = table["standalone"].where(
        table["standalone"].isna(), np.where(table["origin"] == "found", 0.5, 0.25)
    )
    assert (
        "25.00 [25.00, 25.00] points of accuracy better than 20 drawn at random (sign test p = 0.031)"
        in (answers(study, table.assign(standalone=flat))["?"])
    )
