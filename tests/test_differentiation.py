"""From a batch to losses and gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_tasks import config, image_task, network, some_text, text_task
from training.differentiation import differentiator, saved_bytes
from training.noise import Dropout
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling


def linear() -> nn.Module:
    """A linear classifier of 8 x 8 images into 3 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def test_what_a_linear_classifier_saves() -> None:
    # 6 x 3 logits and their log-sums; its own weights, the images and the labels don't count.
    assert saved_bytes(linear(), image_task(), config()) == 4 * (6 * 3 + 6)


def test_parts_of_a_batch_save_less() -> None:
    parts = dataclasses.replace(config(), accumulation=3)
    assert saved_bytes(linear(), image_task(), parts) == 4 * (2 * 3 + 2)


def test_a_text_saves_no_part_of_its_corpus() -> None:
    saved = saved_bytes(network("awd-lstm", 0), text_task(), config())
    longer = dataclasses.replace(some_text(), train=some_text().train.repeat(1000))
    assert saved == saved_bytes(network("awd-lstm", 0), LanguageModelling(longer, 3, 7), config())


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


class Branching(nn.Module):
    """Another layer for each half of a batch of 6, which it tells by a mark in the images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 3), nn.Linear(64, 3)])

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3]`."""
        logits: Tensor = self.layers[int(images[0, 0, 0, 0] > 0)](images.flatten(1))
        return logits


def test_a_parameter_that_only_some_parts_use_has_their_gradient() -> None:
    replicates, task = Replicates([Branching()], [0], "looped"), image_task()
    images = torch.randn(1, 6, 1, 8, 8)
    images[0, :3, 0, 0, 0], images[0, 3:, 0, 0, 0] = -1.0, 1.0
    labels = torch.zeros(1, 6, dtype=torch.int64)
    differentiate = differentiator(replicates, task, dataclasses.replace(config(), accumulation=2))
    now = torch.zeros((), dtype=torch.int32)
    for _ in range(2):
        differentiate((), (images, labels), now, 0.0)
        parts = [
            replicates(task.loss, (), images[:, i : i + 3], labels[:, i : i + 3])[0] for i in (0, 3)
        ]
        expected = torch.autograd.grad(sum(parts).sum() / 2, list(replicates.parameters()))
        for parameter, gradient in zip(replicates.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        images = images.flip(1)  # now the other layer has no gradient in the first part
