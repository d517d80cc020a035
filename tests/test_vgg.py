"""VGG and Conv-2/4/6: counts, shapes, initial weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nas.catalog.building import build
from training.errors import LotteryError
from training.specs import ImageSpec

CIFAR_10 = ImageSpec(channels=3, height=32, width=32, classes=10)


def made(name: str, spec: ImageSpec = CIFAR_10, **size: object) -> nn.Module:
    return build(name, size, spec, torch.Generator().manual_seed(0))


def count(network: nn.Module, convolutions: bool = False) -> int:
    """The parameters of a network, or of its convolutions with their biases."""
    modules = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    chosen = modules if convolutions else [network]
    return sum(p.numel() for module in chosen for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "every", "convolutions"),
    # Frankle & Carbin 2019, figure 2: 4.3 M / 38 K, 2.4 M / 260 K, 1.7 M / 1.1 M; the 1.7 M does not follow from the
    # layers that it lists: the first linear layer alone has 4 x 4 x 256 x 256 weights beside the 1.1 M.
    [
        ("conv-2", 4_301_642, 38_720),
        ("conv-4", 2_425_930, 260_160),
        ("conv-6", 2_262_602, 1_145_408),
    ],
)
def test_counts_of_conv_n(name: str, every: int, convolutions: int) -> None:
    network = made(name)
    assert (count(network), count(network, convolutions=True)) == (every, convolutions)


@pytest.mark.parametrize(
    ("depth", "every"), [(11, 9_228_362), (13, 9_413_066), (16, 14_724_042), (19, 20_035_018)]
)
def test_counts_of_vgg(depth: int, every: int) -> None:
    with torch.device("meta"):
        network = made(f"vgg-{depth}")
    assert count(network) == every
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    # Of the original's three linear layers one is left.
    assert len(layers) == depth - 3


def test_counts_of_vgg_19_by_hand() -> None:
    with torch.device("meta"):
        network = made("vgg-19")
    kernels = 3 * 64 + 64**2 + 64 * 128 + 128**2 + 128 * 256 + 3 * 256**2 + 256 * 512 + 7 * 512**2
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert count(network, convolutions=True) == 9 * kernels
    assert [m.num_features for m in norms] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert count(network) == 9 * kernels + 2 * (2 * 64 + 2 * 128 + 4 * 256 + 8 * 512) + 5130


@pytest.mark.parametrize("side", [16, 28, 33])
def test_shapes_of_vgg(side: int) -> None:
    spec = ImageSpec(channels=1, height=side, width=side, classes=3)
    network = made("vgg-11", spec, width=2).eval()
    assert network(torch.randn(2, 1, side, side)).shape == (2, 3)


@pytest.mark.parametrize("name", ["conv-4", "vgg-11"])
def test_initial_weights_are_gaussian_glorot(name: str) -> None:
    network = made(name)
    kernel = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)][2]
    outputs, inputs, *_ = kernel.shape
    deviation = math.sqrt(2 / (9 * (inputs + outputs)))
    assert math.isclose(kernel.std().item(), deviation, rel_tol=0.02)
    assert kernel.abs().max() > 3 * deviation


def test_small_images_are_refused() -> None:
    spec = ImageSpec(channels=1, height=28, width=8, classes=10)
    with pytest.raises(LotteryError, match="28 x 8 pixels are too small for vgg-16.*16 x 16"):
        made("vgg-16", spec)
    assert made("conv-6", spec, blocks=[2, 2, 2], widths=[3])(torch.randn(1, 1, 28, 8)).any()
    tiny = ImageSpec(channels=1, height=7, width=7, classes=10)
    with pytest.raises(LotteryError, match="too small for conv-6, which halves them 3 times"):
        made("conv-6", tiny)
