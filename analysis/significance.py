"""Tests between two networks: paired by seed, Welch's, or at equal size.

A replicate that diverged has no value (NaN) and ranks below every one that has. Where there is one, means can't be
tested: ranks take their place (the sign test of pairs, Wilcoxon's rank-sum test of independent samples).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import stats

from analysis.judging import MINIMUM_N, NAN, Comparison
from analysis.summaries import CONFIDENCE, Values, t_interval

# Below this share of the values' size a spread is rounding, not variation.
ROUNDING = 1e-9
# Up to this many ways to split the replicates over the sides, all are counted: 8 against 8 have 12,870.
SPLITS = 20_000
ALTERNATIVES: tuple[Literal["greater", "less"], ...] = ("greater", "less")


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

    Where a replicate diverged the sign test takes its place too: a pair counts for the side whose replicate did not
    diverge, and for none where both did (Dixon & Mood 1946).

    Args:
        ours: seed -> value, NaN where it diverged.
        theirs: likewise.
        higher_is_better: the metric's direction.
        margin: how much worse still passes, in the metric's unit, at least 0.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    sign = 1.0 if higher_is_better else -1.0
    mine = sign * np.array([ours[seed] for seed in seeds], dtype=np.float64)
    other = sign * np.array([theirs[seed] for seed in seeds], dtype=np.float64)
    gains = (mine - other)[~np.isnan(mine - other)]
    difference = float(gains.mean()) if gains.size else NAN
    spread = float(gains.std(ddof=1)) if gains.size > 1 else NAN
    scale = float(np.nanmax(np.abs([mine, other]), initial=0.0))
    test = "sign test"
    if len(seeds) < MINIMUM_N:
        p, opposite = NAN, NAN
    elif gains.size < len(seeds):
        p, opposite = _sign_test(mine, other, margin, scale)
    elif spread <= ROUNDING * scale:
        spread = 0.0
        p, opposite = _without_spread(difference + margin, scale, len(seeds))
    else:
        bar = other - margin
        test = "paired t-test"
        p = float(stats.ttest_rel(mine, bar, alternative="greater").pvalue)
        opposite = float(stats.ttest_rel(mine, bar, alternative="less").pvalue)
    low, high = t_interval(gains)
    return Comparison(
        n=gains.size,
        difference=difference,
        low=low,
        high=high,
        effect=_effect(difference, spread),
        p=p,
        p_opposite=opposite,
        test=test,
        **_sides(mine, other),
    )


def welch(ours: Values, theirs: Values, *, higher_is_better: bool) -> Comparison:
    """Welch's test of two independent samples.

    The degrees of freedom are those of Welch and Satterthwaite. Sides without any spread are
    treated as in `paired`. Where a replicate diverged Wilcoxon's rank-sum test takes its place, with worst ranks for
    those that did (Lachin 1999); the difference and its interval are of the others.

    Args:
        ours: `[n]` values, NaN where one diverged.
        theirs: `[m]` values, likewise.
        higher_is_better: the metric's direction.
    """
    sign = 1.0 if higher_is_better else -1.0
    mine, other = sign * ours[~np.isnan(ours)], sign * theirs[~np.isnan(theirs)]
    sides = _sides(ours, theirs)
    found = _welch(mine, other, sides)
    if not found.lost or min(ours.size, theirs.size) < MINIMUM_N:
        return found
    p, opposite = _rank_test(sign * ours, sign * theirs)
    return replace(found, p=p, p_opposite=opposite, test="rank test")


def _welch(mine: Values, other: Values, sides: dict[str, int]) -> Comparison:
    """Welch's test of values of which higher are better."""
    n = min(mine.size, other.size)
    difference = float(mine.mean() - other.mean()) if n else NAN
    if n < MINIMUM_N:
        return Comparison(n=n, difference=difference, test="Welch's test", **sides)
    variances = np.array([mine.var(ddof=1), other.var(ddof=1)])
    spread = math.sqrt(variances.mean())
    scale = float(max(np.abs(mine).max(), np.abs(other).max()))
    if spread <= ROUNDING * scale:
        p, opposite = _without_spread(difference, scale, n)
        half, spread, test = 0.0, 0.0, "sign test"
    else:
        test = "Welch's test"
        shares = variances / np.array([mine.size, other.size])
        freedom = shares.sum() ** 2 / (shares**2 / [mine.size - 1, other.size - 1]).sum()
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
        test=test,
        **sides,
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

    What diverged has no place on the line; `judge` keeps the side that lost more of it from winning.

    Args:
        ours: `[n]` values, NaN where one diverged.
        theirs: `[m]` values, likewise.
        our_sizes: `[n]`, such as numbers of parameters.
        their_sizes: `[m]`.
        higher_is_better: the metric's direction.

    Returns:
        The comparison; NaN but for the counts where a side has fewer than 3, or sizes tell the sides apart.
    """
    values = np.concatenate([ours, theirs]) * (1.0 if higher_is_better else -1.0)
    sizes = np.log(np.concatenate([our_sizes, their_sizes]))
    is_ours = np.repeat([1.0, 0.0], [ours.size, theirs.size])
    sides, known = _sides(ours, theirs), ~np.isnan(values)
    n = min(ours.size - sides["ours_lost"], theirs.size - sides["theirs_lost"])
    unknown = Comparison(n=n, test="analysis of covariance", **sides)
    values, sizes, is_ours = values[known], sizes[known], is_ours[known]
    if n < MINIMUM_N:
        return unknown
    columns = np.stack([is_ours, sizes - sizes.mean(), np.ones_like(sizes)], axis=1)
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
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
        test="analysis of covariance",
        **sides,
    )


def _sides(ours: Values, theirs: Values) -> dict[str, int]:
    """The fields of a comparison that count replicates, of values that are NaN where one diverged."""
    lost = {"ours_lost": int(np.isnan(ours).sum()), "theirs_lost": int(np.isnan(theirs).sum())}
    return {"ours": ours.size, "theirs": theirs.size, **lost}


def _sign_test(mine: Values, other: Values, margin: float, scale: float) -> tuple[float, float]:
    """P and its opposite for pairs with NaN, higher is better; NaN where every pair is a tie."""
    gains = mine - other + margin
    ahead = (gains > ROUNDING * scale) | (np.isnan(other) & ~np.isnan(mine))
    behind = (gains < -ROUNDING * scale) | (np.isnan(mine) & ~np.isnan(other))
    wins, losses = int(ahead.sum()), int(behind.sum())
    if not wins + losses:
        return NAN, NAN
    p, opposite = (
        float(stats.binomtest(count, wins + losses, alternative="greater").pvalue)
        for count in (wins, losses)
    )
    return p, opposite


def _rank_test(mine: Values, other: Values) -> tuple[float, float]:
    """P and its opposite for samples with NaN, higher is better; NaN where nothing is known of either."""
    if np.isnan(mine).all() and np.isnan(other).all():
        return NAN, NAN
    exact = math.comb(mine.size + other.size, mine.size) <= SPLITS
    method: Literal["asymptotic"] | stats.PermutationMethod = (
        stats.PermutationMethod(n_resamples=SPLITS) if exact else "asymptotic"
    )
    ours, theirs = (np.where(np.isnan(side), -np.inf, side) for side in (mine, other))
    p, opposite = (
        float(stats.mannwhitneyu(ours, theirs, alternative=alternative, method=method).pvalue)
        for alternative in ALTERNATIVES
    )
    return p, opposite


def _without_spread(excess: float, scale: float, n: int) -> tuple[float, float]:
    if abs(excess) <= ROUNDING * scale:
        return 0.5, 0.5
    return (0.5**n, 1.0) if excess > 0 else (1.0, 0.5**n)


def _effect(difference: float, spread: float) -> float:
    if spread == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / spread
