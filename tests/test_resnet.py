"""Residual networks: published counts, shapes, shortcuts, initial weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nas.catalog.building import build
from nas.convolutional.resnet import Block, PaddedShortcut, ResNet
from training.errors import LotteryError
from training.specs import ImageSpec

CIFAR_10 = ImageSpec(channels=3, height=32, width=32, classes=10)
SMALL = ImageSpec(channels=3, height=8, width=8, classes=5)


def made(name: str, spec: ImageSpec, **size: int) -> nn.Module:
    return build(name, size, spec, torch.Generator().manual_seed(0))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("depth", "padded", "projected"),
    # He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 M. The difference is that of two 1x1 convolutions,
    # 16 x 32 + 32 x 64, and their norms, 2 x (32 + 64).
    [
        (20, 269_722, 272_474),
        (32, 464_154, 466_906),
        (44, 658_586, 661_338),
        (56, 853_018, 855_770),
        (110, 1_727_962, 1_730_714),
    ],
)
def test_published_sizes(depth: int, padded: int, projected: int) -> None:
    assert count(made("resnet-padded", CIFAR_10, depth=depth)) == padded
    assert count(made("resnet", CIFAR_10, depth=depth)) == projected


def test_the_274_thousand_of_the_lottery_ticket_paper() -> None:
    network = made("resnet-glorot", CIFAR_10)
    averages = [b for name, b in network.named_buffers() if "running" in name]
    assert count(network) + sum(average.numel() for average in averages) == 274_042
    kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sum(kernel.numel() for kernel in kernels) == 270_256


@pytest.mark.parametrize("name", ["resnet", "resnet-padded"])
def test_shapes(name: str) -> None:
    network = made(name, SMALL, depth=14, width=4)
    # Two convolutions in each of 3 x 2 blocks, the stem, and two shortcuts; with the classifier 14.
    shortcuts = 2 if name == "resnet" else 0
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 12 + 1 + shortcuts
    seen: list[torch.Size] = []
    for module in network.modules():
        if isinstance(module, Block):
            module.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert seen == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 2 + [(2, 16, 2, 2)] * 2


@pytest.mark.parametrize("side", [1, 5, 7])
@pytest.mark.parametrize("name", ["resnet", "resnet-padded"])
def test_odd_images(name: str, side: int) -> None:
    spec = ImageSpec(channels=1, height=side, width=side + 2, classes=3)
    network = made(name, spec, depth=8, width=2).eval()
    assert network(torch.randn(2, 1, side, side + 2)).shape == (2, 3)


@pytest.mark.parametrize("depth", [18, 2, 1])
def test_impossible_depths(depth: int) -> None:
    with pytest.raises(LotteryError, match="must be 6n \\+ 2"):
        made("resnet", SMALL, depth=depth)


def test_a_padded_shortcut() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3)
    out: Tensor = PaddedShortcut(1, 2)(x)
    assert out.tolist() == [[[[0, 2], [6, 8]], [[0, 0], [0, 0]]]]


@pytest.mark.parametrize(
    ("name", "variance"), [("resnet", 2 / (9 * 64)), ("resnet-glorot", 2 / (9 * 128))]
)
def test_initial_weights(name: str, variance: float) -> None:
    network = made(name, SMALL, depth=8, width=64)
    assert isinstance(network, ResNet)
    kernel = network.blocks.get_parameter("0.residual.3.weight")
    assert kernel.shape == (64, 64, 3, 3)
    assert math.isclose(kernel.std().item(), math.sqrt(variance), rel_tol=0.02)
    assert not network.classifier.bias.any()
