"""How a run's replicates are batched, wherever that is decided: tried, timed, trained and measured alike."""

from __future__ import annotations

from torch import nn

from nas.catalog.catalog import is_known
from training.batching import Batching, default_batching
from training.configs import TrainingConfig
from training.device import now
from training.differentiation import differentiator
from training.replicates import Replicates
from training.tasks.task import Task

# Replicates that are timed, steps before (the first two are captured), and steps of which the fastest counts.
TIMED, WARM, STEPS = 4, 3, 3
# Seconds of one replicate's step from which on timing takes too long, and stacking has nothing more to give.
SLOW = 0.25
# Stacked, a step has to be so many times as fast, so that the choice does not hang on noise.
GAIN = 1.2


def choose_batching(
    asked: Batching | None, name: str, network: nn.Module, task: Task, count: int
) -> Batching:
    """What the user asked for, or else the default: measured for our networks, looped for those from outside.

    Not every network of others can be mapped by `vmap`; `lottery.checks.check` tries it.

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


def faster_batching(network: nn.Module, task: Task, config: TrainingConfig, count: int) -> Batching:
    """The batching in which some steps take less time, of a network that can be trained in both; looped where equal.

    Args:
        network: on the task's device.
        task: that it is trained on.
        config: that it is trained with.
        count: of replicates that are together; of many, few are timed.
    """
    count = min(count, TIMED)
    looped = _seconds(network, task, config, count, "looped")
    if looped > SLOW * count:
        return "looped"
    stacked = _seconds(network, task, config, count, "stacked")
    return "stacked" if GAIN * stacked < looped else "looped"


def _seconds(
    network: nn.Module, task: Task, config: TrainingConfig, count: int, batching: Batching
) -> float:
    """The least time of a batch's gradients, or the first one's where that is too long."""
    replicates = Replicates([network] * count, range(count), batching).train()
    steps = config.steps.count(task.steps_per_epoch)
    differentiate = differentiator(replicates, task, config, steps)
    batch, carry = task.batches(replicates.noise_seeds), task.first_carry(replicates)
    found = []
    for step in range(WARM + STEPS):
        drawn = batch(step % task.steps_per_epoch)
        began = now(task.device)
        _, carry = differentiate(carry, drawn, step, 0.0)
        found.append(now(task.device) - began)
        if found[0] > SLOW * count:
            return found[0]
    return min(found[WARM:])
