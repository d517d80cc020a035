"""How well a cheap score ranks architectures: rank correlation and regret against stand-alone training.

Weight-sharing scores that rank architectures no better than chance make a search no better than a random one (Yu et al.
2020, arXiv 1902.08142, table 3; Li & Talwalkar 2019, arXiv 1902.07638, section 4), so every search here measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from analysis.judging import Verdict, decide
from analysis.summaries import CONFIDENCE, Values

# Fewer architectures say next to nothing about a ranking: at 10, the 95 % interval of a tau is about 1 wide.
MINIMUM_ARCHITECTURES = 20
RESAMPLES = 999
TOP = (1, 3, 5)
NAN = float("nan")

# Of scores and stand-alone scores `[..., n]`, one for each `[...]`: a bootstrap asks for all its samples at once.
Statistic = Callable[[Values, Values], Values]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic of a sample with its 95 % interval, a percentile bootstrap over architectures."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Regret:
    """What is lost by training only the k architectures that a score puts first.

    Attributes:
        k: how many are trained.
        loss: best stand-alone score of all less the best among those k, at least 0.
        by_chance: the same on average for k architectures drawn at random: what the score has to beat.
    """

    k: int
    loss: Estimate
    by_chance: float


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How a score ranks architectures that were also trained alone.

    Attributes:
        n: architectures.
        tau: Kendall's tau-b.
        rho: Spearman's.
        p: of the one-sided test that tau is above 0 (scipy.stats.kendalltau); NaN for too few architectures.
        p_opposite: that it is below 0.
        regrets: for each k of `TOP` up to n.
    """

    n: int
    tau: Estimate
    rho: Estimate
    p: float
    p_opposite: float
    regrets: tuple[Regret, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether the score ranks better than chance; undecided for fewer than `MINIMUM_ARCHITECTURES`."""
        return decide(self.p, self.p_opposite)


def ranking(scores: Values, alone: Values) -> Ranking:
    """How scores rank architectures, against what these reach when each is trained alone.

    Args:
        scores: `[n]`, higher is better.
        alone: `[n]` stand-alone scores of the same architectures, higher is better.
    """
    n = len(scores)
    p = opposite = NAN
    if n >= MINIMUM_ARCHITECTURES and np.ptp(scores) > 0 and np.ptp(alone) > 0:
        p = float(stats.kendalltau(scores, alone, alternative="greater").pvalue)
        opposite = float(stats.kendalltau(scores, alone, alternative="less").pvalue)
    return Ranking(
        n=n,
        tau=_estimate(kendall, scores, alone),
        rho=_estimate(spearman, scores, alone),
        p=p,
        p_opposite=opposite,
        regrets=tuple(
            Regret(
                k=k,
                loss=_estimate(partial(regret, k=k), scores, alone),
                by_chance=chance_regret(alone, k),
            )
            for k in TOP
            if k <= n
        ),
    )


def kendall(scores: Values, alone: Values) -> Values:
    """Kendall's tau-b (Kendall 1945) `[...]` of `[..., n]`; 0 where one side has no order at all, NaN for n < 2.

    >>> kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])).round(4).item()
    0.3333
    """
    n = scores.shape[-1]
    if n < 2:
        return np.full(scores.shape[:-1], NAN)
    agreeing = untied_scores = untied_alone = np.zeros(scores.shape[:-1])
    for i in range(n - 1):
        one, other = (np.sign(x[..., i + 1 :] - x[..., i : i + 1]) for x in (scores, alone))
        agreeing = agreeing + (one * other).sum(-1)
        untied_scores = untied_scores + np.abs(one).sum(-1)
        untied_alone = untied_alone + np.abs(other).sum(-1)
    return _quotient(agreeing, np.sqrt(untied_scores * untied_alone))


def spearman(scores: Values, alone: Values) -> Values:
    """Spearman's rho `[...]` of `[..., n]`; 0 where one side has no order at all, NaN for n < 2."""
    if scores.shape[-1] < 2:
        return np.full(scores.shape[:-1], NAN)
    ranks = [stats.rankdata(side, axis=-1) for side in (scores, alone)]
    one, other = (side - side.mean(-1, keepdims=True) for side in ranks)
    size = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    return _quotient((one * other).sum(-1), size)


def regret(scores: Values, alone: Values, k: int) -> Values:
    """Best stand-alone score of all less the best among the k of highest score; the first of equal scores count.

    >>> regret(np.array([3.0, 2.0, 1.0]), np.array([0.5, 0.9, 0.7]), 1).item()
    0.4
    """
    first = np.argsort(-scores, kind="stable", axis=-1)[..., :k]
    best = np.take_along_axis(alone, first, -1).max(-1)
    lost: Values = np.round(alone.max(-1) - best, 12)
    return lost


def chance_regret(alone: Values, k: int) -> float:
    """The mean regret of k different architectures drawn at random.

    The i-th smallest of n values, counted from 1, is the largest of k draws with probability C(i-1, k-1) / C(n, k).
    """
    ordered, n = np.sort(alone), len(alone)
    shares = [math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
    return float(ordered[-1] - np.dot(ordered, shares))


def _quotient(value: Values, by: Values) -> Values:
    """0 where it is by 0."""
    return np.divide(value, by, out=np.zeros(np.shape(value)), where=by > 0)


def _estimate(statistic: Statistic, scores: Values, alone: Values) -> Estimate:
    value = float(statistic(scores, alone))
    if len(scores) < 3 or math.isnan(value):
        return Estimate(value=value, low=NAN, high=NAN)

    def of_samples(scores: Values, alone: Values, axis: int) -> Values:
        return statistic(np.moveaxis(scores, axis, -1), np.moveaxis(alone, axis, -1))

    found = stats.bootstrap(
        (scores, alone),
        of_samples,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value=value, low=float(found.low), high=float(found.high))
