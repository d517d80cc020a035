"""The training loop: one page, one hook."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from torch import Tensor

from training.averaging import no_averages, start_means
from training.configs import TrainingConfig
from training.graphs import GRAPH, GraphPolicy
from training.optimizers import make_optimizer, schedule_factor
from training.plain import resolved
from training.replay import REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.state import TrainingState, all_frozen, copy_rows, freeze
from training.tasks.task import Task
from training.updates import step_taker
from training.validation import validate

Hook = Callable[[TrainingState], None]


def begin(replicates: Replicates, task: Task, config: TrainingConfig, step: int) -> TrainingState:
    """The state before the first step, with a fresh optimizer and nothing averaged."""
    count, per_epoch = len(replicates), task.steps_per_epoch
    averaging = resolved(config.averaging, per_epoch)
    return TrainingState(
        replicates=replicates,
        optimizer=make_optimizer(config.optimizer, replicates.parameters()),
        averages=no_averages(averaging, replicates, config.steps.count(per_epoch)),
        step=step,
        carry=task.first_carry(replicates),
        best={name: tensor.clone() for name, tensor in replicates.tensors().items()},
        best_loss=[math.inf] * count,
        best_step=[step] * count,
        diverged_at=[None] * count,
    )


def train(
    state: TrainingState,
    task: Task,
    config: TrainingConfig,
    last_step: int,
    masks: Mapping[str, Tensor],
    hook: Hook,
    schedule_step: Callable[[int], int] = lambda step: step,
    replay: ReplayPolicy = REPLAY,
    graph: GraphPolicy = GRAPH,
) -> None:
    """Train every replicate from `state.step` to `last_step`, or until none learns; pruned weights stay exactly 0.

    Weights are 0 where the mask is when this begins; gradients are multiplied by the mask right after the backward
    pass, before clipping, so that no optimizer moves a pruned weight and no norm counts one.

    Args:
        state: changed in place.
        task: what is learned.
        config: how.
        last_step: the step to stop at.
        masks: bool `[R, ...]` by parameter name, for the prunable parameters.
        hook: called after every step.
        schedule_step: the step at which the learning rate is read, where that is not the step itself.
        replay: when steps are replayed; no number follows from it.
        graph: when steps that are replayed become graphs of their device; likewise.
    """
    replicates = state.replicates
    batch = task.batches(replicates.noise_seeds)
    per_epoch = task.steps_per_epoch
    total = config.steps.count(per_epoch)
    every = config.eval_every.count(per_epoch)
    replicates.train()
    take_step = step_taker(state, task, config, masks, last_step - state.step, replay, graph)
    while state.step < last_step and not all_frozen(state):
        scheduled_step = schedule_step(state.step)
        rate = schedule_factor(config.schedule, scheduled_step, total, per_epoch)
        rate *= config.optimizer.learning_rate * task.rate_factor(state.step)
        if state.step % per_epoch == 0:
            state.carry = task.first_carry(replicates)
        if state.step == state.averages.finetune_from:
            _begin_fine_tuning(state, task)
        progress = min(1.0, (scheduled_step + 1) / total)
        losses = take_step(batch(state.step), rate, progress)
        freeze(state)
        state.recent.append(losses)
        state.step += 1
        if state.step % every == 0 or state.step == last_step:
            validate(state, task, config.precision)
        hook(state)


def _begin_fine_tuning(state: TrainingState, task: Task) -> None:
    """Go on from each replicate's best weights, if it has any, with nothing carried, averaged or logged."""
    rows = [r for r, step in enumerate(state.diverged_at) if step is None]
    seen = [r for r in rows if state.best_loss[r] < math.inf]
    copy_rows(state.replicates.tensors(), state.best, seen)
    start_means(state.averages, state.replicates, rows, state.step)
    for logged in state.averages.logged:
        logged.clear()
    state.carry = task.first_carry(state.replicates)
