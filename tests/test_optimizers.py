"""Optimizers, schedules and clipping, worked out by hand."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import nn

from training.batching import Batching
from training.configs import OptimizerConfig, ScheduleConfig
from training.noise import generator
from training.optimizers import (
    OPTIMIZERS,
    clip_per_replicate,
    gradient_norms,
    gradients,
    load_optimizer_state,
    make_optimizer,
    optimizer_state,
    own_memory,
    schedule_factor,
    set_learning_rate,
    trained_parameters,
)
from training.replicates import Replicates
from training.steps import Steps

BATCHINGS: tuple[Batching, ...] = ("stacked", "looped")


def parameter(*values: float) -> nn.Parameter:
    """A stack of one replicate."""
    return nn.Parameter(torch.tensor([values]))


def after(config: OptimizerConfig, steps: int = 1, start: float = 1.0, grad: float = 0.5) -> float:
    """A weight after some steps with a constant gradient."""
    weight = parameter(start)
    optimizer = make_optimizer(config, [weight])
    for _ in range(steps):
        weight.grad = torch.full_like(weight, grad)
        optimizer.step()
    return float(weight.detach())


def test_sgd() -> None:
    assert after(OptimizerConfig(name="sgd", learning_rate=0.1)) == pytest.approx(0.95)
    # The decay adds 0.2 * 1.0 to the gradient.
    decayed = OptimizerConfig(name="sgd", learning_rate=0.1, weight_decay=0.2)
    assert after(decayed) == pytest.approx(1 - 0.1 * 0.7)
    # Velocities 0.5 and 0.9 * 0.5 + 0.5.
    momentum = OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.9)
    assert after(momentum, 2) == pytest.approx(1 - 0.1 * (0.5 + 0.95))
    # Looking ahead: 0.5 + 0.9 * 0.5 and 0.5 + 0.9 * 0.95.
    nesterov = OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True)
    assert after(nesterov, 2) == pytest.approx(1 - 0.1 * (0.95 + 1.355))


def test_adam_and_adamw() -> None:
    # At a constant gradient both averages, corrected, are it and its square: a step of lr.
    adam = OptimizerConfig(name="adam", learning_rate=0.1)
    assert after(adam, 3) == pytest.approx(0.7, abs=1e-5)
    # A large epsilon shows where it stands: 0.5 / (0.5 + 0.5).
    assert after(OptimizerConfig(name="adam", learning_rate=0.1, epsilon=0.5)) == pytest.approx(
        0.95
    )
    # Decoupled decay: 1 - 0.1 * 0.2 first, then the step.
    adamw = OptimizerConfig(name="adamw", learning_rate=0.1, weight_decay=0.2)
    assert after(adamw) == pytest.approx(0.98 - 0.1, abs=1e-5)
    # Adam's decay is in the gradient, whose size it cancels.
    coupled = OptimizerConfig(name="adam", learning_rate=0.1, weight_decay=0.2)
    assert after(coupled) == pytest.approx(0.9, abs=1e-5)


def test_the_decay_rates_of_adam_are_used() -> None:
    def averages(config: OptimizerConfig) -> tuple[float, float]:
        weight = parameter(1.0)
        optimizer = make_optimizer(config, [weight])
        weight.grad = torch.full_like(weight, 2.0)
        optimizer.step()
        state = optimizer.state[weight]
        return float(state["exp_avg"]), float(state["exp_avg_sq"])

    names: tuple[Literal["adam", "adamw"], ...] = ("adam", "adamw")
    for name in names:
        config = OptimizerConfig(name=name, learning_rate=0.1, beta1=0.75, beta2=0.5)
        assert averages(config) == pytest.approx((0.25 * 2, 0.5 * 4))


def test_every_name_has_an_optimizer() -> None:
    assert set(OPTIMIZERS) == {"sgd", "adam", "adamw"}


def test_what_is_not_trained_is_left_out() -> None:
    frozen = nn.Parameter(torch.zeros(1, 2), requires_grad=False)
    optimizer = make_optimizer(
        OptimizerConfig(name="sgd", learning_rate=1.0), [parameter(1.0), frozen]
    )
    assert [len(group["params"]) for group in optimizer.param_groups] == [1]


def test_a_learning_rate_holds_from_the_next_step() -> None:
    weight = parameter(1.0)
    optimizer = make_optimizer(OptimizerConfig(name="sgd", learning_rate=1.0), [weight])
    set_learning_rate(optimizer, 0.25)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert float(weight.detach()) == 0.75


def test_constant_schedule() -> None:
    factors = [schedule_factor(ScheduleConfig(), step, 10, 5) for step in (0, 5, 9, 10, 100)]
    assert factors == [1.0] * 5


def test_step_schedule_with_milestones_in_epochs_and_iterations() -> None:
    schedule = ScheduleConfig(
        name="step", milestones=(Steps(epochs=2), Steps(epochs=2, iterations=3)), factor=0.5
    )
    factors = [schedule_factor(schedule, step, 30, 5) for step in (0, 9, 10, 12, 13, 29)]
    assert factors == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_cosine_schedule() -> None:
    schedule = ScheduleConfig(name="cosine")
    factors = [schedule_factor(schedule, step, 12, 5) for step in (0, 4, 6, 8, 12, 20)]
    # cos of 0, 60, 90, 120 and 180 degrees.
    assert factors == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])


def test_cosine_ends_at_its_least() -> None:
    schedule = ScheduleConfig(name="cosine", least=0.2)
    factors = [schedule_factor(schedule, step, 12, 5) for step in (0, 4, 6, 12)]
    # 0.2 + 0.8 times 1, 0.75, 0.5 and 0.
    assert factors == pytest.approx([1.0, 0.8, 0.6, 0.2])


@pytest.mark.parametrize("per_epoch", [1, 3])
def test_warm_restarts_of_enas(per_epoch: int) -> None:
    # Pham et al. 2018, section 3.2: 0.05 to 0.001, T_0 = 10, T_mul = 2: periods of 10, 20, 40, 80 and 160 epochs.
    schedule = ScheduleConfig(name="cosine", restart=Steps(epochs=10), restart_factor=2, least=0.02)
    starts, middles = (0, 10, 30, 70, 150), (5, 20, 50, 110, 230)
    for epochs, rate in ((starts, 0.05), (middles, 0.0255)):
        for epoch in epochs:
            factor = schedule_factor(schedule, epoch * per_epoch, 310 * per_epoch, per_epoch)
            assert 0.05 * factor == pytest.approx(rate)
    last = schedule_factor(schedule, 310 * per_epoch - 1, 310 * per_epoch, per_epoch)
    wave = 0.5 * (1 + math.cos(math.pi * (1 - 1 / (160 * per_epoch))))
    assert last == pytest.approx(0.02 + 0.98 * wave)


def test_restarts_may_be_of_equal_length() -> None:
    schedule = ScheduleConfig(name="cosine", restart=Steps(iterations=4), restart_factor=1)
    factors = [schedule_factor(schedule, step, 12, 5) for step in (0, 2, 4, 6, 8, 10)]
    assert factors == pytest.approx([1.0, 0.5, 1.0, 0.5, 1.0, 0.5])


def test_warmup_rises_in_equal_parts_and_multiplies_the_schedule() -> None:
    warm = ScheduleConfig(warmup=Steps(iterations=4))
    assert [schedule_factor(warm, step, 10, 5) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    both = ScheduleConfig(name="cosine", warmup=Steps(epochs=1))
    assert schedule_factor(both, 2, 12, 5) == pytest.approx(0.6 * 0.5 * (1 + math.cos(math.pi / 6)))


def test_the_norm_is_over_all_parameters() -> None:
    own = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0], [0.0]])]
    half = [gradient / 2 for gradient in own]
    assert gradient_norms([own, half]).tolist() == [5.0, 2.5]


@pytest.mark.parametrize("count", [1, 2, 8, 61, 983])
def test_the_norm_of_a_replicate_is_that_of_one_alone_bit_for_bit(count: int) -> None:
    """Some parameters of several replicates, and more of them than a processor's vectors are long."""
    draw = generator(0, "gradients")
    grads = [
        [torch.randn(3, 5, generator=draw) * 10.0 ** (n % 5) for n in range(count)]
        for _ in range(3)
    ]
    alone = [torch.linalg.vector_norm(torch.stack(torch._foreach_norm(own))) for own in grads]
    assert torch.equal(gradient_norms(grads), torch.stack(alone))
    factors = [(0.5 / (norm + 1e-6)).clamp(max=1.0) for norm in alone]
    expected = [[grad * f for grad in own] for own, f in zip(grads, factors, strict=True)]
    clip_per_replicate(grads, 0.5)
    for own, scaled in zip(grads, expected, strict=True):
        assert all(torch.equal(grad, one) for grad, one in zip(own, scaled, strict=True))


def test_clipping_is_per_replicate() -> None:
    grads = [[torch.tensor([3.0]), torch.tensor([4.0])], [torch.tensor([0.3]), torch.tensor([0.4])]]
    clip_per_replicate([*grads, [torch.zeros(1), torch.zeros(1)]], 1.0)
    # Norms 5 and 0.5: the first is scaled to 1, the other is left alone.
    torch.testing.assert_close(torch.cat(grads[0]), torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(torch.cat(grads[1]), torch.tensor([0.3, 0.4]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_leaves_its_neighbours_alone(value: float) -> None:
    grads = torch.tensor([[value, 1.0], [3.0, 4.0], [0.3, 0.4]])
    clip_per_replicate([[row] for row in grads.unbind(0)], 1.0)
    torch.testing.assert_close(grads[1:], torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
    assert bool(grads[0].isnan().any())


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_gradients_are_each_replicates_and_leave_out_parameters_that_have_none(
    batching: Batching,
) -> None:
    replicates = Replicates([nn.Linear(2, 1)] * 2, [0, 1], batching)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    replicates(lambda network, row: network(row).sum(), x).sum().backward()
    for bias in replicates.leaves()["bias"]:
        bias.grad = None
    found = gradients(replicates, trained_parameters(replicates))
    assert [[g.tolist() for g in own] for own in found] == [[[[1.0, 2.0]]], [[[3.0, 4.0]]]]


def test_gradients_get_memory_of_their_own_where_they_share_it() -> None:
    alone, shared, saved = torch.ones(3), torch.ones(4), torch.ones(2)
    given = [alone, shared, shared, shared[:2], saved.view(1, 2)]
    own = own_memory(given, [saved])
    assert [one is other for one, other in zip(own, given, strict=True)] == [
        *(True, True),
        *(False, False, False),
    ]
    assert all(torch.equal(one, other) for one, other in zip(own, given, strict=True))
    for factor, gradient in enumerate(own, 2):
        gradient.mul_(factor)
    assert [gradient.flatten()[0].item() for gradient in own] == [2, 3, 4, 5, 6]
    assert saved.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_what_an_optimizer_remembers_has_one_form(name: Literal["sgd", "adam"]) -> None:
    config = OptimizerConfig(name=name, learning_rate=0.1, momentum=0.9 * (name == "sgd"))
    states = []
    layer = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Linear(1, 1))
    for batching in BATCHINGS:
        replicates = Replicates([layer] * 3, [0, 1, 2], batching)
        optimizer = make_optimizer(config, replicates.parameters())
        for leaf in replicates.parameters():
            leaf.grad = torch.ones_like(leaf)
        optimizer.step()
        states.append(optimizer_state(optimizer, replicates))
    stacked, looped = states
    assert stacked.keys() == looped.keys()
    assert all(torch.equal(stacked[key], looped[key]) for key in stacked)
    for batching in BATCHINGS:
        replicates = Replicates([layer] * 3, [0, 1, 2], batching)
        optimizer = make_optimizer(config, replicates.parameters())
        drawn = {key: torch.rand(t.shape) if t.dim() else t for key, t in stacked.items()}
        load_optimizer_state(optimizer, replicates, drawn)
        found = optimizer_state(optimizer, replicates)
        assert all(torch.equal(found[key], drawn[key]) for key in drawn)
