"""Criteria: the scores that decide which weights go; the lowest go first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lottery.pruning.masks import Mask, Tensors
from training.errors import unknown


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may look at, each by parameter name.

    Attributes:
        start: weights at the rewind step.
        final: trained weights.
        mask: what is kept so far.
        generator: for criteria that draw.
    """

    start: Tensors
    final: Tensors
    mask: Mask
    generator: torch.Generator


def magnitude(evidence: Evidence) -> Tensors:
    """|w_final|: Frankle & Carbin 2019; `large_final` of Zhou et al. 2019 (arXiv 1905.01067), table 1."""
    return {name: evidence.final[name].abs() for name in evidence.mask}


def magnitude_increase(evidence: Evidence) -> Tensors:
    """|w_final| - |w_start|: Zhou et al. 2019, table 1."""
    return {name: evidence.final[name].abs() - evidence.start[name].abs() for name in evidence.mask}


def movement(evidence: Evidence) -> Tensors:
    """|w_final - w_start|: Zhou et al. 2019, table 1."""
    return {name: (evidence.final[name] - evidence.start[name]).abs() for name in evidence.mask}


def large_initial(evidence: Evidence) -> Tensors:
    """|w_start|: `large_init` of Zhou et al. 2019, table 1."""
    return {name: evidence.start[name].abs() for name in evidence.mask}


def random_scores(evidence: Evidence) -> Tensors:
    """Uniform draws: pruning at random."""
    return {
        name: torch.rand(mask.shape, generator=evidence.generator)
        for name, mask in evidence.mask.items()
    }


CRITERIA: dict[str, Callable[[Evidence], Tensors]] = {
    "magnitude": magnitude,
    "magnitude-increase": magnitude_increase,
    "movement": movement,
    "large-initial": large_initial,
    "random": random_scores,
}


def criterion(name: str) -> Callable[[Evidence], Tensors]:
    """The criterion of a name.

    Raises:
        LotteryError: there is none.
    """
    if name not in CRITERIA:
        raise unknown("criterion", name, CRITERIA)
    return CRITERIA[name]
