"""Strided 1x1 convolutions of few channels: the same results, and none reaches torch as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nas.search.shared_training import shared_training
from nas.search.space import random_choices
from tests.tiny_searches import CELL, task_of
from tests.tiny_tasks import config, image_task, trained
from training.batching import Batching
from training.convolutions import convolve
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
