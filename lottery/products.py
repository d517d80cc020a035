"""Which of torch's operations multiply what, and how many multiply-adds that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Product:
    """A matrix product or a convolution.

    Attributes:
        operands: what is multiplied.
        multiply_adds: how many it takes, for all examples of the batch.
        convolution: whether it is one.
    """

    operands: tuple[Tensor, ...]
    multiply_adds: int
    convolution: bool = False


Products = Iterator[Product]


def _matrices(first: int) -> Callable[[Sequence[Any], Any], Products]:
    """A product `[.., n, k] @ [.., k, m]`, or of vectors `[k]`: each element of the left one meets m columns."""

    def products(arguments: Sequence[Any], output: Any) -> Products:
        left, right = arguments[first : first + 2]
        columns = right.shape[-1] if right.dim() > 1 else 1
        yield Product(operands=(left, right), multiply_adds=left.numel() * columns)

    return products


def _convolution(arguments: Sequence[Any], output: Tensor) -> Products:
    """Each output element takes a kernel `[C / groups, ...]`; if transposed, each input element gives to one."""
    images, kernels, transposed = arguments[0], arguments[1], arguments[6]
    each = images.numel() if transposed else output.numel()
    yield Product(
        operands=(images, kernels), multiply_adds=each * kernels[0].numel(), convolution=True
    )


def _bilinear(arguments: Sequence[Any], output: Any) -> Products:
    """`x [B, i] W [o, i, j] y [B, j]`: each weight once for each example."""
    left, weight, right = arguments[:3]
    yield Product(operands=(left, weight, right), multiply_adds=len(left) * weight.numel())


def _attention(arguments: Sequence[Any], output: Any) -> Products:
    """Queries `[B, H, T, E]` by keys `[B, H, S, E]`, and that by values `[B, H, S, V]`; what is masked counts."""
    queries, keys, values = arguments[:3]
    length, width = keys.shape[-2], queries.shape[-1]
    yield Product(operands=(queries, keys), multiply_adds=queries.numel() * length)
    pairs = queries.numel() // width * length
    yield Product(operands=(queries, values), multiply_adds=pairs * values.shape[-1])


def _recurrent(arguments: Sequence[Any], output: Any) -> Products:
    """Layers of an LSTM, GRU or RNN in one call: each matrix meets each token of the sequences once."""
    tokens = arguments[0].numel() // arguments[0].shape[-1]
    weights = arguments[1] if isinstance(arguments[1], list | tuple) else arguments[1:3]
    for weight in weights:
        if weight.dim() >= 2:
            yield Product(operands=(arguments[0], weight), multiply_adds=tokens * weight.numel())


# Operation -> what it multiplies, from its arguments and what it returned. What is missing multiplies no matrices.
PRODUCTS: dict[Any, Callable[[Sequence[Any], Any], Products]] = {
    **dict.fromkeys((aten.mm, aten.bmm, aten.mv, aten.dot, aten.vdot), _matrices(0)),
    **dict.fromkeys((aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_), _matrices(1)),
    **dict.fromkeys((aten.addbmm, aten.addbmm_, aten.addmv, aten.addmv_), _matrices(1)),
    aten._addmm_activation: _matrices(1),
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten._trilinear: _bilinear,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
    aten._scaled_dot_product_fused_attention_overrideable: _attention,
    aten.mkldnn_rnn_layer: _recurrent,
    aten._cudnn_rnn: _recurrent,
    aten.miopen_rnn: _recurrent,
}
