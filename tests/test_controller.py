"""ENAS's controller: its probabilities, entropy, divergence and priors, against numbers written out."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch

from nas.search.cell_space import CellSpace
from nas.search.controller import Controller
from nas.search.controller_config import CONTROLLERS, ControllerConfig
from nas.search.layer_space import LayerSpace
from nas.search.recurrent_space import RecurrentSpace
from nas.search.space import Space
from training.errors import LotteryError
from training.noise import generator

FIXED = RecurrentSpace(nodes=4, first="tanh", output="nodes")
SPACES: list[Space] = [CellSpace(nodes=3), LayerSpace(layers=4), RecurrentSpace(nodes=4), FIXED]
SMALL: list[Space] = [CellSpace(nodes=1), LayerSpace(layers=2), RecurrentSpace(nodes=2)]


def controller(space: Space, config: ControllerConfig, initial: float = 0.5) -> Controller:
    changed = dataclasses.replace(config, hidden=8, initial=initial)
    return Controller(space, changed, generator(0, "controller"))


def uniform(space: Space, count: int) -> torch.Tensor:
    shape = (count, len(space.decisions()))
    return torch.rand(shape, generator=generator(1, "draws"), dtype=torch.float64)


def flat(space: Space, config: ControllerConfig) -> Controller:
    """All weights 0: every logit is what its prior makes it."""
    made = controller(space, config)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name != "operation_bias":
                parameter.zero_()
    return made


def chances(made: Controller, draws: list[list[float]]) -> list[float]:
    """How likely what is drawn is."""
    drawn = made.sample(torch.tensor(draws, dtype=torch.float64))
    return [*map(float, drawn.log_probability.detach().exp())]


@pytest.mark.parametrize("space", SMALL)
@pytest.mark.parametrize("config", [ControllerConfig(), *CONTROLLERS.values()])
@torch.no_grad()
def test_architectures_are_drawn_as_often_as_they_are_likely(
    space: Space, config: ControllerConfig
) -> None:
    sample = controller(space, config).sample(uniform(space, 8000))
    assert all(space.genotype(row) for row in sample.choices[:20].tolist())
    # The mean of 1 / p under p is the number of architectures.
    count = math.prod(decision.choices for decision in space.decisions())
    assert float((-sample.log_probability.double()).exp().mean()) == pytest.approx(count, rel=0.1)


def by_hand(made: Controller, space: RecurrentSpace, choices: list[int]) -> float:
    """The log-probability of a recurrent cell, step by step as ptb_enas_controller.py of melodyguan/enas takes them."""

    def log_chance(logits: torch.Tensor, distances: list[int]) -> float:
        logits = 2.5 * torch.tanh(logits / 5.0) - torch.tensor(distances) ** 2 / 6
        return float(logits.log_softmax(-1)[chosen])

    zeros = torch.zeros(1, made.config.hidden)
    state, read, rest, total = (zeros, zeros), made.start[None], iter(choices), 0.0
    # enas_lm, whose first state is not searched, begins with zeros for it.
    anchors = [] if space.first is None else [zeros]
    keys = [*anchors]
    for node in range(len(anchors), space.nodes):
        state = made.lstm(read, state)
        if node:
            chosen = next(rest)
            query = state[0] @ made.query_weight
            logits = torch.cat([torch.tanh(query + key) @ made.attention for key in keys])
            total += log_chance(logits, [node - other for other in range(node)])
            read = anchors[chosen] / (0.1 + node - chosen)
        anchors.append(state[0])
        keys.append(state[0] @ made.key_weight)
        state = made.lstm(read, state)
        chosen = next(rest)
        total += log_chance((state[0] @ made.operation_weight.t())[0], [0] * 4)
        read = made.embedding[chosen][None]
    return total


@pytest.mark.parametrize("space", [RecurrentSpace(nodes=5), FIXED])
@torch.no_grad()
def test_a_recurrent_cell_is_decided_on_as_in_the_release(space: RecurrentSpace) -> None:
    made = controller(space, CONTROLLERS["recurrent"], initial=2.0)
    sample = made.sample(uniform(space, 6))
    expected = [by_hand(made, space, row) for row in sample.choices.tolist()]
    assert sample.log_probability.tolist() == pytest.approx(expected, rel=1e-4)


def test_only_operations_of_cells_have_a_bias() -> None:
    names = [dict(controller(space, CONTROLLERS["cell"]).named_parameters()) for space in SPACES]
    assert ["operation_bias" in each for each in names] == [True, False, False, False]


@pytest.mark.parametrize("space", SPACES)
def test_all_rows_of_a_batch_are_drawn_as_alone(space: Space) -> None:
    made = controller(space, ControllerConfig())
    draws = uniform(space, 4)
    together = made.sample(draws).choices
    alone = torch.cat([made.sample(row[None]).choices for row in draws])
    assert torch.equal(together, alone)


def test_draws_pick_where_cumulated_probabilities_pass_them() -> None:
    space = RecurrentSpace(nodes=1)
    made = flat(space, ControllerConfig())
    draws = torch.tensor([[0.0], [0.2499], [0.25], [0.74], [0.999]], dtype=torch.float64)
    assert made.sample(draws).choices[:, 0].tolist() == [0, 0, 1, 2, 3]


def test_entropy_of_even_choices() -> None:
    space = RecurrentSpace(nodes=2)  # 4 activations, 1 previous state, 4 activations
    whole = ControllerConfig(entropy_of="distribution")
    sample = flat(space, whole).sample(uniform(space, 3))
    assert sample.entropy.tolist() == pytest.approx([2 * math.log(4)] * 3)
    # -p log p of what was drawn: a quarter of log 4 for each of the two.
    sample = flat(space, ControllerConfig()).sample(uniform(space, 3))
    assert sample.entropy.tolist() == pytest.approx([2 * 0.25 * math.log(4)] * 3)


def test_divergence_of_even_skips() -> None:
    space = LayerSpace(layers=3)  # 0, 1 and 2 skips
    sample = flat(space, ControllerConfig(skip_target=0.4)).sample(uniform(space, 2))
    one = 0.5 * math.log(0.5 / 0.6) + 0.5 * math.log(0.5 / 0.4)
    assert sample.divergence.tolist() == pytest.approx([(one + 2 * one) / 2] * 2, rel=1e-4)
    even = flat(space, ControllerConfig(skip_target=0.5)).sample(uniform(space, 2))
    assert even.divergence.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_a_space_without_skips_has_no_divergence() -> None:
    sample = controller(SPACES[0], ControllerConfig()).sample(uniform(SPACES[0], 2))
    assert sample.divergence.tolist() == [0.0, 0.0]


def test_near_states_are_likelier() -> None:
    space = RecurrentSpace(nodes=3)
    made = flat(space, ControllerConfig(locality=1.0))
    # The third node reads state 0, at distance 2, or state 1, at distance 1; three activations are one of four each.
    far, near = math.exp(-4 / 6), math.exp(-1 / 6)
    share = [far / (far + near), near / (far + near)]
    found = chances(made, [[0.0, 0.0, 0.0, place, 0.0] for place in (0.0, 0.99)])
    assert found == pytest.approx([each / 4**3 for each in share])


def test_convolutions_are_likelier_in_the_normal_cell() -> None:
    space = CellSpace(nodes=1)
    made = flat(space, CONTROLLERS["cell"])
    # The learnt bias starts at 10, 10, 0, 0, 0 under tanh times 1.1 / 2.5; +-0.25 is added in the normal cell only.
    bound = 0.44 * math.tanh(10.0)
    expected = {}
    for cell, fixed in (("normal", 0.25), ("reduction", 0.0)):
        convolution, other = math.exp(bound + fixed), math.exp(-fixed)
        total = 2 * convolution + 3 * other
        expected[cell] = convolution / total, other / total
    # Four inputs are one of two each.
    for normal, reduction in itertools.product(range(2), repeat=2):
        row = [0.0, 0.99 * normal] * 2 + [0.0, 0.99 * reduction] * 2
        share = expected["normal"][normal] ** 2 * expected["reduction"][reduction] ** 2 / 2**4
        assert chances(made, [row]) == pytest.approx([share])


def test_temperature_and_bound() -> None:
    space = CellSpace(nodes=1)
    config = ControllerConfig(temperature=5.0, tanh=2.5, convolution_bias=10.0)
    # Two of five operations are convolutions; four operations and four of two inputs are drawn.
    first = math.exp(2.5 * math.tanh(2.0))
    share = first / (2 * first + 3)
    assert chances(flat(space, config), [[0.0] * 8]) == pytest.approx([share**4 / 2**4])


def test_initial_weights_are_a_function_of_the_generator_within_the_bound() -> None:
    one, other = (controller(SPACES[0], ControllerConfig(), initial=0.1) for _ in range(2))
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, other.get_parameter(name))
        assert float(parameter.detach().abs().max()) <= 0.1


def test_every_weight_of_use_has_a_gradient() -> None:
    for space in SPACES:
        made = controller(space, ControllerConfig())
        sample = made.sample(uniform(space, 4))
        (sample.log_probability.sum() + sample.divergence.sum()).backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None, (space, name)
            assert bool(parameter.grad.any()), (space, name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden", 0),
        ("temperature", 0.0),
        ("tanh", 0.0),
        ("baseline_decay", 1.0),
        ("skip_target", 1.0),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(LotteryError, match=f"{field} = {value} is out of range"):
        dataclasses.replace(ControllerConfig(), **changes)
