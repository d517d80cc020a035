"""How a run's replicates are batched, wherever that is decided: tried, timed, trained and measured alike."""

from __future__ import annotations

from torch import nn

from nas.catalog import is_known
from training.batching import Batching, default_batching
from training.tasks.task import Task


def choose_batching(
    asked: Batching | None, name: str, network: nn.Module, task: Task, count: int
) -> Batching:
    """What the user asked for, or else the default: measured for our networks, looped for those from outside.

    Not every network of others can be mapped by `vmap`.

    Args:
        asked: stacked, looped, or None for the default.
        name: of the network, as an experiment has it.
        network: one of the replicates.
        task: that they are trained on.
        count: of replicates that are together.
    """
    if asked is not None:
        return asked
    if not is_known(name):
        return "looped"
    return default_batching(network, task.spec, task.device, count)
