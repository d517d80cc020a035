"""The modules that draw: what they drop, what they keep, and where they stand in for torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.test_noise import N, correlation
from training.dropout import Dropout, DropPath, noise_sites, replace_dropout, set_noise


def test_dropout_scales_what_it_keeps() -> None:
    dropout = Dropout(0.25)
    set_noise(dropout, seed=0, step=0)
    out = dropout(torch.ones(N))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert abs(float((out == 0).double().mean()) - 0.25) < 5 * math.sqrt(0.25 * 0.75 / N)


def test_dropout_does_nothing_in_evaluation_or_at_zero() -> None:
    x = torch.randn(9)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_impossible_probabilities_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"lies in \[0, 1\)"):
        Dropout(p)


@pytest.mark.parametrize(
    ("shared", "drawn"),
    [((), 120), ((0,), 60), ((1,), 40), ((2,), 24), ((3,), 30), ((1, 2, 3), 2), ((2, 3), 6)],
)
def test_one_draw_serves_the_shared_dimensions(shared: tuple[int, ...], drawn: int) -> None:
    dropout = Dropout(0.5, shared)
    x = torch.ones(2, 3, 5, 4)
    for step in range(5):
        set_noise(dropout, seed=1, step=step)
        out = dropout(x)
        first = out
        for d in shared:
            first = first.narrow(d, 0, 1)
        assert first.numel() == drawn
        assert torch.equal(first.expand_as(out), out)


def test_locked_dropout_draws_anew_along_the_other_dimensions() -> None:
    dropout = Dropout(0.5, shared=(0,))
    set_noise(dropout, seed=0, step=0)
    out = dropout(torch.ones(3, 8, 8))[0]
    assert len(out.unique(dim=0)) > 1
    assert len(out.unique(dim=1)) > 1


def test_dropout_keeps_its_type() -> None:
    assert Dropout(0.5)(torch.ones(4, dtype=torch.bfloat16)).dtype == torch.bfloat16


class Shared(nn.Module):
    """One dropout under two names and in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.1)
        self.again = self.drop
        self.layers = nn.Sequential(nn.Linear(2, 2), self.drop, nn.Dropout2d(0.3), nn.Dropout1d())


def test_every_dropout_of_torch_is_replaced() -> None:
    network = replace_dropout(Shared())
    assert not any(isinstance(module, nn.Dropout) for module in network.modules())
    found = {
        name: (module.p, module.shared)
        for name, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, Dropout)
    }
    assert found == {
        "drop": (0.1, ()),
        "again": (0.1, ()),
        "layers.1": (0.1, ()),
        "layers.2": (0.3, (2, 3)),
        "layers.3": (0.5, (2,)),
    }
    assert len(noise_sites(network)) == 5


def test_sites_draw_independently_within_a_network() -> None:
    network = nn.Sequential(Dropout(0.5), Dropout(0.5))
    set_noise(network, seed=0, step=0)
    first, second = (dropout(torch.ones(N)) for dropout in network)
    assert abs(correlation(first, second)) < 5 / math.sqrt(N)


def test_a_network_without_sites_needs_no_noise() -> None:
    set_noise(nn.Linear(2, 2), seed=0, step=0)


def test_drop_path_drops_whole_examples_and_keeps_the_mean() -> None:
    path = DropPath(0.5)
    set_noise(path, seed=0, step=0, progress=0.5)
    out = path(torch.ones(4000, 2, 3, 3)).flatten(1)
    assert sorted(set(out.flatten().tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert bool((out == out[:, :1]).all())
    assert float(out.mean()) == pytest.approx(1.0, abs=0.03)


def test_drop_path_grows_with_progress() -> None:
    path = DropPath(0.5)
    dropped = []
    for progress in (0.0, 0.5, 1.0):
        set_noise(path, seed=0, step=0, progress=progress)
        dropped.append(float((path(torch.ones(4000, 1)) == 0).float().mean()))
    assert dropped == [0.0, pytest.approx(0.25, abs=0.03), pytest.approx(0.5, abs=0.03)]


def test_drop_path_is_the_identity_in_evaluation() -> None:
    path = DropPath(0.9).eval()
    set_noise(path, seed=0, step=0, progress=1.0)
    assert bool((path(torch.ones(100, 1)) == 1).all())


def test_drop_path_refuses_a_certain_drop() -> None:
    with pytest.raises(ValueError, match="lies in"):
        DropPath(1.0)
