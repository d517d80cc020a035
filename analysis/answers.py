"""An answer to a question about results, and the phrases that answers share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analysis.judging import MINIMUM_N, Comparison, Verdict
from analysis.wording import difference, diverged, interval, p_value


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question about a study and what its numbers say.

    Attributes:
        question: one sentence.
        answer: one or two sentences with n, intervals and p-values.
        verdict: the answer in a word.
    """

    question: str
    answer: str
    verdict: Verdict


def losses(found: Comparison, ours: str, theirs: str) -> str:
    """How many of both sides of a comparison diverged; nothing where none did."""
    sides = {ours: (found.ours_lost, found.ours), theirs: (found.theirs_lost, found.theirs)}
    return diverged(**sides)


def sample(n: int, lost: str) -> str:
    """How many pairs a number is of, and what diverged."""
    return f"n = {n}; {lost}" if lost else f"n = {n}"


def tested(how: str, p: float, lost: object, instead: str = "sign test ") -> str:
    """A p-value after the words that say how it came about, or why there is none.

    Args:
        how: words before it.
        p: it.
        lost: what diverged, if anything did.
        instead: the test that then took the place of the usual one.
    """
    if math.isnan(p) and lost:
        return "not tested: too few are left"
    if math.isnan(p):
        return f"not tested: that needs {MINIMUM_N} networks of each"
    return f"{how}{instead if lost else ''}{p_value(p)}"


def advantage(row: pd.Series) -> str:
    """A row's difference with its unit and interval."""
    return f"{difference(row['difference'], row['unit'])} {interval(row['low'], row['high'])}"
