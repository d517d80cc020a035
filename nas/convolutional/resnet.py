"""Residual networks for small images."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from nas.convolutional.initialisation import Initialisation, initialise
from training.errors import LotteryError
from training.specs import ImageSpec

Shortcut = Literal["padded", "projected"]


class PaddedShortcut(nn.Module):
    """Every `stride`-th pixel, and channels of zeros behind the given ones (He et al. 2016, section 4.1, option A).

    Args:
        channels: that are added.
        stride: in both directions.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, inputs, H, W]` to `[B, inputs + channels, H / stride, W / stride]`."""
        strided = x[:, :, :: self.stride, :: self.stride]
        return F.pad(strided, (0, 0, 0, 0, 0, self.channels))


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, to which the input is added (He et al. 2016, figure 2).

    Where the shape changes, the input is padded with channels of zeros (section 4.1, option A) or passes a 1x1
    convolution with batch norm (option B).
    """

    def __init__(self, inputs: int, channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = (
                PaddedShortcut(channels - inputs, stride)
                if shortcut == "padded"
                else nn.Sequential(
                    nn.Conv2d(inputs, channels, 1, stride=stride, bias=False),
                    nn.BatchNorm2d(channels),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, inputs, H, W]` to `[B, channels, H / stride, W / stride]`."""
        out: Tensor = self.shortcut(x) + self.residual(x)
        return out.relu()


class ResNet(nn.Module):
    """The residual network for CIFAR (He et al. 2016, section 4.2).

    Three stages of (depth - 2) / 6 blocks, with 1, 2 and 4 times `width` channels; the second and
    third halve the image.

    He et al. train it with shortcuts that have no weights: 269,722 parameters at depth 20, their 0.27 M. The lottery
    ticket papers have 1x1 convolutions there: 272,474 parameters, of which 270,256 in convolutions; with the 1,568
    running averages of batch norm that is the 274 K of Frankle & Carbin 2019, figure 2, whose "Resnet-18" it is.

    Args:
        spec: of the images.
        depth: 6n + 2 for a whole n of at least 1.
        width: channels of the first stage.
        shortcut: "padded" (option A) or "projected" (option B).
        initialisation: "he" (He et al. 2015) or "glorot" (Frankle & Carbin 2019, figure 2); the bias is 0.

    Raises:
        LotteryError: the depth is not of that form.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        depth: int,
        width: int,
        shortcut: Shortcut,
        initialisation: Initialisation,
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise LotteryError(
                f"The size depth of resnet is {depth}, but it must be 6n + 2: "
                "give 8, 14, 20, 32, 44, 56 or 110."
            )
        self.stem = nn.Sequential(
            nn.Conv2d(spec.channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential()
        inputs = width
        for stage in range(3):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(inputs, width * 2**stage, stride, shortcut))
                inputs = width * 2**stage
        self.classifier = nn.Linear(inputs, spec.classes)
        initialise(self, initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        features: Tensor = self.blocks(self.stem(images))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
