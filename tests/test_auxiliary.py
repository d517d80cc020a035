"""The auxiliary classifier: shapes, weights, and maps smaller than its pool."""

from __future__ import annotations

import pytest
import torch

from nas.convolutional.auxiliary import AuxiliaryHead


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 9), (7, 7), (8, 8), (13, 14)])
def test_every_size_of_features_is_classified(size: tuple[int, int]) -> None:
    head = AuxiliaryHead(3, size, classes=5, bias=True)
    assert head(torch.randn(2, 3, *size)).shape == (2, 5)


@pytest.mark.parametrize(("bias", "expected"), [(True, 476_426), (False, 476_416)])
def test_weights_of_the_release(bias: bool, expected: int) -> None:
    # 576 channels of 8 x 8, as behind the second reduction of DARTS at 36 channels; with a bias
    # it is what `AuxiliaryHeadCIFAR` of quark0/darts has, run under torch 2.
    head = AuxiliaryHead(576, (8, 8), classes=10, bias=bias)
    assert sum(p.numel() for p in head.parameters()) == expected


def test_a_small_map_is_averaged_over_all_of_it() -> None:
    torch.manual_seed(0)
    head = AuxiliaryHead(2, (3, 2), classes=4, bias=True).eval()
    x = torch.rand(2, 2, 3, 2)
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    torch.testing.assert_close(head(x), head(mean))


def test_it_rectifies_what_it_reads() -> None:
    torch.manual_seed(0)
    head = AuxiliaryHead(2, (8, 8), classes=4, bias=True).eval()
    x = torch.randn(2, 2, 8, 8)
    assert torch.equal(head(x), head(x.relu()))


def test_gradients_reach_every_weight_and_the_features() -> None:
    torch.manual_seed(0)
    head = AuxiliaryHead(2, (8, 8), classes=4, bias=True)
    x = torch.randn(3, 2, 8, 8, requires_grad=True)
    torch.autograd.backward(head(x).square().sum())
    for tensor in (x, *head.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0
