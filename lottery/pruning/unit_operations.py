"""What torch's operations do with the elements of a tensor, as far as units are followed through them."""

from __future__ import annotations

import torch

aten = torch.ops.aten
PRODUCTS = (aten.mm, aten.addmm)
# Normalise each channel by itself, in evaluation.
NORMS = (
    *(aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten.cudnn_batch_norm),
    *(aten._batch_norm_no_update, aten.miopen_batch_norm),
)
# Over the pixels of each channel by itself.
POOLS = (
    *(aten.max_pool2d_with_indices, aten.avg_pool2d, aten._adaptive_avg_pool2d),
    *(aten.adaptive_max_pool2d, aten.upsample_nearest2d, aten.upsample_bilinear2d),
)
REDUCTIONS = (aten.mean, aten.sum, aten.amax)
MOVES = (
    *(aten.cat, aten.stack, aten.index_select, aten.repeat, aten.flip, aten.roll),
    *(aten.reflection_pad2d, aten.channel_shuffle),
)
# Take nothing of a tensor but its shape.
CREATED = (
    *(aten.new_zeros, aten.new_ones, aten.new_full, aten.new_empty),
    *(aten.zeros_like, aten.ones_like, aten.full_like, aten.empty_like, aten.rand_like),
)
# Of labels, which may lie otherwise in memory, they are no views.
RESHAPES = (aten.view, aten._unsafe_view, aten._reshape_alias)
# Beside those that torch marks as elementwise.
ELEMENTWISE = (
    *(aten._to_copy, aten.clone, aten.native_dropout, aten.rrelu_with_noise),
    *(aten.copy_, aten.zero_, aten.fill_, aten.hardtanh_, aten.leaky_relu_, aten.elu_),
    *(aten.silu_, aten.hardswish_, aten.hardsigmoid_, aten.relu_, aten.add_, aten.mul_),
)
