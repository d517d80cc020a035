"""From a batch to losses and gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from tests.tiny_tasks import config, image_task
from training.differentiation import differentiator, saved_bytes
from training.noise import Dropout
from training.replicates import Replicates


def linear() -> nn.Module:
    """A linear classifier of 8 x 8 images into 3 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def test_what_a_linear_classifier_saves() -> None:
    # 6 images and 6 x 3 logits, their log-sums, and 6 labels of 8 bytes; its own weights don't count.
    assert saved_bytes(linear(), image_task(), config()) == 4 * (6 * 64 + 6 * 3 + 6) + 8 * 6


def test_parts_of_a_batch_save_less() -> None:
    # A part of 2 images is a view of all 6.
    parts = dataclasses.replace(config(), accumulation=3)
    assert saved_bytes(linear(), image_task(), parts) == 4 * (6 * 64 + 2 * 3 + 2) + 8 * 6


def test_it_changes_nothing() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), Dropout(0.5), nn.Linear(64, 3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    saved_bytes(network, image_task(), config())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training


@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_gradients_are_the_mean_over_parts(accumulation: int) -> None:
    replicates, task = Replicates([linear()] * 2, [0, 1], "stacked"), image_task()
    batch = task.batches([0, 1])(0)
    how = dataclasses.replace(config(), accumulation=accumulation)
    differentiate = differentiator(replicates, task, how)
    now = torch.zeros((), dtype=torch.int32)
    images, labels = batch
    expected = replicates(task.loss, (), images, labels)[0]
    gradients = torch.autograd.grad(expected.sum(), list(replicates.parameters()))
    for _ in range(3):  # twice recorded, then played
        losses, _ = differentiate((), batch, now, 0.0)
        torch.testing.assert_close(losses, expected.detach())
        for parameter, gradient in zip(replicates.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
    assert int(now) == 3 * accumulation
