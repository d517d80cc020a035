"""A batch in equal parts, for steps that would not fit into memory at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.tasks.task import Batch, Carry


def cut(
    carry: Carry, batch: Batch, example_dimension: int, parts: int
) -> list[tuple[Carry, Batch]]:
    """A batch of all replicates, and what is carried into it, as equal parts of both.

    Args:
        carry: tensors `[R, B, ...]`, in tuples of any depth.
        batch: tensors `[R, ...]` with B at `example_dimension` + 1.
        example_dimension: of one network's batch.
        parts: how many; B is a multiple of it, or it is 1.
    """
    if parts == 1:
        return [(carry, batch)]
    return [
        (_part(carry, 1, parts, index), _part(batch, example_dimension + 1, parts, index))
        for index in range(parts)
    ]


def join(carries: Sequence[Carry]) -> Carry:
    """What is carried out of the parts, as of one batch."""
    first = carries[0]
    return first if len(carries) == 1 else _joined(carries)


def _part(value: Any, dimension: int, parts: int, index: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_part(item, dimension, parts, index) for item in value)
    length = value.shape[dimension] // parts
    return value.narrow(dimension, index * length, length)


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], tuple):
        return tuple(_joined(items) for items in zip(*values, strict=True))
    tensors: Sequence[Tensor] = values
    return torch.cat(list(tensors), 1)
