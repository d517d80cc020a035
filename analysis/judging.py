"""Comparisons of two networks and their verdicts, with Holm's adjustment for how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["yes", "no", "undecided"]
ALPHA = 0.05
MINIMUM_N = 3
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How one side did against another.

    Attributes:
        n: pairs of which neither diverged, or the size of the smaller side without those that did.
        difference: mean advantage of our side in the metric's unit, of those n; positive means better, whatever
            the direction.
        low: lower end of the two-sided 95 % interval of `difference`.
        high: upper end of it.
        effect: `difference` in standard deviations: of the differences (Cohen's d_z) or averaged
            over the sides (d).
        p: of the one-sided test that the advantage is above -margin; NaN where nothing was tested.
        p_opposite: of the one-sided test that it is below -margin; NaN where nothing was tested.
        test: the name of the test that both are of, where they are known.
        ours: replicates of our side, those that diverged too.
        theirs: likewise of the other side.
        ours_lost: those of ours that diverged.
        theirs_lost: those of theirs that diverged.
    """

    n: int
    difference: float = NAN
    low: float = NAN
    high: float = NAN
    effect: float = NAN
    p: float = NAN
    p_opposite: float = NAN
    test: str = ""
    ours: int
    theirs: int
    ours_lost: int
    theirs_lost: int

    @property
    def lost(self) -> int:
        """Replicates of both sides that diverged."""
        return self.ours_lost + self.theirs_lost


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: step-down, controls the family-wise error (Holm 1979).

    The i-th smallest of m becomes max over j <= i of min(1, (m - j + 1) p_j). NaN (not tested)
    stays NaN and does not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i]
    )
    adjusted = [NAN] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def decide(p: float, p_opposite: float, alpha: float = ALPHA) -> Verdict:
    """The verdict: "yes" when the test rejects, "no" when the opposite one does."""
    if p < alpha:
        return "yes"
    if p_opposite < alpha:
        return "no"
    return "undecided"


def judge(found: Comparison, p: float, p_opposite: float, alpha: float = ALPHA) -> Verdict:
    """The verdict of a comparison: as `decide`, but never for the side of which a larger share diverged.

    Args:
        found: the comparison, for what was lost.
        p: its own or an adjusted p-value.
        p_opposite: likewise.
        alpha: the level of the tests.
    """
    lost, lost_there = found.ours_lost * found.theirs, found.theirs_lost * found.ours
    verdict = decide(p, NAN, alpha) if lost <= lost_there else "undecided"
    if verdict == "undecided" and lost_there <= lost:
        verdict = decide(NAN, p_opposite, alpha)
    return verdict
