"""The operations on the edges of convolutional cells and in the layers of macro networks, by word.

Every convolution is preceded by a ReLU and followed by a batch norm. Where images have an odd size,
a stride of 2 leaves one pixel more than half. At stride 2 the sources pad in two ways: those in
PyTorch evenly, ENAS as `nas.convolutional.same_padding` says, so that on even sizes its kernels stand one pixel
further right and below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.convolutional.pools import (
    average_pool,
    average_pool_2x2,
    max_pool,
    max_pool_2x2,
    same_average_pool,
    same_max_pool,
)
from nas.convolutional.same_padding import SameConvolution


def relu_conv_norm(inputs: int, channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """ReLU, convolution, batch norm: brings `[B, inputs, H, W]` to `channels`."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, channels, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


class FactorizedReduction(nn.Module):
    """Halve images without losing a pixel.

    From `[B, inputs, H, W]` to `[B, channels, ceil(H/2), ceil(W/2)]`.

    Two 1x1 convolutions of stride 2, one on the image and one on the image shifted by one pixel in
    both directions, concatenated and normalised (`_factorized_reduction` of melodyguan/enas).
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, channels - channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Halve `x` `[B, inputs, H, W]`."""
        shifted = F.pad(x, (-1, 1, -1, 1))
        halved: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return halved


class Nothing(nn.Module):
    """Zeros in the shape of the input, or of every second pixel of it: no connection.

    Written as a product, so that whatever stands before it still has a gradient, of 0.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, C, H, W]` to zeros `[B, C, ceil(H / stride), ceil(W / stride)]`."""
        return x[:, :, :: self.stride, :: self.stride] * 0.0


def separable_convolution(
    channels: int, stride: int, kernel: int, times: int = 2, same: bool = False
) -> nn.Module:
    """(ReLU, depthwise, pointwise, batch norm), `times` over; only the first has the stride.

    Args:
        channels: of input and output.
        stride: 1 or 2.
        kernel: side of the depthwise one, odd.
        times: 1 or 2.
        same: whether the stride pads as TensorFlow's "SAME"; else evenly.
    """
    layers: list[nn.Module] = []
    for step in (stride, 1)[:times]:
        convolution = SameConvolution if same and step > 1 else nn.Conv2d
        layers += [
            nn.ReLU(),
            convolution(
                channels,
                channels,
                kernel,
                stride=step,
                padding=0 if same and step > 1 else kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
    return nn.Sequential(*layers)


def dilated_convolution(channels: int, stride: int, kernel: int) -> nn.Module:
    """ReLU, depthwise with every second pixel under its kernel, pointwise, batch norm.

    `DilConv` of quark0/darts: it sees 2 x `kernel` - 1 pixels, and is applied once.
    """
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=kernel - 1,
            dilation=2,
            groups=channels,
            bias=False,
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


def full_convolution(channels: int, stride: int, kernel: int) -> nn.Module:
    """ReLU, convolution over all channels, batch norm: `Conv` of renqianluo/NAO_pytorch."""
    return relu_conv_norm(channels, channels, kernel, stride)


def row_column_convolution(channels: int, stride: int, kernel: int) -> nn.Module:
    """(ReLU, convolution, batch norm) with a row 1 x `kernel`, then with a column `kernel` x 1.

    Each has the stride along its own length, as in `Conv` of renqianluo/NAO_pytorch.
    """
    row, column = _row_and_column(channels, stride, kernel)
    return nn.Sequential(
        nn.ReLU(), row, nn.BatchNorm2d(channels), nn.ReLU(), column, nn.BatchNorm2d(channels)
    )


def joined_row_column_convolution(channels: int, stride: int, kernel: int) -> nn.Module:
    """ReLU, row, column, batch norm: what quark0/darts writes `conv_7x1_1x7`."""
    return nn.Sequential(
        nn.ReLU(), *_row_and_column(channels, stride, kernel), nn.BatchNorm2d(channels)
    )


def _row_and_column(channels: int, stride: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    half = kernel // 2
    row = nn.Conv2d(
        channels, channels, (1, kernel), stride=(1, stride), padding=(0, half), bias=False
    )
    column = nn.Conv2d(
        channels, channels, (kernel, 1), stride=(stride, 1), padding=(half, 0), bias=False
    )
    return row, column


def _identity(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)


def rectified_reduction(inputs: int, channels: int) -> nn.Module:
    """A factorized reduction after a ReLU: `FactorizedReduce` of quark0/darts."""
    return nn.Sequential(nn.ReLU(), FactorizedReduction(inputs, channels))


def _rectified_identity(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else rectified_reduction(channels, channels)


def _none(channels: int, stride: int) -> nn.Module:
    return Nothing(stride)


Constructor = Callable[[int, int], nn.Module]

# word -> constructor(channels, stride): `[B, channels, H, W]` in, the same over the stride out.
OPERATIONS: Mapping[str, Constructor] = {
    "separable-3x3": partial(separable_convolution, kernel=3),
    "separable-5x5": partial(separable_convolution, kernel=5),
    "separable-7x7": partial(separable_convolution, kernel=7),
    "dilated-3x3": partial(dilated_convolution, kernel=3),
    "dilated-5x5": partial(dilated_convolution, kernel=5),
    "convolution-1x1": partial(full_convolution, kernel=1),
    "convolution-3x3": partial(full_convolution, kernel=3),
    "convolution-5x5": partial(full_convolution, kernel=5),
    "convolution-1x3-3x1": partial(row_column_convolution, kernel=3),
    "convolution-1x7-7x1": partial(row_column_convolution, kernel=7),
    "max-2x2": max_pool_2x2,
    "max-3x3": partial(max_pool, kernel=3),
    "max-5x5": partial(max_pool, kernel=5),
    "average-2x2": average_pool_2x2,
    "average-3x3": partial(average_pool, kernel=3),
    "average-5x5": partial(average_pool, kernel=5),
    "average-3x3-padded": partial(average_pool, kernel=3, padded=True),
    "average-5x5-padded": partial(average_pool, kernel=5, padded=True),
    "identity": _identity,
    "none": _none,
}

# What melodyguan/enas builds otherwise (`_fixed_layer` and `_fixed_conv` of micro_child.py): the words of its space.
ENAS_OPERATIONS: Mapping[str, Constructor] = {
    **OPERATIONS,
    "separable-3x3": partial(separable_convolution, kernel=3, same=True),
    "separable-5x5": partial(separable_convolution, kernel=5, same=True),
    "average-3x3": partial(same_average_pool, kernel=3),
    "max-3x3": partial(same_max_pool, kernel=3),
}

# What quark0/darts builds otherwise.
DARTS_OPERATIONS: Mapping[str, Constructor] = {
    **OPERATIONS,
    "convolution-1x3-3x1": partial(joined_row_column_convolution, kernel=3),
    "convolution-1x7-7x1": partial(joined_row_column_convolution, kernel=7),
    "identity": _rectified_identity,
}
