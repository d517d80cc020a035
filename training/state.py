"""The state of a training: everything that it needs to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from training.averaging import Averages, averaged
from training.replicates import Replicates
from training.tasks.task import Carry


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One scoring of the validation split: per replicate its loss and metric, None once it has diverged or was done."""

    step: int
    loss: tuple[float | None, ...]
    metric: tuple[float | None, ...]


@dataclass(kw_only=True)
class TrainingState:
    """Everything that a stopped training needs to go on bit for bit. The loop changes it in place.

    Attributes:
        replicates: with their present weights, raw where there is an average.
        optimizer: with its momenta.
        averages: of the weights.
        step: the next step; also how many were taken, counted from the start of the schedule.
        carry: what the task carries between steps.
        best: weights, averaged where they are, and buffers `[R, ...]` at each replicate's step of least validation
            loss.
        best_loss: that loss, `[R]`; infinite before the first validation.
        best_step: that step, `[R]`.
        diverged_at: per replicate the first step whose loss was not finite, or None.
        validations: every scoring of the validation split.
        recent: losses `[R]` since the last validation.
    """

    replicates: Replicates
    optimizer: Optimizer
    averages: Averages
    step: int
    carry: Carry
    best: dict[str, Tensor]
    best_loss: list[float]
    best_step: list[int]
    diverged_at: list[int | None]
    validations: list[Validation] = field(default_factory=list)
    recent: list[Tensor] = field(default_factory=list)


def trained_tensors(state: TrainingState) -> dict[str, Tensor]:
    """What a training has made, `[R, ...]`: averaged weights where there are any, else the raw ones, and buffers."""
    with averaged(state.averages, state.replicates):
        return {name: tensor.clone() for name, tensor in state.replicates.tensors().items()}


def is_frozen(state: TrainingState, r: int) -> bool:
    """Whether a replicate has diverged or is done."""
    return state.diverged_at[r] is not None or state.averages.finished_at[r] is not None


def all_frozen(state: TrainingState) -> bool:
    """Whether no replicate has anything left to learn."""
    return all(is_frozen(state, r) for r in range(len(state.replicates)))


def freeze(state: TrainingState) -> None:
    """Keep what has diverged or is done at its best weights, so that it costs the others nothing."""
    rows = [r for r in range(len(state.replicates)) if is_frozen(state, r)]
    if rows:
        copy_rows(state.replicates.tensors(), state.best, rows)


@torch.no_grad()
def copy_rows(to: Mapping[str, Tensor], source: Mapping[str, Tensor], rows: Sequence[int]) -> None:
    """Copy some replicates' tensors, in place: one operation for each type of numbers, as it happens at every step."""
    if not rows:
        return
    pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for name, tensor in to.items():
        targets, values = pairs.setdefault(tensor.dtype, ([], []))
        target, value = tensor.unbind(0), source[name].unbind(0)
        targets += [target[r] for r in rows]
        values += [value[r] for r in rows]
    for targets, values in pairs.values():
        torch._foreach_copy_(targets, values)
