"""Batching rules for the layers in which a stack of replicates spends its time.

`vmap` has a rule for each of these. It is slower on a CPU, as measured on two cores: a linear layer's weight gradient
comes out transposed and is copied at every step; convolutions and what stands around them fold replicates into channels
but lose the channels-last layout in which small grouped convolutions are three to six times faster there. And under
bf16 it takes other precisions than a network alone has, on every device: a linear layer with a bias gives fp32, and so
does a batch norm, of which CUDA then refuses the backward pass. The rules here do as a network alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.convolutions import Rerouted, are_products, convolve, convolve_by_products
from training.rows import channels_last

Dims = Sequence[int | None]
Rule = Callable[[int, Dims, Sequence[Tensor]], tuple[Tensor, int]]
Plain = Callable[..., Tensor]


class BatchingRules(Rerouted):
    """While this is entered, the calls in `RULES` are batched by our rules."""

    def __init__(self) -> None:
        super().__init__(RULES)


class _Ruled(torch.autograd.Function):
    """`plain(*tensors)`, batched by `rule`. Under `vmap` only the rule runs, and autograd sees what it calls."""

    @staticmethod
    def forward(rule: Rule, plain: Plain, *tensors: Tensor) -> Tensor:
        return plain(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.plain, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        tensors = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        with torch.enable_grad():
            output = ctx.plain(*tensors)
        return (None, None, *torch.autograd.grad(output, tensors, grads[0]))

    @staticmethod
    def vmap(info: Any, dims: Dims, rule: Rule, plain: Plain, *tensors: Tensor) -> Any:
        return rule(info.batch_size, dims[2:], tensors)


class _StackedLinear(torch.autograd.Function):
    """`[R, B, in]`, `[R, out, in]`, `[R, out]` to `[R, B, out]`, the weight's gradient in the weight's own layout."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        grad = grads[0]
        into_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        return into_x, torch.bmm(grad.mT, x), grad.sum(1)


def _first(tensor: Tensor, dim: int | None, count: int) -> Tensor:
    """The tensor with its replicates in front, `[R, ...]`."""
    return tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _fold(images: Tensor, dim: int | None, count: int) -> Tensor:
    """Features `[R, B, C, ...]` as `[B, R C, ...]`."""
    return _in_layout(_first(images, dim, count).movedim(0, 1).flatten(1, 2))


def _in_layout(images: Tensor) -> Tensor:
    """Images or kernels in the layout that grouped convolutions want on their device."""
    if not channels_last(images):
        return images
    return images.contiguous(memory_format=torch.channels_last)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    def rule(count: int, dims: Dims, tensors: Sequence[Tensor]) -> tuple[Tensor, int]:
        x, weight, *rest = (_first(t, d, count) for t, d in zip(tensors, dims, strict=True))
        offset = rest[0] if rest else weight.new_zeros(1).expand(count, weight.shape[1])
        rows = x.reshape(count, -1, x.shape[-1])
        if torch.is_autocast_enabled(x.device.type):
            out = torch.baddbmm(offset[:, None], rows, weight.mT)
        else:
            out = _StackedLinear.apply(rows, weight, offset)
        return out.view(*x.shape[:-1], -1), 0

    return _Ruled.apply(rule, F.linear, x, weight, *(() if bias is None else (bias,)))


def _conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    def plain(images: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        offset = bias[0] if bias else None
        return convolve(images, weight, offset, stride, padding, dilation, groups)

    def rule(count: int, dims: Dims, tensors: Sequence[Tensor]) -> tuple[Tensor, int]:
        folded = _fold(tensors[0], dims[0], count)
        kernels, *rest = (_first(t, d, count) for t, d in zip(tensors[1:], dims[1:], strict=True))
        offset = rest[0] if rest else None
        if are_products(folded, kernels, padding, groups):
            images = folded.unflatten(1, (count, -1))
            return convolve_by_products(images, kernels, offset, stride), 1
        kernels = _in_layout(kernels.flatten(0, 1))
        bias = None if offset is None else offset.flatten(0, 1)
        out = convolve(folded, kernels, bias, stride, padding, dilation, groups * count)
        return out.unflatten(1, (count, -1)), 1

    return _Ruled.apply(rule, plain, images, weight, *(() if bias is None else (bias,)))


def _batch_norm(
    images: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    given = (running_mean, running_var, weight, bias)
    present = [tensor is not None for tensor in given]

    def spread(tensors: Sequence[Tensor]) -> list[Tensor | None]:
        rest = iter(tensors)
        return [next(rest) if there else None for there in present]

    def plain(images: Tensor, *tensors: Tensor) -> Tensor:
        mean, variance, scale, offset = spread(tensors)
        return F.batch_norm(images, mean, variance, scale, offset, training, momentum, eps)

    def rule(count: int, dims: Dims, tensors: Sequence[Tensor]) -> tuple[Tensor, int]:
        folded = _fold(tensors[0], dims[0], count)
        flat = [
            _first(t, d, count).flatten(0, 1) for t, d in zip(tensors[1:], dims[1:], strict=True)
        ]
        mean, variance, scale, offset = spread(flat)
        out = F.batch_norm(folded, mean, variance, scale, offset, training, momentum, eps)
        return out.unflatten(1, (count, -1)), 1

    return _Ruled.apply(rule, plain, images, *(t for t in given if t is not None))


def _pool(pool: Plain) -> Callable[..., Any]:
    def make(images: Tensor, *args: Any, **kwargs: Any) -> Any:
        def plain(images: Tensor) -> Tensor:
            return pool(images, *args, **kwargs)

        def rule(count: int, dims: Dims, tensors: Sequence[Tensor]) -> tuple[Tensor, int]:
            return plain(_fold(tensors[0], dims[0], count)).unflatten(1, (count, -1)), 1

        return _Ruled.apply(rule, plain, images)

    return make


RULES: dict[Callable[..., Any], Callable[..., Any]] = {
    F.linear: _linear,
    F.conv2d: _conv2d,
    F.batch_norm: _batch_norm,
    F.avg_pool2d: _pool(F.avg_pool2d),
    F.max_pool2d: _pool(F.max_pool2d),
}
