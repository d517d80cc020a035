"""Tests between two networks: paired by seed, Welch's, or at equal size; and Holm's adjustment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from analysis.summaries import CONFIDENCE, Values, t_interval

Verdict = Literal["yes", "no", "undecided"]
ALPHA = 0.05
MINIMUM_N = 3
# Below this share of the values' size a spread is rounding, not variation.
ROUNDING = 1e-9
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How one side did against another.

    Attributes:
        n: pairs, or the size of the smaller side.
        difference: mean advantage of our side in the metric's unit; positive means better, whatever
            the direction.
        low: lower end of the two-sided 95 % interval of `difference`.
        high: upper end of it.
        effect: `difference` in standard deviations: of the differences (Cohen's d_z) or averaged
            over the sides (d).
        p: of the one-sided test that the advantage is above -margin; NaN when n < 3.
        p_opposite: of the one-sided test that it is below -margin; NaN when n < 3.
    """

    n: int
    difference: float
    low: float
    high: float
    effect: float
    p: float
    p_opposite: float


def paired(
    ours: Mapping[int, float],
    theirs: Mapping[int, float],
    *,
    higher_is_better: bool,
    margin: float = 0.0,
) -> Comparison:
    """Student's paired test over the seeds that both sides have.

    With a margin it is a non-inferiority test, without one a test of superiority. When all
    differences are the same there is no spread to test against and the sign test takes its place: p
    is 0.5 ** n if they lie above -margin, 1 below it and 0.5 on it.

    Args:
        ours: seed -> value.
        theirs: seed -> value.
        higher_is_better: the metric's direction.
        margin: how much worse still passes, in the metric's unit, at least 0.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    sign = 1.0 if higher_is_better else -1.0
    mine = sign * np.array([ours[seed] for seed in seeds], dtype=np.float64)
    other = sign * np.array([theirs[seed] for seed in seeds], dtype=np.float64)
    gains = mine - other
    if not seeds:
        return Comparison(n=0, difference=NAN, low=NAN, high=NAN, effect=NAN, p=NAN, p_opposite=NAN)
    difference = float(gains.mean())
    spread = float(gains.std(ddof=1)) if len(seeds) > 1 else NAN
    scale = float(np.abs([mine, other]).max())
    if len(seeds) < MINIMUM_N:
        p, opposite = NAN, NAN
    elif spread <= ROUNDING * scale:
        spread = 0.0
        p, opposite = _without_spread(difference + margin, scale, len(seeds))
    else:
        bar = other - margin
        p = float(stats.ttest_rel(mine, bar, alternative="greater").pvalue)
        opposite = float(stats.ttest_rel(mine, bar, alternative="less").pvalue)
    low, high = t_interval(gains)
    return Comparison(
        n=len(seeds),
        difference=difference,
        low=low,
        high=high,
        effect=_effect(difference, spread),
        p=p,
        p_opposite=opposite,
    )


def welch(ours: Values, theirs: Values, *, higher_is_better: bool) -> Comparison:
    """Welch's test of two independent samples.

    The degrees of freedom are those of Welch and Satterthwaite. Sides without any spread are
    treated as in `paired`.

    Args:
        ours: `[n]` values.
        theirs: `[m]` values.
        higher_is_better: the metric's direction.
    """
    n = min(ours.size, theirs.size)
    difference = float(ours.mean() - theirs.mean()) if n else NAN
    difference = difference if higher_is_better else -difference
    if n < MINIMUM_N:
        return Comparison(
            n=n, difference=difference, low=NAN, high=NAN, effect=NAN, p=NAN, p_opposite=NAN
        )
    variances = np.array([ours.var(ddof=1), theirs.var(ddof=1)])
    spread = math.sqrt(variances.mean())
    scale = float(max(np.abs(ours).max(), np.abs(theirs).max()))
    if spread <= ROUNDING * scale:
        p, opposite = _without_spread(difference, scale, min(len(ours), len(theirs)))
        half, spread = 0.0, 0.0
    else:
        shares = variances / np.array([ours.size, theirs.size])
        freedom = shares.sum() ** 2 / (shares**2 / [ours.size - 1, theirs.size - 1]).sum()
        error = math.sqrt(shares.sum())
        p = float(stats.t.sf(difference / error, freedom))
        opposite = float(stats.t.cdf(difference / error, freedom))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Comparison(
        n=n,
        difference=difference,
        low=difference - half,
        high=difference + half,
        effect=_effect(difference, spread),
        p=p,
        p_opposite=opposite,
    )


def at_equal_size(
    ours: Values,
    theirs: Values,
    our_sizes: Values,
    their_sizes: Values,
    *,
    higher_is_better: bool,
) -> Comparison:
    """Two independent samples as if both had the same size: analysis of covariance (Fisher 1932).

    One least-squares fit, value = a + b log(size) + difference on our side; the difference is tested
    with n + m - 3 degrees of freedom.

    Args:
        ours: `[n]` values.
        theirs: `[m]` values.
        our_sizes: `[n]`, such as numbers of parameters.
        their_sizes: `[m]`.
        higher_is_better: the metric's direction.

    Returns:
        The comparison; NaN but for n where a side has fewer than 3, or sizes tell the sides apart.
    """
    n = min(ours.size, theirs.size)
    unknown = Comparison(n=n, difference=NAN, low=NAN, high=NAN, effect=NAN, p=NAN, p_opposite=NAN)
    values = np.concatenate([ours, theirs]) * (1.0 if higher_is_better else -1.0)
    sizes = np.log(np.concatenate([our_sizes, their_sizes]))
    is_ours = np.repeat([1.0, 0.0], [ours.size, theirs.size])
    columns = np.stack([is_ours, sizes - sizes.mean(), np.ones_like(sizes)], axis=1)
    if n < MINIMUM_N or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return unknown
    fitted = np.linalg.lstsq(columns, values, rcond=None)[0]
    freedom = values.size - columns.shape[1]
    variance = float(((values - columns @ fitted) ** 2).sum() / freedom)
    error = math.sqrt(variance * float(np.linalg.inv(columns.T @ columns)[0, 0]))
    if error <= ROUNDING * float(np.abs(values).max()):
        return unknown
    difference = float(fitted[0])
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Comparison(
        n=n,
        difference=difference,
        low=difference - half,
        high=difference + half,
        effect=difference / math.sqrt(variance),
        p=float(stats.t.sf(difference / error, freedom)),
        p_opposite=float(stats.t.cdf(difference / error, freedom)),
    )


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


def _without_spread(excess: float, scale: float, n: int) -> tuple[float, float]:
    if abs(excess) <= ROUNDING * scale:
        return 0.5, 0.5
    return (0.5**n, 1.0) if excess > 0 else (1.0, 0.5**n)


def _effect(difference: float, spread: float) -> float:
    if spread == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / spread
