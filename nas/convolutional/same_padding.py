"""Convolutions and pools that pad as TensorFlow's "SAME" does.

As little as possible, and the odd pixel below and to the right: an even image, halved, is not padded evenly.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's "SAME" puts before and after `size` pixels: ceil(size / stride) are to come out."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME" does, with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, C, H, W]` to `[B, C', ceil(H / stride), ceil(W / stride)]`."""
        sides = zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        rows, columns = (same_padding(*side) for side in sides)
        return super().forward(F.pad(x, (*columns, *rows)))


class SamePool(nn.Module):
    """A pool that pads as TensorFlow's "SAME" does, with pixels that don't count.

    Args:
        pool: `torch.nn.functional.avg_pool2d` or `max_pool2d`.
        kernel: its side, odd.
        stride: 1 or 2.
    """

    def __init__(self, pool: Callable[..., Tensor], kernel: int, stride: int) -> None:
        super().__init__()
        self.pool = pool
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, C, H, W]` to `[B, C, ceil(H / stride), ceil(W / stride)]`."""
        before = [same_padding(size, self.kernel, self.stride)[0] for size in x.shape[2:]]
        # With ceil_mode the last window may hang over, as far as "SAME" pads after.
        return self.pool(x, self.kernel, self.stride, padding=before, ceil_mode=True)
