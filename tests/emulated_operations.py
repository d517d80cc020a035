"""What the emulated device knows of operations: which have the host wait, and which CUDA refuses or can't repeat."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

_aten = torch.ops.aten
# Operations that CUDA carries out in any order, unless torch is told that they have to repeat, and those that it has in
# no other way then (`torch.use_deterministic_algorithms`).
_REPEATING_IF_TOLD = {
    *("embedding_dense_backward", "index_add", "index_add_", "index_copy", "index_copy_"),
    *("index_put", "index_put_", "_index_put_impl_", "scatter_add", "scatter_add_", "cumsum"),
    *("scatter", "scatter_", "scatter_reduce", "scatter_reduce_", "convolution_backward"),
    *("replication_pad1d_backward", "replication_pad2d_backward", "repeat_interleave"),
}
_NEVER_REPEATING = {
    *("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "avg_pool3d_backward"),
    *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "max_unpool2d"),
    *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward"),
    *("reflection_pad1d_backward", "reflection_pad2d_backward", "nll_loss2d_forward"),
    *("_ctc_loss_backward", "put_", "histc", "median", "grid_sampler_2d_backward"),
}
# What has the host wait, besides copies between devices.
_READING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_INDEXING = (_aten.index, _aten.index_put, _aten.index_put_)
_COPIES = (_aten.copy_.default, _aten._to_copy.default, _aten._foreach_copy_.default)
_BATCH_NORMS = (_aten.native_batch_norm.default, _aten.native_batch_norm_backward.default)


class Kind(NamedTuple):
    """What is known of an operation, whatever its arguments."""

    name: str
    copies: bool
    indexes: bool
    reads: bool
    reshapes: bool
    repeats_if_told: bool
    never_repeats: bool
    is_batch_norm: bool


@functools.cache
def kind_of(func: Any) -> Kind:
    """What is known of it."""
    name = func.overloadpacket.__name__
    indexes = func.overloadpacket in _INDEXING
    return Kind(
        name=name,
        copies=func in _COPIES,
        indexes=indexes,
        # Torch says so of an index too, of which only a mask does.
        reads=not indexes and any(tag in func.tags for tag in _READING),
        reshapes=torch.Tag.inplace_view in func.tags,
        repeats_if_told=name in _REPEATING_IF_TOLD,
        never_repeats=name in _NEVER_REPEATING,
        is_batch_norm=func in _BATCH_NORMS,
    )


def by_mask(indices: Sequence[Tensor | None]) -> bool:
    """Whether a mask says how many elements there are."""
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)


def check_batch_norm(func: Any, args: Sequence[Any]) -> None:
    """CUDA's kernels take the type of their parameters from the first (aten/src/ATen/native/cuda/Normalization.cu)."""
    gradient, rest = (args[:1], args[1:]) if func is _BATCH_NORMS[1] else ((), args)
    images, *parameters = rest[:4] if gradient else rest[:5]
    types = {tensor.dtype for tensor in parameters if tensor is not None}
    if len(types) > 1 or any(tensor.dtype != images.dtype for tensor in gradient):
        raise RuntimeError(
            f"{func} takes {images.dtype} with parameters of {sorted(map(str, types))}"
        )
