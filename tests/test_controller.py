"""ENAS's controller: its probabilities, entropy, divergence and priors, against numbers written out."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from nas.search.controller import Controller
from nas.search.controller_config import CONTROLLERS, ControllerConfig
from nas.search.spaces import CellSpace, LayerSpace, RecurrentSpace, Space
from training.errors import LotteryError
from training.noise import generator

SPACES: list[Space] = [CellSpace(nodes=3), LayerSpace(layers=4), RecurrentSpace(nodes=4)]


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


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("config", [ControllerConfig(), *CONTROLLERS.values()])
def test_a_sample_is_as_likely_as_the_product_of_its_probabilities(
    space: Space, config: ControllerConfig
) -> None:
    made = controller(space, config)
    sample = made.sample(uniform(space, 7))
    assert len(sample.distributions) == len(space.decisions())
    for decision, given in zip(space.decisions(), sample.distributions, strict=True):
        assert given.shape == (7, decision.choices)
        torch.testing.assert_close(given.sum(-1), torch.ones(7))
    for row in range(7):
        choices = sample.choices[row].tolist()
        assert space.genotype(choices)
        product = math.prod(
            float(given[row, choice])
            for given, choice in zip(sample.distributions, choices, strict=True)
        )
        assert float(sample.log_probability[row].detach().exp()) == pytest.approx(product, rel=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_a_given_row_is_as_likely_as_when_it_was_drawn(space: Space) -> None:
    made = controller(space, ControllerConfig())
    sample = made.sample(uniform(space, 5))
    again = made.score(sample.choices)
    assert torch.equal(again.choices, sample.choices)
    torch.testing.assert_close(again.log_probability, sample.log_probability)
    torch.testing.assert_close(again.entropy, sample.entropy)


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
    sample = flat(space, ControllerConfig(locality=1.0)).sample(uniform(space, 1))
    # The third node reads state 0, at distance 2, or state 1, at distance 1.
    far, near = math.exp(-4 / 6), math.exp(-1 / 6)
    share = [far / (far + near), near / (far + near)]
    assert sample.distributions[3][0].tolist() == pytest.approx(share)


def test_convolutions_are_likelier_in_the_normal_cell() -> None:
    space = CellSpace(nodes=1)
    made = flat(space, CONTROLLERS["cell"])
    sample = made.sample(uniform(space, 1))
    # The learnt bias starts at 10, 10, 0, 0, 0 under tanh times 1.1 / 2.5; +-0.25 is added in the normal cell only.
    bound = 0.44 * math.tanh(10.0)
    for place, fixed in ((1, 0.25), (5, 0.0)):
        weights = [math.exp(bound + fixed)] * 2 + [math.exp(-fixed)] * 3
        share = [weight / sum(weights) for weight in weights]
        assert sample.distributions[place][0].tolist() == pytest.approx(share)


def test_temperature_and_bound() -> None:
    space = RecurrentSpace(nodes=1)
    made = flat(space, ControllerConfig(temperature=5.0, tanh=2.5))
    with torch.no_grad():
        made.operation_bias.copy_(torch.tensor([10.0, 0.0, 0.0, 0.0]))
    first = math.exp(2.5 * math.tanh(2.0))
    given = made.sample(uniform(space, 1)).distributions[0][0]
    assert float(given[0]) == pytest.approx(first / (first + 3))


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
    with pytest.raises(LotteryError, match=f"{field} = {value} is out of range"):
        dataclasses.replace(ControllerConfig(), **{field: value})  # type: ignore[arg-type]
