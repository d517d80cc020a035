"""Criteria: the scores that decide which weights go; the lowest go first; torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lottery.pruning.evidence import Criterion, Evidence

if TYPE_CHECKING:
    from lottery.pruning.masks import Tensors


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
    return {name: evidence.uniform(tuple(mask.shape[1:])) for name, mask in evidence.mask.items()}


CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(
        summary="the largest trained weights stay", scores=magnitude, needs=("final",)
    ),
    "magnitude-increase": Criterion(
        summary="the weights that grew most stay",
        scores=magnitude_increase,
        needs=("start", "final"),
    ),
    "movement": Criterion(
        summary="the weights that moved most stay", scores=movement, needs=("start", "final")
    ),
    "large-initial": Criterion(
        summary="the weights that were largest at the rewind step stay",
        scores=large_initial,
        needs=("start",),
    ),
    "random": Criterion(summary="any weights stay", scores=random_scores, needs=()),
}
