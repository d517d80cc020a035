"""Rewinding: what the survivors of a pruning start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lottery.experiments import RewindingConfig
from lottery.pruning.masks import Tensors


def rewind(start: Tensors, final: Tensors, config: RewindingConfig) -> Tensors:
    """The whole network that survivors are taken from: the tensors of the rewind step, or the trained ones.

    A ticket is this times its mask. Controls that keep other weights need what the ticket loses.
    """
    return start if config.weights == "start" else final


def momenta_of(state: Mapping[str, Tensor], r: int) -> Tensors:
    """Replicate r's part of what an optimizer remembers, see `training.optimizers.optimizer_state`."""
    return {key: tensor if _is_count(key) else tensor[r] for key, tensor in state.items()}


def rewound_momenta(parts: Sequence[Tensors], masks: Mapping[str, Tensor]) -> Tensors:
    """What the optimizer of a stack begins with: each replicate's part, with nothing of pruned weights.

    A pruned weight without momentum never moves, as its gradient is 0.

    Args:
        parts: what `momenta_of` gave, one for each replicate.
        masks: bool `[R, ...]` by parameter.
    """
    momenta = {}
    for key, tensor in parts[0].items():
        if _is_count(key):
            momenta[key] = tensor
            continue
        stacked, name = torch.stack([one[key] for one in parts]), key.split("/", 1)[1]
        if name in masks:
            stacked = torch.where(
                masks[name].to(stacked.device), stacked, torch.zeros_like(stacked)
            )
        momenta[key] = stacked
    return momenta


def _is_count(key: str) -> bool:
    """Whether it is Adam's count of steps, which is the same for all replicates of a stack."""
    return key.startswith("step/")


def schedule_step(config: RewindingConfig, level: int, last_step: int) -> Callable[[int], int]:
    """At which step the learning rate is read: the step itself, or the last one once `continue` has pruned."""
    if config.schedule == "continue" and level > 0:
        return lambda step: last_step - 1
    return lambda step: step
