"""The pools on the edges of convolutional cells; for their padding at stride 2 see `nas.convolutional.operations`.

Each takes `channels`, which pools leave as they are, so that it is called as every operation is.
"""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import nn

from nas.convolutional.same_padding import SamePool


def average_pool(channels: int, stride: int, kernel: int, padded: bool = False) -> nn.Module:
    """The mean of the pixels under an odd kernel.

    Args:
        channels: any number; pools leave them as they are.
        stride: 1 or 2.
        kernel: its side.
        padded: whether zeros beyond the border count, as in the large search space of
            renqianluo/NAO_pytorch.
    """
    return nn.AvgPool2d(kernel, stride=stride, padding=kernel // 2, count_include_pad=padded)


def max_pool(channels: int, stride: int, kernel: int) -> nn.Module:
    """The largest of the pixels under an odd kernel."""
    return nn.MaxPool2d(kernel, stride=stride, padding=kernel // 2)


def average_pool_2x2(channels: int, stride: int) -> nn.Module:
    """The mean of a pixel and those right of and below it.

    Beyond the border there are zeros, which count (renqianluo/NAO_pytorch).
    """
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(2, stride=stride))


def max_pool_2x2(channels: int, stride: int) -> nn.Module:
    """The largest of a pixel and those right of and below it.

    Beyond the border there are zeros, which count (renqianluo/NAO_pytorch).
    """
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=stride))


def same_average_pool(channels: int, stride: int, kernel: int) -> nn.Module:
    """The mean of the pixels under an odd kernel, padded as "SAME"."""
    return SamePool(partial(F.avg_pool2d, count_include_pad=False), kernel, stride)


def same_max_pool(channels: int, stride: int, kernel: int) -> nn.Module:
    """The largest of the pixels under an odd kernel, padded as "SAME"."""
    return SamePool(F.max_pool2d, kernel, stride)
