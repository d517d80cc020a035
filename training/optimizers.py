"""Optimizers over stacked parameters, learning-rate schedules, and masks and norms of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from training.configs import OptimizerConfig, ScheduleConfig
from training.replicates import Replicates


def _sgd(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return SGD(
        parameters,
        config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _adam(
    kind: type[Adam] | type[AdamW], parameters: list[nn.Parameter], config: OptimizerConfig
) -> Optimizer:
    return kind(
        parameters,
        config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        fused=True,
    )


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter], OptimizerConfig], Optimizer]] = {
    "sgd": _sgd,
    "adam": partial(_adam, Adam),
    "adamw": partial(_adam, AdamW),
}


def make_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer that a configuration names, over stacked parameters that are trained."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return OPTIMIZERS[config.name](trained, config)


def optimizer_state(optimizer: Optimizer, replicates: Replicates) -> dict[str, Tensor]:
    """What an optimizer remembers, by `kind/parameter`: averages `[R, ...]`, and Adam's count of steps, a scalar."""
    remembered = {}
    for name, leaves in replicates.leaves().items():
        for kind, first in optimizer.state.get(leaves[0], {}).items():
            if first is None:
                continue
            alone = kind == "step" or replicates.batching == "stacked"
            parts = [optimizer.state[leaf][kind] for leaf in leaves]
            remembered[f"{kind}/{name}"] = first if alone else torch.stack(parts)
    return remembered


def load_optimizer_state(
    optimizer: Optimizer, replicates: Replicates, state: Mapping[str, Tensor]
) -> None:
    """Have an optimizer remember what `optimizer_state` gave.

    Each average gets its parameter's order in memory, in which fused optimizers walk both.

    Raises:
        KeyError, ValueError: it is of other parameters, or of other shapes.
    """
    weights, leaves = replicates.weights(), replicates.leaves()
    for key, tensor in state.items():
        kind, name = key.split("/", 1)
        shape = weights[name].shape
        if tensor.dim() and tensor.shape != shape:
            raise ValueError(f"{key} is {list(tensor.shape)}, not {list(shape)}")
        for leaf, part in zip(leaves[name], _parts(replicates, tensor), strict=True):
            copied = torch.empty_like(leaf, requires_grad=False) if tensor.dim() else part.clone()
            optimizer.state[leaf][kind] = copied.copy_(part).to(leaf.device)


def _parts(replicates: Replicates, tensor: Tensor) -> Sequence[Tensor]:
    """A tensor `[R, ...]` as its leaves are, or a scalar for each of them."""
    if replicates.batching == "stacked":
        return [tensor]
    return tensor.unbind(0) if tensor.dim() else [tensor] * len(replicates)


def schedule_factor(
    schedule: ScheduleConfig, step: int, last_step: int, steps_per_epoch: int
) -> float:
    """By what the learning rate is multiplied at a step (counted from 0)."""
    if schedule.name == "step":
        passed = sum(step >= m.count(steps_per_epoch) for m in schedule.milestones)
        factor = schedule.factor**passed
    elif schedule.name == "cosine":
        first = schedule.restart.count(steps_per_epoch)
        place, length = (
            _period(step, first, schedule.restart_factor) if first else (step, last_step)
        )
        wave = 0.5 * (1 + math.cos(math.pi * min(place / length, 1.0)))
        factor = schedule.least + (1 - schedule.least) * wave
    else:
        factor = 1.0
    warmup = schedule.warmup.count(steps_per_epoch)
    return factor * min(1.0, (step + 1) / warmup) if warmup else factor


def _period(step: int, first: int, factor: int) -> tuple[int, int]:
    """The place of a step in its period of warm restarts, and how long that period is.

    Loshchilov & Hutter 2017 (arXiv 1608.03983), section 3: T_cur and T_i, with T_0 = `first` and T_mult = `factor`.
    """
    if factor == 1:
        return step % first, first
    place, length = step, first
    while place >= length:
        place -= length
        length *= factor
    return place, length


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Use a learning rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def own_memory(gradients: Sequence[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    """The gradients, of which each can be changed in place: what shares memory is copied.

    Autograd may give one tensor, or views of it, to all of a sum's parameters, and what it was computed from.

    Args:
        gradients: as a backward pass left them.
        others: tensors that shall not change with them.
    """
    taken = {tensor.untyped_storage().data_ptr() for tensor in others}
    own = []
    for gradient in gradients:
        memory = gradient.untyped_storage().data_ptr()
        own.append(gradient.clone() if memory in taken else gradient)
        taken.add(memory)
    return own


def trained_parameters(replicates: Replicates) -> list[list[nn.Parameter]]:
    """The parameters that are trained, of each of the modules of replicates."""
    return [
        [parameter for parameter in network.parameters() if parameter.requires_grad]
        for network in replicates.networks
    ]


def gradients(
    replicates: Replicates, trained: Sequence[Sequence[nn.Parameter]]
) -> list[list[Tensor]]:
    """Each replicate's gradients, which a backward pass left.

    Args:
        replicates: that were differentiated.
        trained: their `trained_parameters`, found once: walking a network at every step takes a small one's time.
    """
    found = [[p.grad for p in own if p.grad is not None] for own in trained]
    if replicates.batching == "looped":
        return found
    return [list(rows) for rows in zip(*(grad.unbind(0) for grad in found[0]), strict=True)]


def gradient_masks(
    replicates: Replicates, masks: Mapping[str, Tensor]
) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters of which something is pruned, each with its mask in its gradient's type and memory layout."""
    leaves = replicates.leaves()
    return [
        (leaf, torch.empty_like(leaf, requires_grad=False).copy_(part))
        for name, mask in masks.items()
        if not bool(mask.all())
        for leaf, part in zip(leaves[name], _parts(replicates, mask), strict=True)
    ]


def mask_gradients(masked: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Multiply gradients, in place, by their masks."""
    pairs = [(p.grad, mask) for p, mask in masked if p.grad is not None]
    if pairs:
        torch._foreach_mul_([grad for grad, _ in pairs], [mask for _, mask in pairs])


def gradient_norm(grads: list[Tensor]) -> Tensor:
    """The norm of one replicate's whole gradient, a scalar."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return norm


def clip_per_replicate(grads: Iterable[list[Tensor]], limit: float) -> None:
    """Scale each replicate's gradient, in place, so that its norm is at most `limit`.

    A gradient that is not finite is left for the loop to find.
    """
    for own in grads:
        factor = (limit / (gradient_norm(own) + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(own, factor)
