"""Derivatives of a loss, and of a network's outputs, for criteria that look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from lottery.pruning.masks import Tensors
from training.configs import TrainingConfig
from training.device import backward_precision, matrix_precision
from training.replicates import Replicates
from training.tasks.task import Loss, Task

# By which GraSP divides logits (Wang, Zhang & Grosse 2020, arXiv 2002.07376; `T` of their release, pruner/GraSP.py).
TEMPERATURE = 200.0


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
    trained = _trained(replicates)
    leaves = _flat(trained)
    found = _mean_gradients(replicates, task, task.loss, leaves, config.precision, batches)
    return _by_name(replicates, trained, found)


def hessian_gradients(
    replicates: Replicates,
    task: Task,
    weights: Mapping[str, Tensor],
    batches: int,
    names: Collection[str],
) -> Tensors:
    """The Hessian of the loss with softened logits times its gradient, `[R, ...]` by parameter, in fp32.

    Both are means over the same first batches.

    Args:
        replicates: as in `mean_gradients`.
        task: whose loss it is.
        weights: `[R, ...]`, parameters and buffers.
        batches: how many.
        names: of the parameters that both are taken of, such as all that may be pruned.

    Raises:
        LotteryError: the task has no such loss.
    """
    replicates.load(weights)
    softened, trained = task.softened(TEMPERATURE), _trained(replicates, names)
    leaves = _flat(trained)
    # Of one batch alone the gradient is at hand when it is differentiated.
    whole = batches > 1
    mean = _mean_gradients(replicates, task, softened, leaves, "fp32", batches) if whole else None
    total = [torch.zeros_like(leaf) for leaf in leaves]
    for loss in _losses(replicates, task, softened, "fp32", batches):
        with backward_precision("fp32", task.device):
            gradients = _filled(
                torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True), leaves
            )
            direction = mean or [gradient.detach() for gradient in gradients]
            parts = zip(gradients, direction, strict=True)
            slope = torch.stack([(gradient * along).sum() for gradient, along in parts]).sum()
            found = torch.autograd.grad(slope, leaves, allow_unused=True)
        torch._foreach_add_(total, _filled(found, leaves))
    return _by_name(replicates, trained, [tensor / batches for tensor in total])


def flow_gradients(replicates: Replicates, task: Task, weights: Mapping[str, Tensor]) -> Tensors:
    """The gradient of the sum of outputs for an input of ones, of networks with absolute weights, `[R, ...]`.

    Args:
        replicates: in double precision, as products of a hundred rounds and many layers need; left with the absolute
            values of these weights, in evaluation mode.
        task: that says what such an input is.
        weights: `[R, ...]`, parameters and buffers.

    Raises:
        LotteryError: the task has no such input.
    """
    replicates.load({name: tensor.abs() for name, tensor in weights.items()})
    replicates.eval()
    trained = _trained(replicates)
    leaves = _flat(trained)
    found = torch.autograd.grad(replicates(task.flow).sum(), leaves, allow_unused=True)
    return _by_name(replicates, trained, _filled(found, leaves))


def _mean_gradients(
    replicates: Replicates,
    task: Task,
    loss: Loss,
    leaves: Sequence[nn.Parameter],
    precision: str,
    batches: int,
) -> list[Tensor]:
    total = [torch.zeros_like(leaf) for leaf in leaves]
    for summed in _losses(replicates, task, loss, precision, batches):
        with backward_precision(precision, task.device):
            found = torch.autograd.grad(summed, leaves, allow_unused=True)
        torch._foreach_add_(total, _filled(found, leaves))
    return [tensor / batches for tensor in total]


def _losses(
    replicates: Replicates, task: Task, loss: Loss, precision: str, batches: int
) -> Iterator[Tensor]:
    """The loss of each of the first batches, summed over replicates, which train."""
    replicates.train()
    draw, carry = task.batches(replicates.noise_seeds), task.first_carry(replicates)
    for step in range(batches):
        if step % task.steps_per_epoch == 0:
            carry = task.first_carry(replicates)
        replicates.advance(step)
        with matrix_precision(precision, task.device):
            losses, carry = replicates(loss, carry, *draw(step))
        yield losses.sum()


def _trained(
    replicates: Replicates, names: Collection[str] | None = None
) -> dict[str, list[nn.Parameter]]:
    """What is trained of each parameter, of some of them."""
    return {
        name: own
        for name, own in replicates.leaves().items()
        if own[0].requires_grad and (names is None or name in names)
    }


def _flat(trained: Mapping[str, Sequence[nn.Parameter]]) -> list[nn.Parameter]:
    return [leaf for leaves in trained.values() for leaf in leaves]


def _filled(found: Sequence[Tensor | None], leaves: Sequence[Tensor]) -> list[Tensor]:
    """With a gradient of 0 for each that nothing follows from."""
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, found, strict=True)
    ]


def _by_name(
    replicates: Replicates,
    trained: Mapping[str, Sequence[nn.Parameter]],
    of_leaves: Sequence[Tensor],
) -> Tensors:
    """What belongs to each leaf, `[R, ...]` by parameter."""
    rest = iter(of_leaves)
    return {
        name: torch.stack([next(rest) for _ in own]).view(replicates.stacked[name].shape)
        for name, own in trained.items()
    }
