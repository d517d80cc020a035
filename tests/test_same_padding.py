"""Padding as TensorFlow's "SAME": by numbers that are written out, and by its definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas.convolutional.cells import CellNetwork
from nas.convolutional.operations import ENAS_OPERATIONS, OPERATIONS
from nas.convolutional.same_padding import SameConvolution, SamePool, same_padding
from nas.genotypes.published import ENAS_MICRO
from training.specs import ImageSpec


# ceil(size / stride) come out; size 32 and kernel 3: 15 * 2 + 3 - 32 = 1, kernel 5: 3, of which the smaller half first.
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        *[(32, 3, 2, (0, 1)), (32, 5, 2, (1, 2)), (7, 3, 2, (1, 1)), (7, 5, 2, (2, 2))],
        *[(32, 3, 1, (1, 1)), (32, 5, 1, (2, 2)), (2, 5, 2, (1, 2)), (1, 3, 2, (1, 1))],
        *[(32, 1, 2, (0, 0)), (9, 2, 3, (0, 0))],
    ],
)
def test_same_padding(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == padding


def test_strided_pools_of_enas_stand_further_right_and_below() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # Rows and columns 0 to 2, and 2 to 3: what is beyond them doesn't count.
    highest = torch.tensor([[[[10.0, 11.0], [14.0, 15.0]]]])
    means = torch.tensor([[[[5.0, 6.5], [11.0, 12.5]]]])
    assert torch.equal(ENAS_OPERATIONS["max-3x3"](1, 2)(x), highest)
    assert torch.equal(ENAS_OPERATIONS["max-3x3"](1, 2)(x - 99.0), highest - 99.0)
    assert torch.equal(ENAS_OPERATIONS["average-3x3"](1, 2)(x), means)
    # Evenly padded, as in PyTorch: rows and columns 0 to 1, and 1 to 3.
    evenly = torch.tensor([[[[5.0, 7.0], [13.0, 15.0]]]])
    assert torch.equal(OPERATIONS["max-3x3"](1, 2)(x), evenly)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        # Sums of rows and columns 0 to 2 and 2 to 3.
        (3, [[45.0, 39.0], [66.0, 50.0]]),
        # Of rows and columns 0 to 3 and 1 to 3.
        (5, [[120.0, 96.0], [114.0, 90.0]]),
    ],
)
def test_strided_separable_convolutions_of_enas_stand_there_too(
    kernel: int, expected: list[list[float]]
) -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    depthwise = ENAS_OPERATIONS[f"separable-{kernel}x{kernel}"](1, 2)
    assert isinstance(depthwise, nn.Sequential)
    nn.init.ones_(depthwise[1].get_parameter("weight"))
    assert depthwise[1](x)[0, 0].tolist() == expected


@given(
    st.sampled_from(["separable-3x3", "separable-5x5", "max-3x3", "average-3x3"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 2]),
)
def test_enas_pads_as_same_is_defined(word: str, height: int, width: int, stride: int) -> None:
    """Against loops over pixels: padding is max((ceil(n / s) - 1) s + k - n, 0), its smaller half first."""
    kernel = 5 if "5" in word else 3
    module = ENAS_OPERATIONS[word](2, stride).eval()
    x = torch.randn(1, 2, height, width)
    weight = torch.ones(2, kernel, kernel)
    if isinstance(module, nn.Sequential):
        # The first depthwise convolution.
        module = module[1]
        weight = module.get_parameter("weight").detach()[:, 0]
    out = module(x)[0].detach()
    before = [
        max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2 for size in (height, width)
    ]
    for row in range(-(-height // stride)):
        for column in range(-(-width // stride)):
            top, left = row * stride - before[0], column * stride - before[1]
            cells = [
                x[0, :, i, j] * weight[:, i - top, j - left]
                for i in range(max(top, 0), min(top + kernel, height))
                for j in range(max(left, 0), min(left + kernel, width))
            ]
            under = torch.stack(cells)
            found = {"max": under.amax(0), "ave": under.mean(0), "sep": under.sum(0)}[word[:3]]
            torch.testing.assert_close(out[:, row, column], found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("wiring", "same"), [("enas", True), ("nao", False), ("darts", False)])
def test_only_networks_that_are_wired_as_enas_pad_so(wiring: str, same: bool) -> None:
    network = CellNetwork(
        ImageSpec(channels=3, height=8, width=8, classes=10),
        genotype=ENAS_MICRO,
        wiring=wiring,
        channels=4,
        normal_cells=1,
        reductions=1,
        drop_path=0.0,
        dropout=0.0,
        auxiliary=0,
    )
    kernels = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    strided = [m for m in kernels if m.groups > 1 and m.stride == (2, 2)]
    assert strided
    assert all(isinstance(kernel, SameConvolution) == same for kernel in strided)
    assert any(isinstance(module, SamePool) for module in network.modules()) == same
