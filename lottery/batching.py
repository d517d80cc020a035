"""How a session's replicates are batched, wherever that is decided: tried, timed, trained and measured alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from lottery.identity import ReplicateId
from lottery.pruning.masks import Tensors, stack_tensors
from lottery.session import Session
from nas.catalog.catalog import is_known
from training.batching import Batching, default_batching
from training.configs import TrainingConfig
from training.device import now
from training.differentiation import Differentiator
from training.loop import Hook, begin, train
from training.network_tensors import copied
from training.replay import REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.tasks.task import Task

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


def new_replicates(
    session: Session,
    ids: Sequence[ReplicateId],
    tensors: Iterable[Tensors],
    *,
    double: bool = False,
) -> Replicates:
    """Some of a session's replicates, together on the device.

    Args:
        session: whose they are.
        ids: give the noise seeds.
        tensors: parameters and buffers of each.
        double: whether they compute in double precision.
    """
    batching = choose_batching(session, len(ids))
    noise_seeds = [one.noise_seed for one in ids]
    network = copied(session.network).double() if double else session.network
    replicates = Replicates([network] * len(ids), noise_seeds, batching)
    replicates.load(stack_tensors(tensors))
    return replicates


def train_briefly(
    session: Session,
    count: int,
    batching: Batching,
    steps: int,
    masks: Mapping[str, Tensor],
    hook: Hook,
) -> None:
    """Train some replicates a few steps as the experiment trains its own, and throw them away.

    Args:
        session: whose experiment it is.
        count: of replicates.
        batching: of these.
        steps: how many; those after the second are replayed, if a level's would be.
        masks: bool `[R, ...]` by parameter name.
        hook: called after every step.
    """
    task, config = session.task, session.experiment.training
    replicates = Replicates([session.network] * count, [0] * count, batching)
    calls = config.steps.count(task.steps_per_epoch) * config.accumulation
    worth = session.replay.enabled and calls >= session.replay.fewest_calls
    replay = dataclasses.replace(session.replay, enabled=worth, fewest_calls=0)
    state = begin(replicates, task, config, 0)
    train(state, task, config, steps, masks, hook, replay=replay, graph=session.graph)


def faster_batching(
    network: nn.Module,
    task: Task,
    config: TrainingConfig,
    count: int,
    replay: ReplayPolicy = REPLAY,
) -> Batching:
    """The batching in which some steps take less time, of a network that can be trained in both; looped where equal.

    Args:
        network: on the task's device.
        task: that it is trained on.
        config: that it is trained with.
        count: of replicates that are together; of many, few are timed.
        replay: when steps are replayed.
    """
    count = min(count, TIMED)
    looped = _seconds(network, task, config, replay, count, "looped")
    if looped > SLOW * count:
        return "looped"
    stacked = _seconds(network, task, config, replay, count, "stacked")
    return "stacked" if GAIN * stacked < looped else "looped"


def _seconds(
    network: nn.Module,
    task: Task,
    config: TrainingConfig,
    replay: ReplayPolicy,
    count: int,
    batching: Batching,
) -> float:
    """The least time of a batch's gradients, or the first one's where that is too long."""
    replicates = Replicates([network] * count, range(count), batching).train()
    steps = config.steps.count(task.steps_per_epoch)
    differentiate = Differentiator(replicates, task, config, steps, replay)
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
