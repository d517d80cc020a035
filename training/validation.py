"""Scoring the validation split: what it keeps, what has diverged, and what is done."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from training.averaging import after_validation, averaged
from training.device import matrix_precision
from training.state import TrainingState, Validation, copy_rows, freeze, is_frozen
from training.tasks.task import Task


def validate(state: TrainingState, task: Task, precision: str) -> None:
    """Score the validation split, keep each replicate's best weights, and find what has diverged or is done.

    Where there are averaged weights it is they that are scored and kept.
    """
    replicates = state.replicates
    learning = [not is_frozen(state, r) for r in range(len(replicates))]
    replicates.eval()
    with averaged(state.averages, replicates):
        with matrix_precision(precision, task.device):
            scored = task.evaluate(replicates, "validation")
        losses = scored.loss.tolist()
        _find_diverged(state, losses)
        _keep_best(state, losses)
    replicates.train()
    alive = [step is None for step in state.diverged_at]
    after_validation(state.averages, replicates, losses, alive, state.step)
    freeze(state)
    shown = [ran and lives for ran, lives in zip(learning, alive, strict=True)]
    state.validations.append(
        Validation(
            step=state.step,
            loss=_finite(losses, shown),
            metric=_finite(scored.metric.tolist(), shown),
        )
    )
    state.recent.clear()


def _keep_best(state: TrainingState, losses: Sequence[float]) -> None:
    better = [
        r for r, loss in enumerate(losses) if not is_frozen(state, r) and loss < state.best_loss[r]
    ]
    for r in better:
        state.best_loss[r] = losses[r]
        state.best_step[r] = state.step
    copy_rows(state.best, state.replicates.tensors(), better)


def _finite(values: Sequence[float], shown: Sequence[bool]) -> tuple[float | None, ...]:
    pairs = zip(values, shown, strict=True)
    return tuple(v if keep and math.isfinite(v) else None for v, keep in pairs)


def _find_diverged(state: TrainingState, validation_loss: Sequence[float]) -> None:
    """Note the first step of each replicate at which a loss was not finite."""
    taken = torch.stack(state.recent).isfinite().cpu()
    first = state.step - len(state.recent)
    for r, loss in enumerate(validation_loss):
        if is_frozen(state, r):
            continue
        if not bool(taken[:, r].all()):
            state.diverged_at[r] = first + int(taken[:, r].int().argmin())
        elif not math.isfinite(loss):
            state.diverged_at[r] = state.step
