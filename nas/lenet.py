"""LeNet: fully connected layers on the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from training.specs import ImageSpec


class LeNet(nn.Module):
    """Linear layers with ReLU between them (LeCun et al. 1998).

    Weights are drawn from the Gaussian Glorot distribution (Frankle & Carbin 2019, figure 2);
    biases are 0.

    Args:
        spec: of the images.
        widths: of the hidden layers; the paper's network has 300 and 100.
    """

    def __init__(self, spec: ImageSpec, *, widths: Sequence[int]) -> None:
        super().__init__()
        sizes = [spec.channels * spec.height * spec.width, *widths, spec.classes]
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        x = images.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        logits: Tensor = self.layers[-1](x)
        return logits


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
