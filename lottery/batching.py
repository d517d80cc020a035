"""How a session's replicates are batched, wherever that is decided: tried, timed, trained and measured alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from lottery.identity import ReplicateId
from lottery.pruning.masks import Tensors, stack_tensors
from lottery.session import Session
from nas.catalog.catalog import is_known
from training.batching import Batching, default_batching
from training.configs import TrainingConfig
from training.device import now, physical_memory
from training.differentiation import Differentiator
from training.replicates import Replicates
from training.tasks.task import Task

# Weights, gradient, two averages of Adam, the best weights and the mask, at four bytes each.
COPIES_IN_MEMORY = 6
SHARE_OF_MEMORY = 0.25
# Replicates that are timed, steps before (the first two are captured), and steps of which the fastest counts.
TIMED, WARM, STEPS = 4, 3, 3
# Seconds of one replicate's step from which on timing takes too long, and stacking has nothing more to give.
SLOW = 0.25
# Stacked, a step has to be so many times as fast, so that the choice does not hang on noise.
GAIN = 1.2


def choose_batching(session: Session, count: int) -> Batching:
    """What the user asked for, or else the default: measured for our networks, looped for those from outside.

    Not every network of others can be mapped by `vmap`; `lottery.checks.check` tries it.

    Args:
        session: whose replicates they are.
        count: of replicates that are together.
    """
    if session.batching is not None:
        return session.batching
    if not is_known(session.experiment.network.name):
        return "looped"
    return default_batching(session.network, session.task.spec, session.task.device, count)


def chunks(session: Session, count: int) -> list[range]:
    """Which of so many replicates are together, where not all are."""
    size = session.at_once or fitting(session)
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def fitting(session: Session) -> int:
    """How many replicates fit into a quarter of the device's memory, at least 1; what they save to go back counts."""
    device = session.task.device
    memory = physical_memory()
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    each = COPIES_IN_MEMORY * 4 * session.parameters + session.saved_bytes
    return max(1, int(memory * SHARE_OF_MEMORY / each))


def new_replicates(
    session: Session, ids: Sequence[ReplicateId], tensors: Iterable[Tensors]
) -> Replicates:
    """Some of a session's replicates, together on the device.

    Args:
        session: whose they are.
        ids: give the noise seeds.
        tensors: parameters and buffers of each.
    """
    batching = choose_batching(session, len(ids))
    noise_seeds = [one.noise_seed for one in ids]
    replicates = Replicates([session.network] * len(ids), noise_seeds, batching)
    replicates.load(stack_tensors(tensors))
    return replicates


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
    differentiate = Differentiator(replicates, task, config, steps)
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
