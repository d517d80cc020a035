"""Steps of the shared weights: one architecture each, or several."""

from __future__ import annotations

import dataclasses
from random import Random

import pytest
import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.shared_training import SharedTraining, shared_training
from nas.search.spaces import Choices, random_choices
from tests.tiny_searches import CELL, LAYERS, TEXT, Doctored, task_of
from training.noise import set_noise
from training.tasks.task import Task

CONFIGS = [LAYERS, CELL, TEXT]


def begun(config: SearchConfig, task: Task | None = None) -> SharedTraining:
    """Shared weights after a step, so that a text has a state to carry; without clipping or weight decay."""
    assert config.shared is not None
    plain = dataclasses.replace(
        config.shared.optimizer, clip_norm=None, momentum=0.0, nesterov=False, weight_decay=0.0
    )
    changed = dataclasses.replace(
        config, shared=dataclasses.replace(config.shared, optimizer=plain)
    )
    task = task or task_of(config)
    made = shared_training(changed.resolved(task.steps_per_epoch), task)
    assert made is not None
    made.take_step([drawn(made, 1)[0]])
    return made


def drawn(training: SharedTraining, count: int) -> list[Choices]:
    source = Random(count)
    return [random_choices(training.space, source) for _ in range(count)]


def weights(training: SharedTraining) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in training.shared.named_parameters()}


def by_hand(
    training: SharedTraining, architectures: list[Choices]
) -> tuple[list[Tensor], list[Tensor]]:
    """The losses of the next step, and the state after the last architecture."""
    step, count = training.step, len(architectures)
    batch = [tensor[0] for tensor in training.task.batches([training.seed])(step)]
    training.shared.zero_grad()
    losses = []
    for number, choices in enumerate(architectures):
        set_noise(
            training.shared.drawing(),
            training.seed,
            step * count + number,
            (step + 1) / training.config.steps.iterations,
        )
        genotype = training.space.genotype(choices)

        def network(*inputs: object, genotype: object = genotype) -> object:
            return training.shared(genotype, *inputs)

        loss, carry = training.task.loss(network, training.carry, *batch)
        losses.append(loss)
    return losses, [*carry]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_step_goes_down_the_mean_loss(config: SearchConfig, count: int) -> None:
    training, beside = begun(config), begun(config)
    architectures = drawn(training, count)
    losses, carry = by_hand(beside, architectures)
    mean = torch.stack(losses).mean()
    mean.backward()
    before = weights(training)
    training.take_step(architectures)
    torch.testing.assert_close(training.losses[-1], mean.detach())
    assert len(training.losses) == training.step == 2
    assert len(training.carry) == len(carry)
    torch.testing.assert_close([*training.carry], carry)
    rate = training.optimizer.param_groups[0]["lr"]
    for name, parameter in beside.shared.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        expected = before[name] - rate * gradient
        torch.testing.assert_close(training.shared.get_parameter(name).detach(), expected)


def test_one_exploding_loss_of_several_leaves_the_step_out() -> None:
    training = begun(LAYERS)
    before, architectures = weights(training), drawn(training, 2)
    first, second = (float(loss.detach()) for loss in by_hand(training, architectures)[0])
    assert first < second
    training.most_loss = first
    training.take_step(architectures)
    assert (training.step, training.unstable, len(training.losses)) == (2, 1, 1)
    assert all(torch.equal(p, before[name]) for name, p in weights(training).items())


def test_a_batch_that_explodes_leaves_the_step_out() -> None:
    training = begun(LAYERS, Doctored({1: 1}))
    before = weights(training)
    training.take_step(drawn(training, 2))
    assert training.unstable == 1
    assert all(torch.equal(p, before[name]) for name, p in weights(training).items())
    training.take_step(drawn(training, 2))
    assert (training.step, training.unstable, len(training.losses)) == (3, 1, 2)
