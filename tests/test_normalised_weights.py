"""Weights that are computed from others: pruned ones are 0, and nothing else changes."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lottery.checks import check
from lottery.cycle import find_tickets
from lottery.experiments import NetworkConfig
from lottery.portable_tickets import build_ticket, ticket_of
from lottery.pruning.config import PruningConfig
from lottery.records import Record
from lottery.runs import Run
from nas.catalog.building import build
from nas.normalised_weights import bear_zeros, gains
from tests.tiny_runs import TINY, digits, open_run, session
from training.specs import ImageSpec, Spec


def old_form(
    normalise: Callable[..., nn.Module], layer: nn.Module, name: str = "weight"
) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch has a newer form
        return normalise(layer, name)


NORMALISED: dict[str, tuple[Callable[[nn.Module], nn.Module], str]] = {
    "weight norm": (parametrizations.weight_norm, "parametrizations.weight.original1"),
    "weight norm, old": (
        lambda layer: old_form(nn.utils.weight_norm, layer),
        "weight_v",
    ),
    "spectral norm": (parametrizations.spectral_norm, "parametrizations.weight.original"),
    "spectral norm, old": (lambda layer: old_form(nn.utils.spectral_norm, layer), "weight_orig"),
}


def conv(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv2d(2, 3, 3)


def behind(layer: nn.Module, name: str) -> nn.Parameter:
    return layer.get_parameter(NORMALISED[name][1])


def weight_of(layer: nn.Module) -> Tensor:
    """The weight that a forward pass uses."""
    layer(torch.zeros(1, 2, 3, 3))
    return cast(Tensor, layer.weight)


@pytest.mark.parametrize("name", NORMALISED)
def test_nothing_changes_bit_for_bit_where_something_is_kept(name: str) -> None:
    normalise = NORMALISED[name][0]
    found = []
    for prepare in (lambda layer: layer, bear_zeros):
        layer = prepare(normalise(conv(0)))
        with torch.no_grad():
            behind(layer, name)[:, 1] = 0.0
        weight = weight_of(layer)
        weight.square().sum().backward()
        assert not weight[:, 1].any()
        grads = [p.grad for p in layer.parameters() if p.grad is not None]
        found.append([weight, *grads])
    for plain, safe in zip(*found, strict=True):
        assert torch.equal(plain, safe)


@pytest.mark.parametrize("name", NORMALISED)
def test_what_is_pruned_as_a_whole_is_0_and_its_gradient_finite(name: str) -> None:
    rows = slice(1, 2) if name.startswith("weight") else slice(None)
    layer = bear_zeros(NORMALISED[name][0](conv(0)))
    with torch.no_grad():
        behind(layer, name)[rows] = 0.0
    weight = weight_of(layer)
    weight.sum().backward()
    assert not weight[rows].any()
    assert weight.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters() if p.grad is not None)


def test_one_length_of_all_rows() -> None:
    # Which torch has as None, or as -1.
    layer = bear_zeros(parametrizations.weight_norm(conv(0), dim=-1))
    plain = parametrizations.weight_norm(conv(0), dim=-1)
    assert torch.equal(weight_of(layer), weight_of(plain))
    with torch.no_grad():
        layer.get_parameter("parametrizations.weight.original1").zero_()
    assert not weight_of(layer).any()


def test_lengths_are_told_from_weights() -> None:
    network = nn.Sequential(*(normalise(conv(0)) for normalise, _ in NORMALISED.values()))
    names = {"0.parametrizations.weight.original0", "1.weight_g"}
    assert gains(network) == names
    assert gains(bear_zeros(network)) == names


def test_the_old_form_can_be_copied() -> None:
    layer = bear_zeros(NORMALISED["weight norm, old"][0](conv(0)))
    again = copy.deepcopy(layer)
    with torch.no_grad():
        behind(again, "weight norm, old").zero_()
    assert not weight_of(again).any()
    assert weight_of(layer).any()


@pytest.mark.parametrize("normalise", [nn.utils.weight_norm, parametrizations.weight_norm])
def test_a_recurrent_layer_keeps_no_weight_that_was_computed_when_it_was_built(
    normalise: Callable[..., nn.Module],
) -> None:
    layer = bear_zeros(old_form(normalise, nn.LSTM(3, 4), "weight_hh_l0"))
    again = copy.deepcopy(layer)
    x = torch.rand(5, 2, 3)
    assert torch.equal(again(x)[0], layer(x)[0])


class Normalised(nn.Module):
    """Every form of normalised weights behind one another."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        assert isinstance(spec, ImageSpec)
        self.layers = nn.Sequential(
            NORMALISED["weight norm"][0](nn.Conv2d(1, 3, 3)),
            NORMALISED["spectral norm"][0](nn.Conv2d(3, 3, 3)),
            nn.Flatten(),
            NORMALISED["weight norm, old"][0](nn.Linear(48, 6)),
            nn.ReLU(),
            NORMALISED["spectral norm, old"][0](nn.Linear(6, spec.classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.layers(x)
        return logits


class Rows(nn.Module):
    """A recurrent layer over the rows of an image, and attention to them, with a normalised matrix each."""

    def __init__(self, spec: Spec, core: nn.Module) -> None:
        super().__init__()
        assert isinstance(spec, ImageSpec)
        self.core = core
        attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.attention = parametrizations.weight_norm(attention, "in_proj_weight")
        self.last = nn.Linear(6, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        x = self.core(x[:, 0])[0]
        logits: Tensor = self.last(self.attention(x, x, x)[0][:, -1])
        return logits


RECURRENT: dict[str, Callable[[Spec], nn.Module]] = {
    "weight_hh_l0_v": lambda spec: Rows(
        spec, old_form(nn.utils.weight_norm, nn.LSTM(8, 6, batch_first=True), "weight_hh_l0")
    ),
    "parametrizations.weight_hh_l0.original1": lambda spec: Rows(
        spec, parametrizations.weight_norm(nn.LSTM(8, 6, batch_first=True), "weight_hh_l0")
    ),
}


def carried_out(factory: Callable[[Spec], nn.Module], root: Path) -> list[Record]:
    experiment = dataclasses.replace(
        TINY,
        seeds=(0,),
        levels=2,
        arms=(),
        network=NetworkConfig(name="m:f"),
        pruning=PruningConfig(rate=0.8),
    )
    one = check(session(experiment, root, batching="looped", factory=factory))
    open_run(root, experiment, digits().data.description())
    records = find_tickets(one)
    assert all(record.diverged_at is None for record in records)
    return records


@pytest.mark.parametrize("name", RECURRENT)
def test_a_whole_cycle_of_recurrent_and_attention_layers(name: str, tmp_path: Path) -> None:
    first = carried_out(RECURRENT[name], tmp_path / "own")[0]
    assert {layer.name: layer.total for layer in first.layers} == {
        "core.weight_ih_l0": 24 * 8,
        f"core.{name}": 24 * 6,
        "attention.parametrizations.in_proj_weight.original1": 18 * 6,
        "attention.out_proj.weight": 6 * 6,
        "last.weight": 60,
    }
    gates = {layer.name: layer.gates for layer in first.layers}
    assert [gate.total for gate in gates[f"core.{name}"]] == [6 * 6] * 4
    rows = 24 * 8 + 24 * 6 + 18 * 6 + 6 * 6
    assert first.multiply_adds == 8 * rows + 2 * 8 * 8 * 6 + 60


def test_a_whole_cycle_down_to_few_weights(tmp_path: Path) -> None:
    records = carried_out(Normalised, tmp_path / "own")
    prunable = 27 + 81 + 48 * 6 + 60
    assert {record.prunable for record in records} == {prunable}
    dense = 27 * 36 + 81 * 16 + 48 * 6 + 60
    assert {r.multiply_adds for r in records if r.level == 0} == {dense}
    sparse = next(r for r in records if r.level == 2)
    each = {"0": 36, "1": 16, "3": 1, "5": 1}
    assert sparse.multiply_adds == sum(
        each[layer.name.split(".")[1]] * layer.kept for layer in sparse.layers
    )
    ticket = ticket_of(Run(tmp_path / "own"), level=2, seed=0)
    network = build_ticket(ticket, digits().spec, Normalised).eval()
    network(torch.zeros(1, 1, 8, 8))
    for name, mask in ticket.mask.items():
        layer = network.get_submodule(".".join(name.split(".")[:2]))
        weight = cast(Tensor, layer.weight)
        assert not weight[~mask].any()
        assert weight.isfinite().all()
    rows = ticket.mask["layers.0.parametrizations.weight.original1"].flatten(1).any(1)
    assert not rows.all(), "a row that is pruned as a whole"


def test_every_network_that_is_built_bears_zeros() -> None:
    network = build("m:f", {}, digits().spec, torch.Generator(), Normalised)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert "layers.3.weight_g" in gains(network)
    assert not network(torch.zeros(1, 1, 8, 8)).isnan().any()
