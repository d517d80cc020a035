"""What weights were and became, as measures to rank them by, and how measures are combined; torch-free.

The mask criteria of Zhou et al. 2019 (arXiv 1905.01067) are such combinations, as their release has them
(uber-research/deconstructing-lottery-tickets, `get_weight_init.py`). Their `init` is the start here: the rewind step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lottery.pruning.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

    from lottery.pruning.masks import Tensors

# (evidence, name of a parameter) -> the more, the better, `[R, ...]`.
Measure = Callable[[Evidence, str], "Tensor"]


def final(evidence: Evidence, name: str) -> Tensor:
    """|w_final|."""
    return evidence.final[name].abs()


def initial(evidence: Evidence, name: str) -> Tensor:
    """|w_start|."""
    return evidence.start[name].abs()


def increase(evidence: Evidence, name: str) -> Tensor:
    """|w_final| - |w_start|."""
    return final(evidence, name) - initial(evidence, name)


def distance(evidence: Evidence, name: str) -> Tensor:
    """|w_final - w_start|."""
    return (evidence.final[name] - evidence.start[name]).abs()


def drawn(evidence: Evidence, name: str) -> Tensor:
    """Uniform between 0 and 1."""
    return evidence.uniform(tuple(evidence.mask[name].shape[1:]))


def least(measure: Measure) -> Measure:
    """The less, the better."""
    return lambda evidence, name: -measure(evidence, name)


def same_sign(evidence: Evidence, name: str) -> Tensor:
    """Whether a weight has at the end the sign that it started with."""
    return evidence.start[name].sign() == evidence.final[name].sign()


def other_sign(evidence: Evidence, name: str) -> Tensor:
    """Whether it has not."""
    return ~same_sign(evidence, name)


def where(condition: Measure, measure: Measure) -> Measure:
    """The measure where a condition holds, elsewhere 0."""
    return lambda evidence, name: measure(evidence, name) * condition(evidence, name)


def first_those(condition: Measure) -> Measure:
    """Those for which a condition holds before the others, at random among both."""
    return lambda evidence, name: drawn(evidence, name) + condition(evidence, name)


def both(one: Measure, other: Measure) -> Measure:
    """The lesser of the two ranks among a parameter's kept weights: what stays is above one quantile of each."""

    def lesser(evidence: Evidence, name: str) -> Tensor:
        mask = evidence.mask[name]
        ranks = [_ranks(measure(evidence, name), mask) for measure in (one, other)]
        return ranks[0].minimum(ranks[1])

    return lesser


def _ranks(values: Tensor, mask: Tensor) -> Tensor:
    """Which share of a parameter's kept weights has less: parameters of any size can be ranked together."""
    flat, kept = values.where(mask, float("-inf")).flatten(1), mask.flatten(1).sum(1, keepdim=True)
    positions = flat.argsort(dim=1, stable=True).argsort(dim=1)
    # What is pruned comes before all else.
    shares = (positions - (flat.shape[1] - kept)).double() / kept.clamp(min=1)
    return shares.view(values.shape)


def by(measure: Measure) -> Callable[[Evidence], Tensors]:
    """A measure of every parameter that the mask covers."""
    return lambda evidence: {name: measure(evidence, name) for name in evidence.mask}
