"""Cross-entropy: torch's values and gradients, alone and stacked, with few classes and with many."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import vmap

from training.losses import cross_entropy
from training.noise import generator


def case(*shape: int) -> tuple[Tensor, Tensor]:
    """Logits of a shape that ends in the classes, and targets."""
    draw = generator(0, "logits")
    logits = (3 * torch.randn(shape, generator=draw)).requires_grad_()
    return logits, torch.randint(shape[-1], shape[:-1], generator=draw)


def test_worked_example() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    losses = cross_entropy(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3), math.log(2)]))


# Rows are taken 128 at a time, and up to 256 classes are taken whole.
@pytest.mark.parametrize("classes", [2, 256, 257, 400])
@pytest.mark.parametrize("rows", [1, 256, 300])
def test_values_and_gradients_are_those_of_torch(rows: int, classes: int) -> None:
    logits, targets = case(rows, classes)
    weights = torch.rand(rows, generator=generator(0, "weights"))
    ours = cross_entropy(logits, targets)
    theirs = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(ours, theirs)
    (mine,) = torch.autograd.grad(ours, logits, weights)
    (expected,) = torch.autograd.grad(theirs, logits, weights)
    torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("classes", [5, 300])
def test_stacked_rows_are_those_of_each_replicate(classes: int) -> None:
    logits, targets = case(3, 200, classes)
    ours = vmap(cross_entropy)(logits, targets)
    theirs = torch.stack(
        [F.cross_entropy(a, b, reduction="none") for a, b in zip(logits, targets, strict=True)]
    )
    torch.testing.assert_close(ours, theirs)
    (mine,) = torch.autograd.grad(ours.sum(), logits)
    (expected,) = torch.autograd.grad(theirs.sum(), logits)
    torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("classes", [5, 300])
def test_replicates_may_share_their_targets(classes: int) -> None:
    logits, targets = case(2, 9, classes)
    ours = vmap(cross_entropy, in_dims=(0, None))(logits, targets[0])
    for r in range(2):
        torch.testing.assert_close(
            ours[r], F.cross_entropy(logits[r], targets[0], reduction="none")
        )


@pytest.mark.parametrize("classes", [5, 300])
def test_bf16_logits_are_scored_in_fp32(classes: int) -> None:
    logits, targets = case(4, classes)
    halves = logits.bfloat16()
    losses = cross_entropy(halves, targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, F.cross_entropy(halves.float(), targets, reduction="none"))


@pytest.mark.parametrize("classes", [5, 300])
def test_large_logits_do_not_overflow(classes: int) -> None:
    logits = torch.zeros(1, classes)
    logits[0, 1] = 1e4
    assert cross_entropy(logits, torch.tensor([1])).tolist() == [0.0]
    assert cross_entropy(logits, torch.tensor([0])).tolist() == [1e4]
