"""Units by hand: which weights go together, exact counts, and that nothing of a pruned unit arrives anywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery.checks import check, check_names
from lottery.experiments import NetworkConfig
from lottery.levels import read_masks
from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Group
from lottery.pruning.masks import Mask, dense_mask
from lottery.pruning.prunable import prunable_names
from lottery.pruning.unit_tracing import trace_units
from lottery.pruning.units import (
    Units,
    check_counts,
    select_units,
    unit_mask,
    unit_scores,
    weight_mask,
)
from lottery.runs import Run
from lottery.session import Session
from lottery.ticket_files import read_tickets
from nas.catalog.building import build
from tests.tiny_runs import TINY, TINY_TEXT, carry_out, digits, session, text
from training.errors import LotteryError
from training.seeded_draws import default_generator_seeded

UNITS = dataclasses.replace(TINY, pruning=PruningConfig(rate=0.5, structure="units"), levels=1)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))


class Block(nn.Module):
    """A stem and a residual branch behind it, of which the channels are added; then the half of them, flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.narrow = nn.Conv2d(4, 2, 1)
        self.deep = nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.wide = nn.Conv2d(2, 4, 1)
        self.last = nn.Linear(4 * 4 + 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The logits `[B, 2]`."""
        x = self.norm(self.stem(x))
        x = (x + self.wide(self.deep(self.narrow(x)).relu())).relu()
        x = F.max_pool2d(x, 2)
        # A pixel of the input beside them, which is no unit's.
        logits: Tensor = self.last(torch.cat([x.flatten(1), x.new_ones(len(x), 1)], 1))
        return logits


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    with default_generator_seeded(0):
        return make().eval()


def traced(network: nn.Module, example: Tensor) -> tuple[Units, Mask]:
    names = prunable_names(network, embeddings=False)
    weights = dict(network.named_parameters())
    return trace_units(network, lambda one: one(example), names), dense_mask(
        {name: weights[name] for name in names}
    )


def test_a_perceptron_by_hand() -> None:
    units, mask = traced(perceptron(), torch.ones(1, 2))
    assert units.shapes == {"0.weight": (3,), "2.weight": (2,)}
    assert units.makes["0.weight"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert units.reads["2.weight"].tolist() == [[0, 1, 2], [0, 1, 2]]
    # Inputs and logits are no units.
    assert units.reads["0.weight"].unique().tolist() == [-1]
    assert units.makes["4.weight"].unique().tolist() == [-1]
    scores = {
        "0.weight": torch.tensor([[1.0, 3.0], [0.0, 1.0], [2.0, 2.5]]),
        "2.weight": torch.tensor([[9.0, 9.0, 0.0], [1.0, 1.0, 1.0]]),
        "4.weight": torch.zeros(2, 2),
    }
    means = unit_scores(units, scores, mask)
    assert means["0.weight"].tolist() == [2.0, 0.5, 2.25]
    assert means["2.weight"].tolist() == [6.0, 1.0]
    # Of five units the three best stay.
    together = [Group(names=("0.weight", "2.weight"), keep=3, is_pruned=True)]
    found = select_units(units, scores, mask, together)
    assert {n: m.tolist() for n, m in unit_mask(units, found).items()} == {
        "0.weight": [True, False, True],
        "2.weight": [True, False],
    }
    assert found["0.weight"].tolist() == [[True, True], [False, False], [True, True]]
    assert found["2.weight"].tolist() == [[True, False, True], [False, False, False]]
    assert found["4.weight"].tolist() == [[True, False], [True, False]]
    # Weights that went with their reader no longer count, and none comes back.
    later = select_units(
        units, scores, found, [Group(names=("0.weight", "2.weight"), keep=2, is_pruned=True)]
    )
    # The best of each layer stays, though the first layer's are both better than nothing.
    assert unit_mask(units, later)["0.weight"].tolist() == [False, False, True]
    assert all(bool((found[n] | ~later[n]).all()) for n in found)
    assert unit_scores(units, scores, found)["2.weight"][0] == 4.5


def test_channels_that_are_added_are_one_unit() -> None:
    units, _ = traced(drawn(Block), torch.ones(1, 1, 4, 4))
    assert units.shapes == {"stem.weight": (4,), "narrow.weight": (2,)}
    assert units.kinds.convolutions == {"stem.weight", "narrow.weight"}
    stem = units.layers["stem.weight"].tolist()
    for name in ("stem.weight", "wide.weight"):
        assert units.makes[name][:, 0, 0, 0].tolist() == stem
    assert units.follows["norm.weight"].tolist() == stem
    # A depthwise kernel turns a channel into itself.
    assert units.makes["deep.weight"][:, 0, 0, 0].tolist() == units.layers["narrow.weight"].tolist()
    # Four pixels of each channel are flattened.
    columns = [number for number in stem for _ in range(4)]
    assert units.reads["last.weight"].tolist() == [[*columns, -1]] * 2


@given(st.integers(0, 2**6 - 1), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_nothing_of_a_pruned_unit_arrives(bits: int, seed: int) -> None:
    network, images = drawn(Block), torch.ones(3, 1, 4, 4)
    units, whole = traced(network, images[:1])
    images = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    kept = torch.tensor([bool(bits >> n & 1) for n in range(6)])
    mask = weight_mask(units, {n: kept[of] for n, of in units.layers.items()}, whole)
    _disturb(network, units, mask, kept, seed, images)


def _disturb(
    network: nn.Module, units: Units, mask: Mask, kept: Tensor, seed: int, images: Tensor
) -> None:
    """Give what makes and follows a pruned unit any values, and see that the output is the same."""
    source, stays = torch.Generator().manual_seed(seed), torch.cat([kept, torch.tensor([True])])
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    with torch.no_grad():
        for name, one in mask.items():
            tensors[name].mul_(one)
        expected = network(images)
        for name, numbers in ({**units.makes, **units.follows}).items():
            gone = ~stays[numbers]
            tensors[name][gone] = 0.1 + torch.rand(int(gone.sum()), generator=source)
        assert torch.equal(network(images), expected)


@pytest.mark.parametrize(
    ("name", "size"), [("resnet", {"depth": 8, "width": 4}), ("enas-micro", {"channels": 2})]
)
def test_nor_in_a_residual_or_a_searched_network(name: str, size: dict[str, int]) -> None:
    network = build(name, size, digits().spec, torch.Generator()).eval()
    names, weights = prunable_names(network, embeddings=False), dict(network.named_parameters())
    units = trace_units(network, digits().run_example, names)
    source = torch.Generator().manual_seed(0)
    kept = torch.rand(units.count, generator=source) < 0.7
    whole = dense_mask({n: weights[n] for n in names})
    mask = weight_mask(units, {n: kept[of] for n, of in units.layers.items()}, whole)
    # Most kernels are units' own.
    assert sum(int((units.makes[n] >= 0).sum()) for n in names) > 0.9 * sum(
        weights[n].numel() for n in names
    )
    images = torch.randn(2, 1, 8, 8, generator=source)
    _disturb(network, units, mask, kept, 0, images)


class Mixing(nn.Module):
    """Normalises over its channels, so that none of them can go; those behind it can."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(2, 3), nn.LayerNorm(3)
        self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The logits `[B, 2]`."""
        logits: Tensor = self.last(self.second(self.norm(self.first(x))).relu())
        return logits


def test_what_is_mixed_stays_whole() -> None:
    units, _ = traced(Mixing(), torch.ones(1, 2))
    assert units.shapes == {"second.weight": (4,)}
    none, _ = traced(nn.Sequential(nn.Linear(2, 3), nn.Softmax(1)), torch.ones(1, 2))
    assert none.layers == {}


def test_a_run_keeps_an_exact_number_of_units(tmp_path: Path) -> None:
    arms = ("reinitialised", "random-mask", "shuffled-mask")
    experiment = dataclasses.replace(UNITS, arms=arms, levels=2)
    records = carry_out(experiment, tmp_path / "tiny")
    one = session(experiment, tmp_path / "tiny")
    assert one.units is not None
    # 14, 7 and 3.5 units.
    for level, count in ((1, 7), (2, 4)):
        for ticket in read_tickets(experiment, Run(tmp_path / "tiny"), level):
            kept = unit_mask(one.units, ticket.mask)
            assert sum(int(m.sum()) for m in kept.values()) == count
            a, b = (int(m.sum()) for m in kept.values())
            found = [r for r in records if r.level == level and r.seed == ticket.id.seed]
            assert {r.kept for r in found if r.arm in ("ticket", "reinitialised")} == {
                64 * a + a * b + b * 10
            }
            assert len(found) == 4
        # Controls lose whole units too, as many of each layer, or in all.
        for replicate, mask in read_masks(Run(tmp_path / "tiny").level(level)).items():
            kept = unit_mask(one.units, mask)
            again = weight_mask(one.units, kept, mask)
            assert all(torch.equal(again[name], m) for name, m in mask.items()), replicate


def refused(experiment: Session, problem: str) -> None:
    with pytest.raises(LotteryError, match=problem):
        check(experiment)


def test_what_cannot_be_structured_is_refused() -> None:
    pruning = dataclasses.replace(TINY_TEXT.pruning, structure="units")
    words = dataclasses.replace(TINY_TEXT, pruning=pruning)
    refused(session(words, task=text()), "awd-lstm is for text; use pruning.structure = weights")
    own = dataclasses.replace(UNITS, network=NetworkConfig(name="own:linear"))
    one = session(own, factory=lambda spec: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    refused(one, "no channels or neurons of own:linear that could go")
    deep = dataclasses.replace(UNITS, levels=5)
    refused(session(deep), "keep 1 units of 2 layers, layers.0.weight the first")
    for changes, problem in (
        ({"scope": "erk"}, "pruning.scope = erk .* one of global, layerwise, uniform"),
        ({"scope": "layerwise", "output_rate": 0.1}, "pruning.output_rate = 0.1"),
        ({"embeddings": True}, "pruning.embeddings = True"),
    ):
        odd = dataclasses.replace(UNITS, pruning=dataclasses.replace(UNITS.pruning, **changes))
        with pytest.raises(LotteryError, match=problem):
            check_names(odd)
    check_counts([Group(names=("a", "b"), keep=2, is_pruned=True)])
