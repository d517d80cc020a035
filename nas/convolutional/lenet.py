"""LeNets: fully connected layers on the pixels, and the convolutional LeNet-5."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from nas.convolutional.initialisation import initialise
from training.errors import LotteryError
from training.specs import ImageSpec


class Classifier(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        inputs: features that come in.
        widths: of the hidden layers.
        classes: of the last layer.
    """

    def __init__(self, inputs: int, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = pairwise([inputs, *widths, classes])
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """The logits `[B, classes]` of features `[B, ...]`."""
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        logits: Tensor = self.layers[-1](x)
        return logits


class LeNet(Classifier):
    """Linear layers with ReLU between them (LeCun et al. 1998).

    Weights are drawn from the Gaussian Glorot distribution (Frankle & Carbin 2019, figure 2);
    biases are 0.

    Args:
        spec: of the images.
        widths: of the hidden layers; the paper's network has 300 and 100.
    """

    def __init__(self, spec: ImageSpec, *, widths: Sequence[int]) -> None:
        super().__init__(spec.channels * spec.height * spec.width, widths, spec.classes)
        initialise(self, "glorot")


class LeNet5(nn.Module):
    """Two 5x5 convolutions, each with ReLU and 2x2 pooling, and linear layers (LeCun et al. 1998, section II.B).

    In today's form: ReLU where the paper has a scaled tanh, the largest of four pixels where it has a trained
    average, a second convolution that sees all channels where the paper's table I leaves some out, and a linear
    last layer where it has radial basis functions. The image is padded by two pixels, as the paper pads 28 to 32.
    Weights are Gaussian Glorot, biases 0.

    Args:
        spec: of the images.
        channels: of the two convolutions, 6 and 16 in the paper.
        widths: of the hidden linear layers, 120 and 84 in the paper.

    Raises:
        LotteryError: the images are too small, or there are not two convolutions.
    """

    def __init__(self, spec: ImageSpec, *, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != 2:
            raise LotteryError(
                f"The size channels of lenet-5 is {list(channels)}, but it must be a list of two "
                "whole numbers, such as [6, 16]."
            )
        height, width = ((side // 2 - 4) // 2 for side in (spec.height, spec.width))
        if min(height, width) < 1:
            raise LotteryError(
                f"Images of {spec.height} x {spec.width} pixels are too small for lenet-5, which "
                "needs 12 x 12; choose larger images or lenet-300-100."
            )
        self.first = nn.Conv2d(spec.channels, channels[0], 5, padding=2)
        self.second = nn.Conv2d(channels[0], channels[1], 5)
        self.classifier = Classifier(channels[1] * height * width, widths, spec.classes)
        initialise(self, "glorot")

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        x = F.max_pool2d(self.first(images).relu(), 2)
        x = F.max_pool2d(self.second(x).relu(), 2)
        logits: Tensor = self.classifier(x)
        return logits
