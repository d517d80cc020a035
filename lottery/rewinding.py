"""Rewinding: what the survivors of a pruning start from."""

from __future__ import annotations

from collections.abc import Callable

from lottery.experiments import RewindingConfig
from lottery.masks import Tensors


def rewind(start: Tensors, final: Tensors, config: RewindingConfig) -> Tensors:
    """The whole network that survivors are taken from: the tensors of the rewind step, or the trained ones.

    A ticket is this times its mask. Controls that keep other weights need what the ticket loses.
    """
    return start if config.weights == "start" else final


def schedule_step(config: RewindingConfig, level: int, last_step: int) -> Callable[[int], int]:
    """At which step the learning rate is read: the step itself, or the last one once `continue` has pruned."""
    if config.schedule == "continue" and level > 0:
        return lambda step: last_step - 1
    return lambda step: step
