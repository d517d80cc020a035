"""Gradients of the training loss, for criteria that look at them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lottery.pruning.masks import Tensors
from training.configs import TrainingConfig
from training.device import backward_precision, matrix_precision
from training.replicates import Replicates
from training.tasks.task import Task


def mean_gradients(
    replicates: Replicates,
    task: Task,
    config: TrainingConfig,
    weights: Mapping[str, Tensor],
    batches: int,
) -> Tensors:
    """The mean gradient `[R, ...]` of the loss over the first batches of each replicate's order, by parameter.

    Args:
        replicates: that draw data order and dropout by their noise seeds; left with these weights, in training mode.
        task: whose loss it is.
        config: of which the precision is taken.
        weights: `[R, ...]`, parameters and buffers.
        batches: how many.
    """
    replicates.load(weights)
    replicates.train()
    draw, total = task.batches(replicates.noise_seeds), None
    trained = {name: p for name, p in replicates.leaves().items() if p[0].requires_grad}
    carry = task.first_carry(replicates)
    for step in range(batches):
        if step % task.steps_per_epoch == 0:
            carry = task.first_carry(replicates)
        replicates.advance(step)
        with matrix_precision(config.precision, task.device):
            loss, carry = replicates(task.loss, carry, *draw(step))
        leaves = [leaf for parts in trained.values() for leaf in parts]
        with backward_precision(config.precision, task.device):
            found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
        filled = [
            torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, found, strict=True)
        ]
        total = filled if total is None else [a + b for a, b in zip(total, filled, strict=True)]
    parts = iter(total or [])
    return {
        name: torch.stack([next(parts) for _ in leaves]).view(replicates.stacked[name].shape)
        / batches
        for name, leaves in trained.items()
    }
