"""LeNets: counts, initial weights, sizes of images."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nas.catalog.building import build
from training.errors import LotteryError
from training.specs import ImageSpec

MNIST = ImageSpec(channels=1, height=28, width=28, classes=10)


def made(name: str, spec: ImageSpec, **size: object) -> nn.Module:
    return build(name, size, spec, torch.Generator().manual_seed(0))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_counts() -> None:
    # 784 x 300 + 300 + 300 x 100 + 100 + 100 x 10 + 10
    assert count(made("lenet-300-100", MNIST)) == 266_610
    assert count(made("lenet-300-100", MNIST, widths=[5])) == 785 * 5 + 6 * 10
    # 25 x 6 + 6, 150 x 16 + 16, 400 x 120 + 120, 120 x 84 + 84, 84 x 10 + 10
    assert count(made("lenet-5", MNIST)) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5"])
def test_initial_weights_are_gaussian_glorot(name: str) -> None:
    network = made(name, MNIST, widths=[400, 100])
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    weight = layers[0].weight
    # Variance 2 / (inputs + outputs).
    deviation = math.sqrt(2 / (weight.shape[1] + 400))
    assert math.isclose(weight.std().item(), deviation, rel_tol=0.02)
    # A uniform distribution of that variance ends at sqrt(3) deviations.
    assert weight.abs().max() > 3 * deviation
    biases = [p for p in network.parameters() if p.dim() == 1]
    assert not any(bias.any() for bias in biases)


def test_a_worked_lenet() -> None:
    spec = ImageSpec(channels=1, height=1, width=2, classes=2)
    network = made("lenet-300-100", spec, widths=[2])
    weights = {"0": [[1.0, 0.0], [0.0, -1.0]], "1": [[1.0, 2.0], [3.0, 4.0]]}
    for place, rows in weights.items():
        network.get_parameter(f"layers.{place}.weight").data.copy_(torch.tensor(rows))
    # The hidden layer is relu(5), relu(-7).
    assert network(torch.tensor([[[[5.0, 7.0]]]])).tolist() == [[5.0, 15.0]]


@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 30), (32, 32)])
def test_images_of_many_sizes(height: int, width: int) -> None:
    spec = ImageSpec(channels=2, height=height, width=width, classes=4)
    assert made("lenet-5", spec)(torch.randn(3, 2, height, width)).shape == (3, 4)


def test_what_lenet_5_refuses() -> None:
    small = ImageSpec(channels=1, height=11, width=28, classes=10)
    with pytest.raises(LotteryError, match="Images of 11 x 28 pixels are too small for lenet-5"):
        made("lenet-5", small)
    with pytest.raises(LotteryError, match=r"is \[6\], but it must be a list of two"):
        made("lenet-5", MNIST, channels=[6])
