"""The operations on the edges of convolutional cells, by word."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relu_conv_norm(inputs: int, channels: int) -> nn.Module:
    """ReLU, 1x1 convolution, batch norm: brings `[B, inputs, H, W]` to `channels`."""
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels)
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


def separable_convolution(channels: int, stride: int, kernel: int) -> nn.Module:
    """(ReLU, depthwise, pointwise, batch norm) twice; only the first has the stride."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        layers += [
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                stride=step,
                padding=kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
    return nn.Sequential(*layers)


def _separable_3x3(channels: int, stride: int) -> nn.Module:
    return separable_convolution(channels, stride, kernel=3)


def _separable_5x5(channels: int, stride: int) -> nn.Module:
    return separable_convolution(channels, stride, kernel=5)


def _average_3x3(channels: int, stride: int) -> nn.Module:
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


def _max_3x3(channels: int, stride: int) -> nn.Module:
    return nn.MaxPool2d(3, stride=stride, padding=1)


def _identity(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)


# word -> constructor(channels, stride): `[B, channels, H, W]` in, the same over the stride out.
OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "separable-3x3": _separable_3x3,
    "separable-5x5": _separable_5x5,
    "average-3x3": _average_3x3,
    "max-3x3": _max_3x3,
    "identity": _identity,
}
