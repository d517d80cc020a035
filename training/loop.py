"""The training loop: one page, one hook."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.configs import TrainingConfig
from training.device import backward_precision, matrix_precision
from training.optimizers import (
    clip_per_replicate,
    gradients,
    make_optimizer,
    schedule_factor,
    set_learning_rate,
)
from training.replicates import Replicates
from training.tasks.parts import cut, join
from training.tasks.task import Batch, Carry, Task

Hook = Callable[["TrainingState"], None]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the validation split: per replicate its loss and metric, None once it has diverged."""

    step: int
    loss: tuple[float | None, ...]
    metric: tuple[float | None, ...]


@dataclass(kw_only=True)
class TrainingState:
    """Everything that a stopped training needs to go on bit for bit. The loop changes it in place.

    Attributes:
        replicates: with their present weights.
        optimizer: with its averages.
        step: the next step; also how many were taken, counted from the start of the schedule.
        carry: what the task carries between steps.
        best: weights and buffers `[R, ...]` at each replicate's step of least validation loss.
        best_loss: that loss, `[R]`; infinite before the first look.
        best_step: that step, `[R]`.
        diverged_at: per replicate the first step whose loss was not finite, or None.
        looks: every look at the validation split.
        recent: losses `[R]` since the last look.
    """

    replicates: Replicates
    optimizer: Optimizer
    step: int
    carry: Carry
    best: dict[str, Tensor]
    best_loss: list[float]
    best_step: list[int]
    diverged_at: list[int | None]
    looks: list[Look] = field(default_factory=list)
    recent: list[Tensor] = field(default_factory=list)


def begin(replicates: Replicates, task: Task, config: TrainingConfig, step: int) -> TrainingState:
    """The state before the first step, with a fresh optimizer."""
    count = len(replicates)
    return TrainingState(
        replicates=replicates,
        optimizer=make_optimizer(config.optimizer, replicates.parameters()),
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
) -> None:
    """Train every replicate from `state.step` to `last_step`; pruned weights stay exactly 0.

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
    """
    replicates = state.replicates
    batch = task.batches(replicates.noise_seeds)
    per_epoch = task.steps_per_epoch
    total = config.steps.count(per_epoch)
    every = config.eval_every.count(per_epoch)
    masked = gradient_masks(replicates, masks)
    replicates.train()
    draw = state.step * config.accumulation
    now = torch.tensor(draw, dtype=torch.int32, device=task.device)
    while state.step < last_step:
        place = schedule_step(state.step)
        rate = schedule_factor(config.schedule, place, total, per_epoch)
        set_learning_rate(state.optimizer, config.optimizer.learning_rate * rate)
        if state.step % per_epoch == 0:
            state.carry = task.first_carry(replicates)
        state.optimizer.zero_grad()
        progress = min(1.0, (place + 1) / total)
        losses = _differentiate(state, task, config, batch(state.step), now, progress)
        mask_gradients(masked)
        if config.optimizer.clip_norm is not None:
            clip_per_replicate(gradients(replicates.parameters()), config.optimizer.clip_norm)
        state.optimizer.step()
        _hold_diverged(state)
        state.recent.append(losses)
        state.step += 1
        if state.step % every == 0 or state.step == last_step:
            look(state, task, config.precision)
        hook(state)


def _differentiate(
    state: TrainingState,
    task: Task,
    config: TrainingConfig,
    batch: Batch,
    now: Tensor,
    progress: float,
) -> Tensor:
    """Leave a batch's gradients, the mean over its parts, and return the losses `[R]`; advances the carry.

    Args:
        state: its carry is changed.
        task: what is learned.
        config: how.
        batch: of all replicates.
        now: the number of the draw, int32, raised in place at each part: parts repeat no noise.
        progress: the share of training that is done, which scheduled drop-path follows.
    """
    replicates, parts = state.replicates, config.accumulation
    losses, carries = [], []
    for carry, part in cut(state.carry, batch, task.example_dimension, parts):
        replicates.advance(now, progress)
        with matrix_precision(config.precision, task.device):
            loss, after = replicates(task.loss, carry, *part)
        with backward_precision(config.precision):
            (loss.sum() / parts).backward()
        losses.append(loss.detach())
        carries.append(after)
        now += 1
    state.carry = join(carries)
    return losses[0] if parts == 1 else torch.stack(losses).mean(0)


def gradient_masks(
    replicates: Replicates, masks: Mapping[str, Tensor]
) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters of which something is pruned, each with its mask in its gradient's type and memory layout."""
    weights = replicates.weights()
    return [
        (weights[name], torch.empty_like(weights[name], requires_grad=False).copy_(mask))
        for name, mask in masks.items()
        if not bool(mask.all())
    ]


def mask_gradients(masked: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Multiply gradients, in place, by their masks."""
    held = [(p.grad, mask) for p, mask in masked if p.grad is not None]
    if held:
        torch._foreach_mul_([grad for grad, _ in held], [mask for _, mask in held])


def look(state: TrainingState, task: Task, precision: str) -> None:
    """Score the validation split, keep each replicate's best weights, and find what has diverged."""
    replicates = state.replicates
    replicates.eval()
    with matrix_precision(precision, task.device):
        scored = task.evaluate(replicates, "validation")
    replicates.train()
    _find_diverged(state, scored.loss.tolist())
    alive = [step is None for step in state.diverged_at]
    better = [
        r for r, loss in enumerate(scored.loss.tolist()) if alive[r] and loss < state.best_loss[r]
    ]
    for r in better:
        state.best_loss[r] = float(scored.loss[r])
        state.best_step[r] = state.step
    _copy_rows(state.best, replicates.tensors(), better)
    _hold_diverged(state)
    state.looks.append(
        Look(
            step=state.step,
            loss=_finite(scored.loss.tolist(), alive),
            metric=_finite(scored.metric.tolist(), alive),
        )
    )
    state.recent.clear()


def _finite(values: Sequence[float], alive: Sequence[bool]) -> tuple[float | None, ...]:
    pairs = zip(values, alive, strict=True)
    return tuple(v if keep and math.isfinite(v) else None for v, keep in pairs)


def _find_diverged(state: TrainingState, validation_loss: Sequence[float]) -> None:
    """Note the first step of each replicate at which a loss was not finite."""
    taken = torch.stack(state.recent).isfinite().cpu()
    first = state.step - len(state.recent)
    for r, loss in enumerate(validation_loss):
        if state.diverged_at[r] is not None:
            continue
        if not bool(taken[:, r].all()):
            state.diverged_at[r] = first + int(taken[:, r].int().argmin())
        elif not math.isfinite(loss):
            state.diverged_at[r] = state.step


def _hold_diverged(state: TrainingState) -> None:
    """Keep a diverged replicate at its best weights, so that it costs the others nothing."""
    rows = [r for r, step in enumerate(state.diverged_at) if step is not None]
    if rows:
        _copy_rows(state.replicates.tensors(), state.best, rows)


@torch.no_grad()
def _copy_rows(to: Mapping[str, Tensor], source: Mapping[str, Tensor], rows: Sequence[int]) -> None:
    for name, tensor in to.items():
        for r in rows:
            tensor[r].copy_(source[name][r])
