"""REINFORCE, its baseline, and random search beside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest
import torch

from nas.search.cell_space import CellSpace
from nas.search.controller_config import CONTROLLERS, RELEASE_ADAM, ControllerConfig
from nas.search.controller_draws import Sample
from nas.search.enas import Enas, against_baseline, corrected_epsilon, reinforce
from nas.search.layer_space import LayerSpace
from nas.search.random_search import RandomSearch, different, draws
from nas.search.recurrent_space import RecurrentSpace
from nas.search.space import Choices
from nas.search.strategy import Strategy
from training.configs import OptimizerConfig

SPACE = RecurrentSpace(nodes=3)  # places 0, 2 and 4 are activations
CONFIG = ControllerConfig(
    hidden=12,
    samples=8,
    updates=10,
    baseline_decay=0.9,
    optimizer=OptimizerConfig(name="adam", learning_rate=0.01, clip_norm=1.0),
)


def count_of_relu(architectures: Sequence[Choices]) -> list[float]:
    """The share of activations that are number 1."""
    return [sum(row[place] == 1 for place in (0, 2, 4)) / 3 for row in architectures]


def test_the_baseline_takes_a_reward_in_before_it_is_compared() -> None:
    # 0 -> 0.1 * 0.5 = 0.05 -> 0.05 + 0.1 * (1 - 0.05) = 0.145 -> 0.145 - 0.0145 = 0.1305
    advantages, baseline = against_baseline([0.5, 1.0, 0.0], 0.0, 0.9)
    assert advantages == pytest.approx([0.45, 0.855, -0.1305])
    assert baseline == pytest.approx(0.1305)


def test_the_gradient_is_that_of_log_probability_times_advantage() -> None:
    strategy = Enas(SPACE, CONFIG, seed=0)
    sample = strategy.controller.sample(torch.full((2, 5), 0.3, dtype=torch.float64))
    sample.divergence = torch.tensor([0.5, 1.5])
    loss = reinforce(sample, [2.0, -1.0], skip_weight=0.8)
    log = sample.log_probability.tolist()
    assert float(loss.detach()) == pytest.approx(-(2.0 * log[0] - log[1]) / 2 + 0.8 * 1.0)


def test_a_reward_is_learned() -> None:
    strategy = Enas(SPACE, CONFIG, seed=0)
    rewards = [strategy.after_epoch(epoch, count_of_relu)["reward"] for epoch in range(25)]
    assert rewards[0] < 0.5
    assert rewards[-1] > 0.9
    assert count_of_relu([c.choices for c in strategy.candidates(1)]) == [1.0]


def test_skips_are_drawn_to_their_target() -> None:
    space = LayerSpace(layers=5)
    config = dataclasses.replace(CONFIG, skip_weight=5.0, skip_target=0.1)
    strategy = Enas(space, config, seed=0)

    def share() -> float:
        rows = [strategy.propose(step) for step in range(200)]
        skips = [i for i, d in enumerate(space.decisions()) if d.kind == "skip"]
        return sum(row[i] for row in rows for i in skips) / (len(rows) * len(skips))

    assert share() == pytest.approx(0.5, abs=0.05)
    for epoch in range(15):
        strategy.after_epoch(epoch, lambda rows: [0.5] * len(rows))
    assert share() == pytest.approx(0.1, abs=0.05)


def test_no_step_is_longer_than_the_clip_norm() -> None:
    optimizer = OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=0.01)
    strategy = Enas(SPACE, dataclasses.replace(CONFIG, updates=1, optimizer=optimizer), seed=0)
    before = [p.detach().clone() for p in strategy.controller.parameters()]
    strategy.after_epoch(0, lambda rows: [1000.0 * r for r in range(len(rows))])
    after = [p.detach() for p in strategy.controller.parameters()]
    moved = torch.cat([(b - a).flatten() for a, b in zip(after, before, strict=True)])
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("step", "epsilon", "longer"),
    # 1e-3 / sqrt(1 - 0.999^step): 1 - 0.999 = 0.001, 1 - 0.999^100 = 0.095208, 1 - 0.999^1000 = 0.632305.
    [(1, 0.0316228, 31.62), (100, 0.0032409, 3.241), (1000, 0.0012576, 1.258)],
)
def test_the_epsilon_of_tensorflow_written_out(step: int, epsilon: float, longer: float) -> None:
    assert corrected_epsilon(1e-3, 0.999, step) == pytest.approx(epsilon, rel=1e-4)
    # By so much torch's own step is longer where the gradient is far below epsilon.
    assert corrected_epsilon(1e-3, 0.999, step) / 1e-3 == pytest.approx(longer, rel=1e-3)


def test_every_published_controller_has_it() -> None:
    assert all(config.epsilon_first for config in CONTROLLERS.values())
    assert {config.optimizer.epsilon for config in CONTROLLERS.values()} == {1e-3}


def test_the_first_step_of_the_released_adam_written_out() -> None:
    # beta1 = 0: rate sqrt(0.001) g / (sqrt(0.001 g^2) + 0.001), for g = 0.01 a rate times 0.24025; torch has 0.90909.
    for first, share in ((True, 0.24025), (False, 0.90909)):
        config = dataclasses.replace(CONFIG, optimizer=RELEASE_ADAM, epsilon_first=first)
        strategy = Enas(SPACE, config, seed=0)
        start = strategy.controller.start
        before = start.detach().clone()
        start.register_hook(lambda gradient: torch.full_like(gradient, 0.01))
        strategy.after_epoch(0, lambda rows: [float(r) for r in range(len(rows))])
        moves = before - start.detach()
        assert config.updates == 10
        # All ten gradients are equal, so that v = g^2 (1 - 0.999^t) and ten steps are a sum of such shares.
        root = [math.sqrt(1 - 0.999**step) for step in range(1, 11)]
        parts = [0.01 * r / (0.01 * r + 1e-3) if first else 0.01 / 0.011 for r in root]
        assert parts[0] == pytest.approx(share, rel=1e-4)
        torch.testing.assert_close(moves, torch.full_like(moves, 1e-3 * sum(parts)))


@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("first", [True, False])
def test_adam_is_that_of_the_release(beta1: float, first: bool) -> None:
    how = OptimizerConfig(
        name="adam", learning_rate=0.01, beta1=beta1, beta2=0.99, epsilon=1e-3, clip_norm=0.5
    )
    config = dataclasses.replace(CONFIG, updates=1, optimizer=how, epsilon_first=first)
    strategy = Enas(SPACE, config, seed=0)
    named = dict(strategy.controller.named_parameters())
    held = {name: p.detach().double() for name, p in named.items()}
    mean = {name: torch.zeros_like(value) for name, value in held.items()}
    square = {name: torch.zeros_like(value) for name, value in held.items()}
    for step in range(1, 6):
        strategy.after_epoch(step - 1, count_of_relu)
        one, two = 1 - beta1**step, 1 - 0.99**step
        for name, parameter in named.items():
            assert parameter.grad is not None
            gradient = parameter.grad.double()
            mean[name] = beta1 * mean[name] + (1 - beta1) * gradient
            square[name] = 0.99 * square[name] + 0.01 * gradient**2
            if first:  # training_ops.cc of TensorFlow, ApplyAdam
                rate = 0.01 * math.sqrt(two) / one
                held[name] -= rate * mean[name] / (square[name].sqrt() + 1e-3)
            else:
                held[name] -= 0.01 * (mean[name] / one) / ((square[name] / two).sqrt() + 1e-3)
            torch.testing.assert_close(parameter.detach().double(), held[name], atol=1e-6, rtol=0)


def test_the_entropy_is_a_bonus() -> None:
    dear = dataclasses.replace(CONFIG, entropy=1.0, updates=1)
    strategy = Enas(SPACE, dear, seed=0)
    figures = strategy.after_epoch(0, lambda rows: [0.0] * len(rows))
    # The baseline has taken in the bonuses of 8 samples.
    assert figures["reward"] == 0.0
    assert figures["baseline"] == pytest.approx(figures["entropy"] * (1 - 0.9**8), rel=0.05)


@pytest.mark.parametrize("kind", ["enas", "random", "plain"])
def test_a_restored_strategy_goes_on_as_the_first(kind: str) -> None:
    def new() -> Strategy:
        if kind == "enas":
            return Enas(SPACE, CONFIG, seed=4)
        return RandomSearch(SPACE, seed=4, alone=3 if kind == "plain" else 0)

    first, second = new(), new()
    first.after_epoch(0, count_of_relu)
    second.propose(3)
    held = {name: tensor.clone() for name, tensor in first.tensors().items()}
    second.restore(held, first.values())
    for strategy in (first, second):
        strategy.after_epoch(1, count_of_relu)
    assert first.values() == second.values()
    assert first.tensors().keys() == second.tensors().keys()
    assert all(torch.equal(t, second.tensors()[n]) for n, t in first.tensors().items())
    assert [first.propose(s) for s in range(40)] == [second.propose(s) for s in range(40)]
    assert first.candidates(3) == second.candidates(3)


def test_proposals_are_a_function_of_the_step() -> None:
    strategies: list[Strategy] = [Enas(SPACE, CONFIG, seed=1), RandomSearch(SPACE, seed=1)]
    for strategy in strategies:
        forth = [strategy.propose(step) for step in range(70)]
        back = [strategy.propose(step) for step in reversed(range(70))]
        assert forth == back[::-1]
        assert len(set(forth)) > 10


def test_candidates_differ_and_are_as_many_as_there_are() -> None:
    small = RecurrentSpace(nodes=1)  # four architectures
    assert {c.choices for c in RandomSearch(small, seed=0).candidates(9)} == {
        (0,),
        (1,),
        (2,),
        (3,),
    }
    found = [c.choices for c in Enas(CellSpace(nodes=2), CONFIG, seed=0).candidates(20)]
    assert len(set(found)) == len(found) == 20
    assert len(Enas(small, CONFIG, seed=0).candidates(9)) == 4


def test_no_more_candidates_are_drawn_than_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy, drawn = Enas(CellSpace(nodes=5), CONFIG, seed=0), []
    sample = strategy.controller.sample

    def counted(uniform: torch.Tensor) -> Sample:
        drawn.append(len(uniform))
        return sample(uniform)

    monkeypatch.setattr(strategy.controller, "sample", counted)
    assert len(strategy.candidates(20)) == 20
    assert drawn == [20]


def test_plain_random_search_keeps_what_scored_best() -> None:
    strategy = RandomSearch(SPACE, seed=0, alone=30)
    figures = strategy.after_epoch(0, count_of_relu)
    scores = count_of_relu([c.choices for c in strategy.candidates(30)])
    assert scores == sorted(scores, reverse=True)
    assert figures["reward"] == pytest.approx(sum(scores) / 30)


def test_draws_depend_on_seed_and_purpose() -> None:
    one = different(SPACE, 5, draws(0, "a"))
    assert one == different(SPACE, 5, draws(0, "a"))
    assert one != different(SPACE, 5, draws(0, "b"))
    assert one != different(SPACE, 5, draws(1, "a"))
