"""Operations: shapes, worked answers, weights and gradients of each word."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nas.convolutional.operations import (
    DARTS_OPERATIONS,
    ENAS_OPERATIONS,
    OPERATIONS,
    Constructor,
    FactorizedReduction,
)
from nas.genotypes.values import CONV_OPERATIONS

# Weights at 4 channels: 16 for a pointwise, 8 for a norm, 4 k for a depthwise kernel of k pixels
# and 16 k for a full one. With stride 2 identities are factorized reductions, of 16 + 8.
WEIGHTS = {
    "separable-3x3": 2 * (4 * 9 + 16 + 8),
    "separable-5x5": 2 * (4 * 25 + 16 + 8),
    "separable-7x7": 2 * (4 * 49 + 16 + 8),
    "dilated-3x3": 4 * 9 + 16 + 8,
    "dilated-5x5": 4 * 25 + 16 + 8,
    "convolution-1x1": 16 + 8,
    "convolution-3x3": 16 * 9 + 8,
    "convolution-5x5": 16 * 25 + 8,
    "convolution-1x3-3x1": 2 * (16 * 3 + 8),
    "convolution-1x7-7x1": 2 * (16 * 7 + 8),
    "identity": 16 + 8,
}
JOINED = {"convolution-1x3-3x1": 2 * 16 * 3 + 8, "convolution-1x7-7x1": 2 * 16 * 7 + 8}


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def with_kernels_of_ones(module: nn.Module) -> nn.Module:
    """The module in evaluation, without what its norms divide by."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0
    return module.eval()


def dot(side: int) -> Tensor:
    """An image `[1, 1, side, side]` with a 1 in the middle."""
    image = torch.zeros(1, 1, side, side)
    image[..., side // 2, side // 2] = 1.0
    return image


def test_every_word_of_a_genotype_has_a_constructor() -> None:
    for operations in (OPERATIONS, ENAS_OPERATIONS, DARTS_OPERATIONS):
        assert operations.keys() == CONV_OPERATIONS


@given(st.sampled_from(sorted(OPERATIONS)), st.integers(1, 9), st.integers(1, 9))
def test_operations_keep_channels_and_divide_the_size(word: str, height: int, width: int) -> None:
    x = torch.randn(2, 6, height, width)
    for operations in (OPERATIONS, ENAS_OPERATIONS, DARTS_OPERATIONS):
        assert operations[word](6, 1).eval()(x).shape == x.shape
        halved = operations[word](6, 2).eval()(x)
        assert halved.shape == (2, 6, (height + 1) // 2, (width + 1) // 2)


@pytest.mark.parametrize("word", sorted(OPERATIONS))
def test_weights(word: str) -> None:
    assert weights(OPERATIONS[word](4, 2)) == WEIGHTS.get(word, 0)
    assert weights(ENAS_OPERATIONS[word](4, 2)) == WEIGHTS.get(word, 0)
    assert weights(DARTS_OPERATIONS[word](4, 2)) == {**WEIGHTS, **JOINED}.get(word, 0)
    assert weights(OPERATIONS["identity"](4, 1)) == 0


@pytest.mark.parametrize(
    "operations",
    [OPERATIONS, ENAS_OPERATIONS, DARTS_OPERATIONS],
    ids=["common", "enas", "darts"],
)
@pytest.mark.parametrize("word", sorted(WEIGHTS))
def test_gradients_reach_every_weight_and_the_input(
    word: str, operations: Mapping[str, Constructor]
) -> None:
    torch.manual_seed(0)
    module = operations[word](4, 2)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    torch.autograd.backward(module(x).pow(3).sum())
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_separable_convolution_is_relu_depthwise_pointwise_norm_twice() -> None:
    module = OPERATIONS["separable-5x5"](4, 2)
    assert isinstance(module, nn.Sequential)
    kinds = [type(layer) for layer in module]
    assert kinds == [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d] * 2
    strides = [layer.stride for layer in module if isinstance(layer, nn.Conv2d)]
    assert strides == [(2, 2), (1, 1), (1, 1), (1, 1)]


def test_a_dilated_kernel_sees_every_second_pixel() -> None:
    module = with_kernels_of_ones(OPERATIONS["dilated-3x3"](1, 1))
    every_second = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    assert torch.equal(module(dot(5))[0, 0], torch.outer(every_second, every_second))


@pytest.mark.parametrize(
    ("word", "side"), [("convolution-1x1", 1), ("convolution-3x3", 3), ("convolution-5x5", 5)]
)
def test_a_full_convolution_spreads_over_its_square(word: str, side: int) -> None:
    out = with_kernels_of_ones(OPERATIONS[word](1, 1))(dot(7))
    expected = torch.zeros(1, 1, 7, 7)
    margin = (7 - side) // 2
    expected[..., margin : margin + side, margin : margin + side] = 1.0
    assert torch.equal(out, expected)


@pytest.mark.parametrize("operations", [OPERATIONS, DARTS_OPERATIONS], ids=["common", "darts"])
def test_a_row_and_a_column_spread_over_the_same_square(
    operations: Mapping[str, Constructor],
) -> None:
    out = with_kernels_of_ones(operations["convolution-1x7-7x1"](1, 1))(dot(9))
    expected = torch.zeros(1, 1, 9, 9)
    expected[..., 1:8, 1:8] = 1.0
    assert torch.equal(out, expected)


def test_convolutions_rectify_first() -> None:
    negative = -torch.rand(1, 2, 5, 5)
    for word in WEIGHTS.keys() - {"identity"}:
        assert not with_kernels_of_ones(OPERATIONS[word](2, 1))(negative).any()


def test_averages_leave_out_the_border_or_count_it() -> None:
    ones = torch.ones(1, 1, 3, 3)
    assert torch.equal(OPERATIONS["average-3x3"](1, 1)(ones), ones)
    assert torch.equal(OPERATIONS["average-5x5"](1, 1)(ones), ones)
    ninths = torch.tensor([[[[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]]]) / 9
    torch.testing.assert_close(OPERATIONS["average-3x3-padded"](1, 1)(ones), ninths)
    torch.testing.assert_close(OPERATIONS["average-5x5-padded"](1, 1)(ones), 9 / 25 * ones)


def test_small_pools_look_right_and_below() -> None:
    x = torch.tensor([[[[1.0, -2.0], [-3.0, -4.0]]]])
    averages = torch.tensor([[[[-8 / 4, -6 / 4], [-7 / 4, -4 / 4]]]])
    assert torch.equal(OPERATIONS["average-2x2"](1, 1)(x), averages)
    # The zeros beyond the border win against -2, -3 and -4.
    assert torch.equal(OPERATIONS["max-2x2"](1, 1)(x), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]))
    assert torch.equal(OPERATIONS["max-2x2"](1, 2)(x), torch.tensor([[[[1.0]]]]))


@pytest.mark.parametrize(("word", "corner"), [("max-3x3", 6.0), ("max-5x5", 12.0)])
def test_the_largest_pixel_under_the_kernel(word: str, corner: float) -> None:
    x = torch.arange(25.0).view(1, 1, 5, 5)
    out = OPERATIONS[word](1, 1)(x)
    assert out[0, 0, 0, 0] == corner
    assert out.max() == out[0, 0, 4, 4] == 24.0
    assert torch.equal(OPERATIONS[word](1, 1)(x - 100.0), out - 100.0)


def test_none_is_zero_and_so_is_its_gradient() -> None:
    x = torch.randn(1, 2, 3, 3, requires_grad=True)
    for stride in (1, 2):
        out = OPERATIONS["none"](2, stride)(x)
        assert not out.any()
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert not gradient.any()


def test_identity_is_the_input_itself() -> None:
    x = torch.randn(1, 2, 3, 3)
    assert OPERATIONS["identity"](2, 1)(x) is x


def test_factorized_reduction_sees_even_and_odd_pixels() -> None:
    module = with_kernels_of_ones(FactorizedReduction(1, 2))
    # Rows of four: the even pixels are 0 2 / 8 10, those one below and to the right 5 7 / 13 15.
    expected = torch.tensor([[[[0.0, 2.0], [8.0, 10.0]], [[5.0, 7.0], [13.0, 15.0]]]])
    assert torch.equal(module(torch.arange(16.0).view(1, 1, 4, 4)), expected)
    # Of a single pixel the second path sees only the zero beyond it.
    assert module(torch.ones(1, 1, 1, 1)).flatten().tolist() == [1.0, 0.0]


def test_only_darts_rectifies_before_an_identity_is_reduced() -> None:
    negative = -torch.rand(1, 2, 4, 4)
    assert with_kernels_of_ones(OPERATIONS["identity"](2, 2))(negative).any()
    assert not with_kernels_of_ones(DARTS_OPERATIONS["identity"](2, 2))(negative).any()
