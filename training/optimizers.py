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
        capturable=any(parameter.is_cuda for parameter in parameters),
        fused=True,
    )


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter], OptimizerConfig], Optimizer]] = {
    "sgd": _sgd,
    "adam": partial(_adam, Adam),
    "adamw": partial(_adam, AdamW),
}


def make_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer that a configuration names, over stacked parameters that are trained.

    On CUDA it reads its learning rate from a tensor, also where no step is captured, so that all round it alike.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = OPTIMIZERS[config.name](trained, config)
    if any(parameter.is_cuda for parameter in trained):
        rate_on_device(optimizer)
    return optimizer


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
    """Have an optimizer remember what `optimizer_state` gave, in the memory where it does already.

    Each new average gets its parameter's order in memory, in which fused optimizers walk both.

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
            remembered = optimizer.state[leaf]
            if remembered.get(kind) is None:
                like = leaf if tensor.dim() else part
                remembered[kind] = torch.empty_like(like, device=leaf.device, requires_grad=False)
            remembered[kind].copy_(part)


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
        position, length = (
            _period(step, first, schedule.restart_factor) if first else (step, last_step)
        )
        wave = 0.5 * (1 + math.cos(math.pi * min(position / length, 1.0)))
        factor = schedule.least + (1 - schedule.least) * wave
    else:
        factor = 1.0
    warmup = schedule.warmup.count(steps_per_epoch)
    return factor * min(1.0, (step + 1) / warmup) if warmup else factor


def _period(step: int, first: int, factor: int) -> tuple[int, int]:
    """The position of a step in its period of warm restarts, and how long that period is.

    Loshchilov & Hutter 2017 (arXiv 1608.03983), section 3: T_cur and T_i, with T_0 = `first` and T_mult = `factor`.
    """
    if factor == 1:
        return step % first, first
    position, length = step, first
    while position >= length:
        position -= length
        length *= factor
    return position, length


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Use a learning rate from the next step on."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def rate_on_device(optimizer: Optimizer) -> None:
    """Have an optimizer read its learning rate from a tensor, as captured steps have to.

    It is fp32 on CUDA, whose kernels read no other, and fp64 elsewhere, which is the float that it was.
    """
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], Tensor):
            device = group["params"][0].device
            dtype = torch.float32 if device.type == "cuda" else torch.float64
            group["lr"] = torch.tensor(group["lr"], dtype=dtype, device=device)


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


def gradient_norms(grads: Sequence[list[Tensor]]) -> Tensor:
    """The norm of each replicate's whole gradient, `[R]`.

    All parameters of all replicates are taken together, which on CUDA launches little; each is summed by itself, and
    then each replicate's norms are, in the order in which one alone would be: a row of a reduction over the last
    dimension is that of the row alone, bit for bit.

    Args:
        grads: each replicate's gradients, of as many parameters.
    """
    of_each = torch.stack(torch._foreach_norm([grad for own in grads for grad in own]))
    norms: Tensor = torch.linalg.vector_norm(of_each.view(len(grads), -1), dim=1)
    return norms


def clip_per_replicate(grads: Sequence[list[Tensor]], limit: float) -> None:
    """Scale each replicate's gradient, in place, so that its norm is at most `limit`.

    A gradient that is not finite is left for the loop to find.

    Args:
        grads: each replicate's gradients, of as many parameters.
        limit: of the norm.
    """
    factors = (limit / (gradient_norms(grads) + 1e-6)).clamp(max=1.0)
    for own, factor in zip(grads, factors.unbind(0), strict=True):
        torch._foreach_mul_(own, factor)
