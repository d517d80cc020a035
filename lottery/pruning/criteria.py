"""Criteria: the scores that decide which weights go; the lowest go first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lottery.pruning.masks import Tensors

# Weights `[R, ...]`, and over how many training batches -> the mean gradient of the loss there, `[R, ...]`.
Gradients = Callable[[Mapping[str, Tensor], int], Tensors]
Need = Literal["start", "final", "gradients"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may look at: each `[R, ...]` by parameter name, on the device.

    Attributes:
        start: tensors at the rewind step, of the whole network.
        final: trained tensors, of the whole network; none where the criterion needs none.
        mask: what is kept so far.
        generators: one for each replicate, for criteria that draw.
        gradients: of the training loss, in training mode, over each replicate's first batches; of all weights of the
            network, the pruned ones among them.
    """

    start: Tensors
    final: Tensors
    mask: Tensors
    generators: Sequence[torch.Generator]
    gradients: Gradients


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A score for each weight that is still kept.

    Attributes:
        summary: in one line.
        scores: from the evidence, for each parameter that the mask covers, `[R, ...]`.
        needs: what of the evidence it looks at.
        rounds: into how many prunings, each with scores of its own, one level's is divided.
    """

    summary: str
    scores: Callable[[Evidence], Tensors]
    needs: tuple[Need, ...]
    rounds: int = 1


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
        name: torch.stack([torch.rand(mask.shape[1:], generator=g) for g in evidence.generators])
        for name, mask in evidence.mask.items()
    }


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
