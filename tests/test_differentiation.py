"""From a batch to losses and gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.tiny_tasks import config, image_task, network, some_text, text_task, trained
from training.batching import Batching
from training.capture import Observed
from training.configs import OptimizerConfig
from training.differentiation import Differentiator, saved_bytes
from training.dropout import Dropout
from training.replay import REPLAY
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling


def linear() -> nn.Module:
    """A linear classifier of 8 x 8 images into 3 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def test_what_a_linear_classifier_saves() -> None:
    # 6 x 3 logits and their log-sums; its own weights, the images and the labels don't count.
    assert saved_bytes(linear(), image_task(), config()) == 4 * (6 * 3 + 6)


def test_a_part_of_a_batch_saves_what_comes_of_it_and_its_copy() -> None:
    parts = dataclasses.replace(config(), accumulation=3)
    # 2 x 3 logits and their log-sums; 2 images and labels, which are copied to lie as a whole batch does.
    assert saved_bytes(linear(), image_task(), parts) == 4 * (2 * 3 + 2) + 2 * (4 * 64 + 8)


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
    differentiate = Differentiator(replicates, task, how, REPLAY.fewest_calls)
    images, labels = batch
    expected = replicates(task.loss, (), images, labels)[0]
    gradients = torch.autograd.grad(expected.sum(), list(replicates.parameters()))
    for _ in range(3):  # twice captured, then replayed
        losses, _ = differentiate((), batch, 0, 0.0)
        torch.testing.assert_close(losses, expected.detach())
        for parameter, gradient in zip(replicates.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


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
    how = dataclasses.replace(config(), accumulation=2)
    differentiate = Differentiator(replicates, task, how, REPLAY.fewest_calls)
    for _ in range(2):
        differentiate((), (images, labels), 0, 0.0)
        parts = [
            replicates(task.loss, (), images[:, i : i + 3], labels[:, i : i + 3])[0] for i in (0, 3)
        ]
        expected = torch.autograd.grad(sum(parts).sum() / 2, list(replicates.parameters()))
        for parameter, gradient in zip(replicates.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        images = images.flip(1)  # now the other layer has no gradient in the first part


class Sums(nn.Module):
    """A linear classifier with offsets whose gradients are views of one tensor; one of them is tied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 192).view(3, 64))
        self.a, self.b, self.c = (nn.Parameter(torch.tensor([0.1, -0.2, 0.3])) for _ in range(3))
        self.row = nn.Parameter(torch.zeros(1, 3))
        self.again = self.c

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3]`."""
        offset = self.a.view(1, 3) + self.b.view(1, 3) + self.row + self.c + self.again
        return images.flatten(1) @ self.weight.t() + offset


OFFSETS = {"a": [True, False, True], "b": [False, True, True], "row": [[True, True, False]]}


def by_hand(seed: int, steps: int) -> dict[str, Tensor]:
    """The weights after steps of SGD in two parts, masked and clipped, with no tensor changed in place."""
    network = Sums()
    masks = {name: torch.tensor(kept) for name, kept in OFFSETS.items()}
    weights = dict(network.named_parameters())
    batch = image_task().batches([seed])
    for step in range(steps):
        images, labels = (tensor[0] for tensor in batch(step))
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for part in (slice(0, 3), slice(3, 6)):
            loss = nn.functional.cross_entropy(network(images[part]), labels[part]) / 2
            found = torch.autograd.grad(loss, list(weights.values()))
            for name, gradient in zip(weights, found, strict=True):
                total[name] = total[name] + gradient * masks.get(name, torch.tensor(1.0))
        norm = torch.cat([gradient.flatten() for gradient in total.values()]).norm()
        assert norm > 0.1
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(weight - 0.5 * total[name] * (0.1 / norm))
    return {name: weight.detach() for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("batching", "seeds"), [("looped", (4,)), ("looped", (7, 4)), ("stacked", (7, 4))]
)
def test_gradients_that_are_one_tensor_are_changed_once_each(
    batching: Batching, seeds: tuple[int, ...]
) -> None:
    replicates = Replicates([Sums() for _ in seeds], seeds, batching)
    masks = {name: torch.tensor([kept] * len(seeds)) for name, kept in OFFSETS.items()}
    how = dataclasses.replace(
        config(5, 5, OptimizerConfig(name="sgd", learning_rate=0.5, clip_norm=0.1)), accumulation=2
    )
    # The offsets begin beyond their masks here, which only gradients are to follow.
    trained(replicates, image_task(), how, masks)
    for name, weight in by_hand(4, 5).items():
        torch.testing.assert_close(replicates.weights()[name][-1], weight)


class GivesWhatItSaved(torch.autograd.Function):
    """The product of two vectors, whose derivative is handed out as it was saved."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, factor: Tensor) -> Tensor:
        """The product."""
        ctx.save_for_backward(factor)
        return weight @ factor

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The factor itself."""
        (factor,) = ctx.saved_tensors
        return factor, None


class Scored(nn.Module):
    """Logits that follow from the images, and a number that is added to all."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.weight = nn.Parameter(torch.zeros(1, 2))
        self.register_buffer("factor", torch.tensor([3.0, 4.0]))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3]`."""
        logits: Tensor = self.layer(images.flatten(1))
        shifted: Tensor = logits + GivesWhatItSaved.apply(self.weight.view(2), self.factor)
        return shifted


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_gradient_that_is_a_saved_tensor_is_not_changed_in_place(accumulation: int) -> None:
    replicates = Replicates([Scored()], [0], "looped")
    sgd = OptimizerConfig(name="sgd", learning_rate=0.1, clip_norm=0.01)
    how = dataclasses.replace(config(5, 5, sgd), accumulation=accumulation)
    trained(replicates, image_task(), how)
    assert replicates.tensors()["factor"].tolist() == [[3.0, 4.0]]


def test_nothing_is_copied_where_no_gradient_shares_memory() -> None:
    replicates, task = Replicates([linear()], [0], "looped"), image_task()
    differentiate = Differentiator(replicates, task, config(), REPLAY.fewest_calls)
    copies = []

    class Counting(Observed):
        """Counts what is copied."""

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            """Carry an operation out."""
            if func is torch.ops.aten.clone.default:
                copies.append(args[0].shape)
            return func(*args, **(kwargs or {}))

    with Counting():
        for step in range(3):
            differentiate((), task.batches([0])(step), step, 0.0)
    assert copies == []


def test_a_parameter_that_a_loss_passes_by_has_a_gradient_of_0() -> None:
    replicates, task = Replicates([Branching(), Branching()], [0, 1], "looped"), image_task()
    images, labels = torch.randn(2, 6, 1, 8, 8), torch.zeros(2, 6, dtype=torch.int64)
    images[0, 0, 0, 0, 0], images[1, 0, 0, 0, 0] = -1.0, 1.0
    differentiate = Differentiator(replicates, task, config(), REPLAY.fewest_calls)
    differentiate((), (images, labels), 0, 0.0)
    for r, own in enumerate(replicates.networks):
        assert isinstance(own, Branching)
        used, passed_by = own.layers[r], own.layers[1 - r]
        assert all(p.grad is not None and p.grad.any() for p in used.parameters())
        assert all(p.grad is not None and not p.grad.any() for p in passed_by.parameters())
