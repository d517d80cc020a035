"""Strided 1x1 convolutions of few channels: the same results, and none reaches torch as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._python_dispatch import TorchDispatchMode

from nas.search.shared_training import shared_training
from nas.search.space import random_choices
from tests.tiny_searches import CELL, task_of
from tests.tiny_tasks import config, image_task, trained
from training.batching import Batching
from training.batching_rules import BatchingRules
from training.convolutions import are_products, convolve, convolve_by_products
from training.replicates import Replicates


class Convolutions(TorchDispatchMode):
    """Notes the shape of the kernel and the stride of every convolution."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry it out."""
        if func is torch.ops.aten.convolution.default:
            self.seen.append((tuple(args[1].shape), tuple(args[3])))
        return func(*args, **(kwargs or {}))


def network(channels: int) -> nn.Module:
    """Pooled features of a strided 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.Conv2d(channels, 8, 1, stride=2),
        nn.Flatten(),
        nn.Linear(8 * 16, 3),
    )


@pytest.mark.parametrize("stride", [1, 2, (2, 1), (1, 3), [2]])
@pytest.mark.parametrize("channels", [1, 2, 7, 8])
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (1, "valid"), (1, 1), (3, 1)])
def test_it_is_a_convolution(channels: int, stride: Any, kernel: int, padding: Any) -> None:
    draw = torch.Generator().manual_seed(0)

    def tensor(*shape: int) -> Tensor:
        # Of 64 bits, which oneDNN does not compute.
        return torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True)

    images, weight, bias = (
        tensor(2, channels, 7, 6),
        tensor(4, channels, kernel, kernel),
        tensor(4),
    )
    ours = convolve(images, weight, bias, stride, padding)
    theirs = F.conv2d(images, weight, bias, stride, padding)
    torch.testing.assert_close(ours, theirs)
    up = torch.randn(ours.shape, generator=draw, dtype=torch.float64)
    grads = [torch.autograd.grad(out, (images, weight, bias), up) for out in (ours, theirs)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ("batching", "count"), [("looped", 1), ("looped", 2), ("stacked", 1), ("stacked", 3)]
)
@pytest.mark.parametrize(("channels", "stride"), [(4, (1, 1)), (8, (2, 2))])
def test_replicates_take_strides_of_few_channels_themselves(
    batching: Batching, count: int, channels: int, stride: tuple[int, ...]
) -> None:
    replicates = Replicates([network(channels)] * count, range(count), batching)
    with Convolutions() as noted:
        trained(replicates, image_task(), config(2, 2))
    pointwise = [step for shape, step in noted.seen if shape[2:] == (1, 1)]
    assert {*pointwise} == {stride}


def test_so_do_shared_weights() -> None:
    training = shared_training(CELL.resolved(task_of(CELL).steps_per_epoch), task_of(CELL))
    assert training is not None
    with Convolutions() as noted:
        training.take_step([random_choices(training.space, Random(0))])
    few = {step for shape, step in noted.seen if shape[2:] == (1, 1) and 1 < shape[1] < 8}
    assert few == {(1, 1)}


@pytest.mark.parametrize("stride", [1, 2, (2, 1), [3]])
@pytest.mark.parametrize("biased", [False, True], ids=["without bias", "with bias"])
@pytest.mark.parametrize("replicates", [1, 3])
def test_products_are_convolutions_of_replicates(
    replicates: int, biased: bool, stride: Any
) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, replicates, 3, 5, 4, requires_grad=True)
    weight = torch.randn(replicates, 6, 3, 1, 1, requires_grad=True)
    bias = torch.randn(replicates, 6, requires_grad=True)
    leaves = [images, weight, bias] if biased else [images, weight]
    ours = convolve_by_products(images, weight, bias if biased else None, stride)
    each = [
        F.conv2d(images[:, r], weight[r], bias[r] if biased else None, stride)
        for r in range(replicates)
    ]
    plain = torch.stack(each, 1)
    torch.testing.assert_close(ours, plain)
    grad = torch.randn_like(plain)
    torch.testing.assert_close(
        torch.autograd.grad(ours, leaves, grad), torch.autograd.grad(plain, leaves, grad)
    )


def test_products_under_autocast_have_its_precision() -> None:
    images, weight, bias = torch.randn(2, 1, 3, 4, 4), torch.randn(1, 6, 3, 1, 1), torch.randn(1, 6)
    with torch.autocast("cpu", torch.bfloat16):
        ours = convolve_by_products(images, weight, bias)
        plain = F.conv2d(images[:, 0], weight[0], bias[0])
    assert ours.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(ours[:, 0], plain, rtol=2e-2, atol=2e-2)


def test_a_cpu_convolves_as_before() -> None:
    assert not are_products(torch.ones(1, 2, 3, 3), torch.ones(2, 2, 1, 1), 0, 1)


@pytest.mark.parametrize(
    ("calls", "kernel", "padding", "groups"),
    [(1, 1, 0, 1), (1, 1, "same", 1), (0, 1, 1, 1), (0, 3, 0, 1), (0, 1, 0, 2)],
)
def test_on_cuda_a_stack_takes_products_for_what_is_one(
    calls: int, kernel: int, padding: Any, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torch.randn(3, 4, 4 // groups, kernel, kernel)
    images = torch.randn(3, 2, 4, 5, 5)
    called = []

    def apply(images: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(images, weight, padding=padding, groups=groups)

    def spy(*given: Any) -> Tensor:
        called.append(given)
        return convolve_by_products(*given)

    monkeypatch.setattr("training.convolutions.DEVICES_OF_PRODUCTS", ("cpu",))
    monkeypatch.setattr("training.batching_rules.convolve_by_products", spy)
    with BatchingRules():
        out = vmap(apply)(images, weights)
    assert len(called) == calls
    each = [apply(images[r], weights[r]) for r in range(3)]
    torch.testing.assert_close(out, torch.stack(each))
