"""Steps of the shared weights: one architecture each, or several."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Literal

import pytest
import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.shared_training import SharedTraining, shared_training
from nas.search.space import Choices, random_choices
from tests.tiny_searches import CELL, LAYERS, TEXT, Doctored, task_of
from training.configs import OptimizerConfig, ScheduleConfig, TrainingConfig
from training.convolutions import convolving
from training.dropout import set_noise
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

        with convolving(training.shared)():
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


# The 3x3 convolution or the maximum in all three layers, without skips.
CONVOLUTIONS: Choices = (0, 0, 0, 0, 0, 0)
MAXIMA: Choices = (5, 5, 0, 5, 0, 0)


def moving(unread: Literal["move", "stay"], name: str = "sgd") -> SharedTraining:
    """Shared weights of layers with momentum 0.9 and weight decay 0.5, at a rate of 0.1 in each step."""
    assert LAYERS.shared is not None
    how = OptimizerConfig(name="adam", learning_rate=0.1)
    if name == "sgd":
        how = dataclasses.replace(how, name="sgd", momentum=0.9, weight_decay=0.5)
    shared = dataclasses.replace(LAYERS.shared, optimizer=how, schedule=ScheduleConfig())
    config = dataclasses.replace(LAYERS, shared=shared, unread_weights=unread)
    made = shared_training(config.resolved(4), task_of(config))
    assert made is not None
    return made


@pytest.mark.parametrize("unread", ["move", "stay"])
def test_unread_weights_move_as_in_the_release_or_stay(unread: Literal["move", "stay"]) -> None:
    training = moving(unread)
    first = weights(training)
    training.take_step([CONVOLUTIONS])
    second = weights(training)
    training.take_step([CONVOLUTIONS])
    third = weights(training)
    off = [name for name in first if ".max-3x3." in name]
    assert off
    for name in off:
        if unread == "stay":
            assert torch.equal(third[name], first[name])
            continue
        # Gradient 0: the momentum is half of the weight, and then 0.9 of that and half of the new weight.
        torch.testing.assert_close(second[name], first[name] * (1 - 0.1 * 0.5))
        momentum = 0.9 * 0.5 * first[name] + 0.5 * second[name]
        torch.testing.assert_close(third[name], second[name] - 0.1 * momentum)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_what_a_path_leaves_goes_on_with_its_momentum(name: str) -> None:
    move, stay = moving("move", name), moving("stay", name)
    for training in (move, stay):
        training.take_step([CONVOLUTIONS])
    before = weights(move), weights(stay)
    read = [n for n, p in stay.shared.named_parameters() if p.grad is not None and "conv" in n]
    gradients = {n: move.shared.get_parameter(n).grad for n in read}
    kept = {n: g.clone() for n, g in gradients.items() if g is not None}
    for training in (move, stay):
        training.take_step([MAXIMA])
    after = weights(move), weights(stay)
    assert read
    for n in read:
        assert torch.equal(after[1][n], before[1][n])
        if name == "adam":
            continue
        # Of the first step: gradient and half of the first weight w0, where w1 = w0 - 0.1 (gradient + 0.5 w0).
        first = (before[0][n] + 0.1 * kept[n]) / (1 - 0.1 * 0.5)
        momentum = 0.9 * (kept[n] + 0.5 * first) + 0.5 * before[0][n]
        torch.testing.assert_close(after[0][n], before[0][n] - 0.1 * momentum)
    assert any(not torch.equal(after[0][n], before[0][n]) for n in read)


def test_all_weights_move_as_torch_moves_them_with_gradients_of_zero() -> None:
    training, beside = moving("move"), moving("stay")
    optimizer = torch.optim.SGD(beside.shared.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5)
    for step, row in enumerate((CONVOLUTIONS, MAXIMA, CONVOLUTIONS, CONVOLUTIONS)):
        training.take_step([row])
        beside.step = step
        by_hand(beside, [row])[0][0].backward()
        for parameter in beside.shared.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for name, value in weights(beside).items():
        torch.testing.assert_close(training.shared.get_parameter(name).detach(), value)


def learned(training: SharedTraining) -> int:
    """From how many steps something was learned."""
    return sum(bool(loss.isfinite()) for loss in training.losses)


def test_one_exploding_loss_of_several_leaves_the_step_out() -> None:
    training = begun(LAYERS)
    before, architectures = weights(training), drawn(training, 2)
    first, second = (float(loss.detach()) for loss in by_hand(training, architectures)[0])
    assert first < second
    training.most_loss = first
    training.take_step(architectures)
    assert (training.step, training.unstable, learned(training)) == (2, 1, 1)
    assert all(torch.equal(p, before[name]) for name, p in weights(training).items())


def test_a_batch_that_explodes_leaves_the_step_out() -> None:
    training = begun(LAYERS, Doctored({1: 1}))
    before = weights(training)
    training.take_step(drawn(training, 2))
    assert training.unstable == 1
    assert all(torch.equal(p, before[name]) for name, p in weights(training).items())
    training.take_step(drawn(training, 2))
    assert (training.step, training.unstable, learned(training)) == (3, 1, 2)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_neither_weights_nor_optimizer_nor_state_remember_what_exploded(
    name: Literal["sgd", "adam"],
) -> None:
    config = dataclasses.replace(TEXT, shared=trained_by(name))
    training = begun_as_it_is(config)
    before = {key: tensor.clone() for key, tensor in training.tensors().items()}
    usual, training.most_loss = training.most_loss, 0.0
    training.take_step(drawn(training, 2))
    after = training.tensors()
    assert training.unstable == 1
    assert after.keys() == before.keys()
    for key, tensor in after.items():
        expected = torch.zeros_like(tensor) if key.startswith("carry/") else before[key]
        assert torch.equal(tensor, expected), key
    # And what is restored goes on as what went on.
    other = begun_as_it_is(config)
    other.most_loss = usual
    other.restore({k: t.clone() for k, t in after.items()}, training.values())
    training.most_loss = usual
    for one in (training, other):
        one.take_step(drawn(training, 2))
    assert other.unstable == training.unstable == 1
    assert other.is_sound() and training.is_sound()
    first, second = training.tensors(), other.tensors()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert training.take_losses() == other.take_losses()


def trained_by(name: Literal["sgd", "adam"]) -> TrainingConfig:
    assert TEXT.shared is not None
    how = dataclasses.replace(TEXT.shared.optimizer, name=name, learning_rate=0.1)
    if name == "sgd":
        how = dataclasses.replace(how, momentum=0.9, weight_decay=0.1)
    return dataclasses.replace(TEXT.shared, optimizer=how)


def begun_as_it_is(config: SearchConfig) -> SharedTraining:
    """Shared weights after two steps that explode in nothing."""
    task = task_of(config)
    made = shared_training(config.resolved(task.steps_per_epoch), task)
    assert made is not None
    for _ in range(2):
        made.take_step(drawn(made, 2))
    assert made.unstable == 0
    return made


def test_half_of_the_steps_may_not_explode() -> None:
    training = begun(LAYERS)
    most = training.most_loss
    # Sound, exploded, sound, exploded, exploded: 0 of 1, 1 of 2, 1 of 3, 2 of 4, 3 of 5.
    found = [training.is_sound()]
    for limit in (0.0, most, 0.0, 0.0):
        training.most_loss = limit
        training.take_step(drawn(training, 1))
        found.append(training.is_sound())
    assert found == [True, False, True, False, False]
