"""What a network holds besides parameters and buffers: found wherever it stands, and seen by the replayed step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import training.differentiation
from nas.catalog.building import build
from tests import counting_networks
from tests.counting_networks import BESIDE, COUNTS, Counting
from tests.tiny_tasks import IMAGES, config, image_task, trained
from training.attributes import attributes
from training.noise import generator
from training.replay import NO_REPLAY, REPLAY, Replayed, ReplayPolicy
from training.replicates import Replicates


@pytest.fixture(autouse=True)
def _from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "everywhere", [0])
    monkeypatch.setattr(counting_networks, "in_this_file", 0)


def what_changed(network: nn.Module, by: Callable[[], object]) -> list[str]:
    """Where something is other than before."""

    def seen() -> dict[str, Any]:
        held = attributes(network)
        return {k: v.tolist() if isinstance(v, Tensor) else v for k, v in held.items()}

    before = seen()
    by()
    after = seen()
    return [path for path, leaf in before.items() if after[path] != leaf]


@pytest.mark.parametrize(("made", "step", "path"), COUNTS)
def test_a_count_is_found_in_every_kind_of_object(
    made: Callable[[], Any], step: Callable[[Any], int], path: str
) -> None:
    network = Counting(made(), step)
    assert what_changed(network, lambda: network(torch.zeros(1, 64)))[0] == path
    within = nn.Sequential(nn.Sequential(Counting(made(), step)))
    found = what_changed(within, lambda: within(torch.zeros(1, 64)))[0]
    assert found == (f"len(0.0.{path[4:]}" if path.startswith("len(") else f"0.0.{path}")


def test_each_of_many_is_found_though_it_is_gone_when_the_next_is_looked_at() -> None:
    network = nn.Module()
    vars(network)["pools"] = [functools.partial(F.max_pool2d, kernel_size=n) for n in range(200)]
    found = attributes(network)
    assert [found[f"pools[{n}][2]['kernel_size']"] for n in range(200)] == [*map(str, range(200))]
    searched = build("enas-micro", {"channels": 2}, IMAGES, generator(0, "initial weights"))
    assert [attributes(searched).keys() for _ in range(5)] == [attributes(searched).keys()] * 5


@pytest.mark.parametrize(("step", "path"), BESIDE)
def test_a_count_beside_what_a_network_names_is_found(
    step: Callable[[Any], int], path: str
) -> None:
    network = Counting(None, step)
    assert path in what_changed(network, lambda: network(torch.zeros(1, 64)))


head = [0]


class Named(nn.Module):
    """Has attributes that are called as what stands in its file, or in a library."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.calls = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits, through a library's functions."""
        with torch.no_grad():
            shape = np.asarray(x.shape)
        logits: Tensor = F.relu(self.calls(self.head(x.view(*shape))))
        return logits


def test_an_attribute_is_no_global_and_libraries_are_not_looked_into() -> None:
    network = Named()
    assert what_changed(network, lambda: head.__setitem__(0, head[0] + 1)) == []
    assert not [path for path in attributes(network) if path.startswith("forward")]


def test_parameters_buffers_and_modules_are_left_out() -> None:
    network = nn.Sequential(nn.GRU(2, 3, 2), nn.BatchNorm1d(3), nn.Linear(3, 3))
    held = attributes(network)
    assert not [path for path, leaf in held.items() if isinstance(leaf, Tensor)]
    assert held["1.eps"] == "1e-05"
    # By another name they are still registered.
    vars(network[2])["also"] = [network[2].weight, network[1]]
    assert attributes(network).keys() - held.keys() == {"len(2.also)"}


def test_a_module_that_is_not_registered_is_looked_into() -> None:
    network = nn.Sequential(nn.Linear(1, 1))
    vars(network[0])["layers"] = [nn.Sequential(nn.BatchNorm1d(2))]
    tensors = {path for path, leaf in attributes(network).items() if isinstance(leaf, Tensor)}
    inside = "0.layers[0].0"
    assert tensors == {
        f"{inside}.{name}"
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }


def test_objects_that_hold_each_other() -> None:
    network = nn.Sequential(nn.ReLU())
    ring: list[Any] = [1]
    ring.append(ring)
    vars(network[0]).update(ring=ring, back=network)
    assert attributes(network)["0.ring[0]"] == "1"


@pytest.mark.parametrize(("made", "step", "path"), COUNTS[:13])
def test_a_branch_that_switches_on_later_is_taken_by_the_replayed_step(
    made: Callable[[], Any],
    step: Callable[[Any], int],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two steps are alike, and at the sixth call another branch is taken: replayed, it would never be."""

    def weights(policy: ReplayPolicy = REPLAY) -> Tensor:
        Counting.everywhere[0] = counting_networks.in_this_file = 0
        network = Counting(made(), step, late=5, classes=3)
        nn.init.constant_(network.last.weight, 0.01)
        nn.init.zeros_(network.last.bias)
        replicates = Replicates([network], [0], "looped")
        # One look, at the end.
        trained(replicates, image_task(), config(12, 12), replay=policy)
        return replicates.weights()["last.weight"].detach().clone()

    seen = weights()
    assert torch.equal(seen, weights(NO_REPLAY))
    monkeypatch.setattr(
        training.differentiation,
        "Replayed",
        lambda function, state, *others: Replayed(function, int, *others),
    )
    # Where no count is looked at, the branch is missed; what reads a tensor is never replayed.
    assert torch.equal(seen, weights()) == isinstance(made(), Tensor)
