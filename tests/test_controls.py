"""Controls: each keeps its count and its promise, and can be repeated."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lottery.controls import CONTROLS, check_control
from lottery.pruning.masks import Mask, Tensors, dense_mask, kept
from lottery.rivals import MASK_RULES, WEIGHT_RULES, Draw, rival
from tests.tiny_runs import TINY, rewinding_to
from training.errors import LotteryError

SHAPES = {"a": (20, 10), "b": (10, 5)}


def network(generator: torch.Generator) -> Tensors:
    weights = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return {**weights, "bias": torch.randn(5, generator=generator)}


def draw(seed: int = 0) -> Draw:
    return Draw(generator=torch.Generator().manual_seed(seed), network=network)


@pytest.fixture
def start() -> Tensors:
    return network(torch.Generator().manual_seed(100))


@pytest.fixture
def mask() -> Mask:
    generator = torch.Generator().manual_seed(200)
    rates = {"a": 0.1, "b": 0.6}
    return {n: torch.rand(shape, generator=generator) < rates[n] for n, shape in SHAPES.items()}


def layer_counts(mask: Mask) -> dict[str, int]:
    return {name: int(m.sum()) for name, m in mask.items()}


SAME_COUNT = sorted(set(CONTROLS) - {"inverted-mask", "dense"})


@pytest.mark.parametrize("name", SAME_COUNT)
def test_the_count_is_the_tickets(name: str, mask: Mask, start: Tensors) -> None:
    found, _ = rival(name, mask, start, draw())
    assert kept(found) == kept(mask)
    assert {n: m.shape for n, m in found.items()} == {n: m.shape for n, m in mask.items()}


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_pruned_weights_are_zero_and_the_rest_is_there(
    name: str, mask: Mask, start: Tensors
) -> None:
    found, tensors = rival(name, mask, start, draw())
    assert tensors.keys() == start.keys()
    for layer, m in found.items():
        assert not tensors[layer][~m].any()
        assert bool((tensors[layer][m] != 0).all())


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_it_repeats_and_leaves_the_ticket_alone(name: str, mask: Mask, start: Tensors) -> None:
    before = {
        n: t.clone() for n, t in {**start, **{f"mask {n}": m for n, m in mask.items()}}.items()
    }
    first, again = (rival(name, mask, start, draw(7)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(one[n], other[n]) for n in one)
    after = {**start, **{f"mask {n}": m for n, m in mask.items()}}
    assert all(torch.equal(before[n], after[n]) for n in before)


DRAWN = (
    "reinitialised",
    "reinitialised-same-sign",
    "shuffled-mask",
    "random-mask",
    "random-ticket",
)


@pytest.mark.parametrize("name", DRAWN)
def test_another_generator_draws_another_control(name: str, mask: Mask, start: Tensors) -> None:
    (masks, tensors), (other_masks, others) = (rival(name, mask, start, draw(s)) for s in (1, 2))
    assert any(not torch.equal(masks[n], other_masks[n]) for n in masks) or any(
        not torch.equal(tensors[n], others[n]) for n in tensors
    )


def test_reinitialised_has_the_mask_and_other_weights(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("reinitialised", mask, start, draw())
    assert all(torch.equal(found[n], mask[n]) for n in mask)
    assert all(bool((tensors[n][mask[n]] != start[n][mask[n]]).all()) for n in mask)
    assert not torch.equal(tensors["bias"], start["bias"])


def test_same_sign_has_the_signs_and_other_magnitudes(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("reinitialised-same-sign", mask, start, draw())
    for n, m in found.items():
        assert torch.equal(m, mask[n])
        assert torch.equal(tensors[n][m].sign(), start[n][m].sign())
        assert bool((tensors[n][m] != start[n][m]).all())


def test_signed_constant_is_the_deviation_of_the_whole_parameter() -> None:
    start = {"w": torch.tensor([1.0, -2.0, 3.0, -4.0])}
    mask = {"w": torch.tensor([True, True, False, True])}
    # mean -0.5, squares of distances 2.25 + 2.25 + 12.25 + 12.25 = 29, over 3.
    deviation = (29 / 3) ** 0.5
    _, tensors = rival("signed-constant", mask, start, draw())
    expected = torch.tensor([deviation, -deviation, 0.0, -deviation])
    torch.testing.assert_close(tensors["w"], expected)


def test_a_shuffled_mask_keeps_each_layers_count(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("shuffled-mask", mask, start, draw())
    assert layer_counts(found) == layer_counts(mask)
    assert not torch.equal(found["a"], mask["a"])
    assert all(torch.equal(tensors[n], start[n] * found[n]) for n in mask)


def test_a_random_mask_keeps_the_total_over_the_network(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("random-mask", mask, start, draw())
    assert kept(found) == kept(mask)
    assert layer_counts(found) != layer_counts(mask)
    assert all(torch.equal(tensors[n], start[n] * found[n]) for n in mask)


def test_a_random_ticket_has_new_weights_too(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("random-ticket", mask, start, draw())
    assert layer_counts(found) != layer_counts(mask)
    assert bool((tensors["a"][found["a"]] != start["a"][found["a"]]).all())


def test_an_inverted_mask_keeps_what_the_ticket_lost(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("inverted-mask", mask, start, draw())
    for n, m in mask.items():
        assert torch.equal(found[n], ~m)
        assert torch.equal(tensors[n], start[n] * ~m)


def test_dense_is_the_whole_start(mask: Mask, start: Tensors) -> None:
    found, tensors = rival("dense", mask, start, draw())
    assert kept(found) == 250
    assert all(torch.equal(tensors[n], start[n]) for n in start)


def test_an_unknown_control_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match=r"'random-maks'; did you mean random-mask"):
        check_control(TINY, "random-maks")


def test_no_control_prunes_what_the_experiment_never_does(mask: Mask, start: Tensors) -> None:
    whole = {**mask, "b": torch.ones_like(mask["b"])}
    spared = Draw(
        generator=torch.Generator().manual_seed(0), network=network, never_pruned=frozenset({"b"})
    )
    for name in CONTROLS:
        found, _ = rival(name, whole, start, spared)
        assert bool(found["b"].all()), name
        assert [*found] == ["a", "b"]
        if name in SAME_COUNT:
            assert kept(found) == kept(whole)
    inverted, _ = rival("inverted-mask", whole, start, spared)
    assert torch.equal(inverted["a"], ~mask["a"])


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_where_nothing_is_pruned_every_control_is_whole(name: str, start: Tensors) -> None:
    """As with pruning.rate = 0."""
    whole = dense_mask({layer: start[layer] for layer in SHAPES})
    never = Draw(generator=draw().generator, network=network, never_pruned=frozenset(SHAPES))
    found, tensors = rival(name, whole, start, never)
    assert found.keys() == whole.keys()
    assert all(bool(m.all()) for m in found.values())
    assert all(bool((tensors[layer] != 0).all()) for layer in SHAPES)


def test_a_control_is_a_rule_for_the_mask_and_one_for_the_weights() -> None:
    rules = {name: (one.mask, one.weights) for name, one in CONTROLS.items()}
    assert len(set(rules.values())) == len(rules)
    assert {mask for mask, _ in rules.values()} == MASK_RULES.keys()
    assert {weights for _, weights in rules.values()} == WEIGHT_RULES.keys()
    assert ("ticket", "ticket") not in rules.values()
    assert all(one.summary.strip() and "\n" not in one.summary for one in CONTROLS.values())


def test_what_draws_weights_and_what_needs_pruned_ones() -> None:
    drawing = {name for name, one in CONTROLS.items() if one.draws_weights}
    assert drawing == {"reinitialised", "reinitialised-same-sign", "random-ticket"}
    needing = {name for name, one in CONTROLS.items() if one.needs_pruned_weights}
    assert needing == {"shuffled-mask", "random-mask", "inverted-mask", "dense"}


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_what_needs_pruned_weights_is_refused_where_there_are_none(name: str) -> None:
    check_control(TINY, name)
    kept_weights = dataclasses.replace(TINY, rewinding=rewinding_to(3, "keep"))
    if CONTROLS[name].needs_pruned_weights:
        with pytest.raises(LotteryError, match=f"^The control {name} needs values for weights"):
            check_control(kept_weights, name)
    else:
        check_control(kept_weights, name)
