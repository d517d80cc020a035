"""Initial weights of networks for images: variances that are written out, and whole distributions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from nas.convolutional.cells import CellNetwork
from nas.convolutional.initialisation import Initialisation, initialise
from nas.convolutional.layers import LayerNetwork
from nas.genotypes.published import ENAS_MACRO, ENAS_MICRO
from nas.search.cell_space import CellSpace
from nas.search.layer_space import LayerSpace
from nas.search.shared import shared_network
from nas.search.space import Space
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=300)
# What is left of the variance of a Gaussian that is cut at twice its standard deviation.
CUT = float(stats.truncnorm.var(-2, 2))


def drawn(layer: nn.Module, how: Initialisation) -> nn.Module:
    torch.manual_seed(0)
    initialise(layer, how)
    return layer


def likely(values: Tensor, distribution: Any) -> bool:
    """Whether a sample is one of a distribution, by a test of Kolmogorov and Smirnov."""
    return bool(stats.kstest(values.detach().flatten(), distribution.cdf).pvalue > 0.01)


# 64 inputs and 320 outputs; 16 channels of 3 x 3 pixels to 48; 512 channels of 3 x 3 pixels, each for itself.
@pytest.mark.parametrize(
    ("how", "linear", "full", "depthwise"),
    [
        ("glorot", 2 / (64 + 320), 2 / (144 + 432), None),
        ("he", 2 / 64, 2 / 144, 2 / 9),
        ("enas", 0.7737 * 2 / 64, 0.7737 * 2 / 144, 0.7737 * 2 / (9 * 512)),
        ("nao", 2 / 64, 2 / 144, 2 / 9),
        ("darts", 1 / (3 * 64), 1 / (3 * 144), 1 / (3 * 9 * 512)),
    ],
)
def test_variances(
    how: Initialisation, linear: float, full: float, depthwise: float | None
) -> None:
    layers: list[tuple[nn.Linear | nn.Conv2d, float | None]] = [
        (nn.Linear(64, 320), linear),
        (nn.Conv2d(16, 48, 3), full),
        (nn.Conv2d(512, 512, 3, groups=512), depthwise),
    ]
    for layer, variance in layers:
        weight = drawn(layer, how).get_parameter("weight").detach()
        assert abs(float(weight.mean())) < 4 * float(weight.std()) / weight.numel() ** 0.5
        if variance is not None:
            assert float(weight.var()) == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize(
    ("how", "distribution"),
    [
        ("glorot", stats.norm(scale=(2 / 600) ** 0.5)),
        ("he", stats.norm(scale=(2 / 200) ** 0.5)),
        ("enas", stats.truncnorm(-2, 2, scale=(2 / 200) ** 0.5)),
        ("nao", stats.norm(scale=(2 / 200) ** 0.5)),
        ("darts", stats.uniform(-(200**-0.5), 2 * 200**-0.5)),
    ],
)
def test_weights_and_biases_of_200_inputs_and_400_outputs(
    how: Initialisation, distribution: Any
) -> None:
    layer = drawn(nn.Linear(200, 400), how)
    assert likely(layer.get_parameter("weight"), distribution)
    bias = layer.get_parameter("bias")
    if how in ("nao", "darts"):
        assert likely(bias, stats.uniform(-(200**-0.5), 2 * 200**-0.5))
    else:
        assert not bias.any()


@pytest.mark.parametrize("how", ["glorot", "he", "enas", "nao"])
def test_scales_of_batch_norm_start_at_one(how: Initialisation) -> None:
    norm = drawn(nn.BatchNorm2d(50), how)
    assert torch.equal(norm.get_parameter("weight").detach(), torch.ones(50))
    assert not norm.get_parameter("bias").any()


def test_scales_of_batch_norm_are_uniform_in_darts() -> None:
    norm = drawn(nn.BatchNorm2d(2000), "darts")
    assert likely(norm.get_parameter("weight"), stats.uniform(0, 1))
    assert not norm.get_parameter("bias").any()


def cells(wiring: str) -> CellNetwork:
    torch.manual_seed(0)
    return CellNetwork(
        SPEC,
        genotype=ENAS_MICRO,
        wiring=wiring,
        channels=64,
        normal_cells=1,
        reductions=1,
        drop_path=0.0,
        dropout=0.0,
        auxiliary=1,
    )


# Of the last cell, of 128 channels: depthwise kernels of 5 x 5 pixels, pointwise ones, and the scales.
@torch.no_grad()
@pytest.mark.parametrize(
    ("wiring", "depthwise", "pointwise", "scale"),
    [
        ("enas", CUT * 2 / (25 * 128), CUT * 2 / 128, 1.0),
        ("nao", 2 / 25, 2 / 128, 1.0),
        ("darts", 1 / (3 * 25 * 128), 1 / (3 * 128), 0.5),
    ],
)
def test_a_network_of_cells_starts_as_its_source(
    wiring: str, depthwise: float, pointwise: float, scale: float
) -> None:
    network = cells(wiring)
    last = network.cells[-1]
    layers = [module for module in last.modules() if isinstance(module, nn.Conv2d)]
    deep = torch.cat([m.weight.flatten() for m in layers if m.kernel_size == (5, 5)])
    flat = torch.stack([m.weight.data for m in layers if m.weight.shape == (128, 128, 1, 1)])
    assert float(deep.var()) == pytest.approx(depthwise, rel=0.05)
    assert float(flat.var()) == pytest.approx(pointwise, rel=0.05)
    scales = [m.weight.data for m in last.modules() if isinstance(m, nn.BatchNorm2d)]
    assert float(torch.stack(scales).mean()) == pytest.approx(scale, rel=0.05)
    # What the classifiers read: five loose ends of 128 channels, and 768 channels.
    head = network.auxiliary
    assert head is not None
    for classifier, inputs in ((network.classifier, 5 * 128), (head.classifier, 768)):
        biases = [p for name, p in classifier.named_parameters() if name == "bias"]
        assert len(biases) == (wiring != "enas")
        for bias in biases:
            assert likely(bias, stats.uniform(-(inputs**-0.5), 2 * inputs**-0.5))


@torch.no_grad()
def test_a_network_of_layers_starts_as_enas() -> None:
    torch.manual_seed(0)
    network = LayerNetwork(SPEC, genotype=ENAS_MACRO, channels=8, dropout=0.0, separable=True)
    layers = [m for m in network.layers.modules() if isinstance(m, nn.Conv2d) and m.groups == 32]
    # Depthwise kernels of the last third, of 32 channels and 3 x 3 or 5 x 5 pixels.
    scaled = torch.cat([(m.weight * (m.weight[0].numel() * 32) ** 0.5).flatten() for m in layers])
    assert float(scaled.var()) == pytest.approx(CUT * 2, rel=0.1)
    weight = network.classifier.get_parameter("weight")
    assert float(weight.var()) == pytest.approx(CUT * 2 / 32, rel=0.05)


@torch.no_grad()
@pytest.mark.parametrize(
    ("space", "sizes"),
    [
        (
            CellSpace(nodes=2),
            {"normal_cells": 1, "reductions": 0, "drop_path": 0.0, "auxiliary": 0},
        ),
        (LayerSpace(layers=2), {}),
    ],
    ids=["cells", "layers"],
)
def test_shared_weights_start_as_enas(space: Space, sizes: dict[str, object]) -> None:
    whole = {"channels": 32, "dropout": 0.0, **sizes}
    network = shared_network(space, whole, SPEC, torch.Generator())
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == 32]
    scaled = torch.cat([(m.weight * (m.weight[0].numel() * 32) ** 0.5).flatten() for m in layers])
    assert float(scaled.var()) == pytest.approx(CUT * 2, rel=0.05)
