"""Networks of one's own: a replicate is the same alone, beside others and after a resume, or it is refused."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lottery.checks import check
from lottery.independence import _differs, _Seen
from nas.catalog.outside_networks import Factory
from tests import counting_networks
from tests.counting_networks import BESIDE, COUNTS, Counting
from tests.own_runs import (
    OWN,
    OWN_TEXT,
    Classifier,
    carried_out,
    in_pieces,
    own_session,
    refusal,
    results,
)
from tests.test_global_draws import TwoLayers
from tests.tiny_runs import text
from training.batching import Batching
from training.checkpoints import tensors_from_bytes
from training.specs import Spec

# State that is neither parameter nor buffer


class PlainStatistics(Classifier):
    """The mean that it subtracts is a plain tensor."""

    def prepare(self) -> None:
        """The mean of what was seen."""
        self.mean = torch.zeros(64)

    def change(self, x: Tensor) -> Tensor:
        """Subtract it."""
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


class LateStatistics(Classifier):
    """The same, but there is none before the first batch."""

    def prepare(self) -> None:
        """None yet."""
        self.mean: Tensor | None = None

    def change(self, x: Tensor) -> Tensor:
        """Subtract it."""
        if self.training:
            mean = x.detach().mean(0)
            self.mean = mean if self.mean is None else 0.9 * self.mean + 0.1 * mean
        return x if self.mean is None else x - self.mean


class PlainNoise(Classifier):
    """What it adds is drawn in the constructor and kept as a plain tensor."""

    def prepare(self) -> None:
        """Drawn once."""
        self.offsets = {"all": [torch.randn(64)]}

    def change(self, x: Tensor) -> Tensor:
        """Add it."""
        return x + self.offsets["all"][0]


class HiddenLayer(Classifier):
    """A layer in a plain list: neither trained nor kept."""

    def prepare(self) -> None:
        """Not registered."""
        self.layers = [nn.Linear(64, 64)]

    def change(self, x: Tensor) -> Tensor:
        """Through it."""
        hidden: Tensor = self.layers[0](x)
        return hidden


class PlainNumber(Classifier):
    """A number that is drawn in the constructor."""

    def prepare(self) -> None:
        """Drawn once."""
        self.temperature = float(torch.rand(()))

    def change(self, x: Tensor) -> Tensor:
        """Scale by it."""
        return x * self.temperature


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (PlainStatistics, "changes its mean while it runs, which is neither parameter nor buffer"),
        (LateStatistics, "does not follow from its parameters, buffers and seed alone"),
        (PlainNoise, "has another offsets['all'][0] with each seed"),
        (HiddenLayer, "has another layers[0].weight with each seed"),
        (PlainNumber, "has another temperature with each seed"),
    ],
)
def test_what_is_neither_parameter_nor_buffer(factory: Factory, told: str) -> None:
    message = refusal(factory)
    assert message.startswith("m:f ")
    assert told in message
    assert "register_buffer" in message


@pytest.mark.parametrize(("made", "step", "path"), COUNTS)
def test_a_count_that_replicates_would_share(
    made: Callable[[], Any],
    step: Callable[[Any], int],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Counting, "everywhere", [0])
    monkeypatch.setattr(counting_networks, "in_this_file", 0)
    assert f"m:f changes its {path} while it runs" in refusal(lambda spec: Counting(made(), step))


@pytest.mark.parametrize("step", [step for step, _ in BESIDE])
def test_a_count_beside_what_a_network_names(step: Callable[[Any], int]) -> None:
    told = refusal(lambda spec: Counting(None, step))
    assert "step." in told
    assert told.endswith("keep it in a buffer (register_buffer), or leave it as it is.")


class Watched(Classifier):
    """What it keeps is for whoever looks: nothing follows from it."""

    def prepare(self) -> None:
        """Nothing yet, and a number that tells instances apart."""
        self.seen: Tensor | None = None
        self.shape: tuple[int, ...] | None = None
        self.outputs: list[Tensor] = []
        self.number = next(INSTANCES)

    def change(self, x: Tensor) -> Tensor:
        """Keep the last input."""
        self.seen, self.shape, self.outputs = x, tuple(x.shape[1:]), [x]
        return x


INSTANCES = itertools.count()


def test_what_is_kept_to_be_looked_at_is_accepted() -> None:
    check(own_session(Watched))


class Counted(Classifier):
    """A count in a buffer, from which a branch follows."""

    calls: Tensor

    def prepare(self) -> None:
        """None yet."""
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def change(self, x: Tensor) -> Tensor:
        """Twice as much after some steps."""
        if self.training:
            self.calls += 1
        return 2 * x if int(self.calls) > 7 else x


def test_a_count_in_a_buffer_is_each_replicates_own(tmp_path: Path) -> None:
    """Alone, beside another and resumed every few steps: the same files."""
    both = carried_out(Counted, tmp_path / "a" / "own")
    finals = tensors_from_bytes(both["level-00/weights.safetensors"], tmp_path)[0]
    assert finals["calls"].tolist() == [20, 20]
    pieces = in_pieces(Counted, tmp_path / "b" / "own", every=7)
    assert results(pieces) == results(both)
    alone = carried_out(Counted, tmp_path / "c" / "own", at_once=1)
    assert results(alone) == results(both)


class Normed(Classifier):
    """A recurrent layer that remembers weights which are computed from others."""

    def prepare(self) -> None:
        """Over the rows of an image."""
        self.core = weight_norm(nn.GRU(8, 8, batch_first=True), "weight_hh_l0")

    def change(self, x: Tensor) -> Tensor:
        """All its outputs."""
        out: Tensor = self.core(x.view(-1, 8, 8))[0].flatten(1)
        return out


def test_recurrent_layers_may_have_computed_weights() -> None:
    check(own_session(Normed))


# Seeds


def seeds_itself(spec: Spec) -> nn.Module:
    torch.manual_seed(3)
    return Classifier(spec)


def seeds_itself_in_secret(spec: Spec) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Classifier(spec)


@pytest.mark.parametrize("seeds", [(0, 1), (0,)])
def test_a_constructor_that_seeds_the_generator(seeds: tuple[int, ...]) -> None:
    experiment = dataclasses.replace(OWN, seeds=seeds)
    told = refusal(seeds_itself, experiment)
    assert told.startswith("m:f seeds torch's generator itself, so that every seed")
    assert "starts from the same weights with every seed" in refusal(
        seeds_itself_in_secret, experiment
    )


def test_one_start_will_do_for_one_seed_without_new_weights() -> None:
    check(
        own_session(
            seeds_itself_in_secret, dataclasses.replace(OWN, seeds=(0,), arms=("random-mask",))
        )
    )


# States of text


class LearnedState(TwoLayers):
    """Begins with a state that is learned."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.h0 = nn.Parameter(torch.zeros(2, 1, 6))

    def initial_state(self, batch: int) -> tuple[Tensor]:
        """As every column has it."""
        return (self.h0.expand(2, batch, 6),)


class NoZeros(TwoLayers):
    """Begins with ones."""

    def initial_state(self, batch: int) -> Any:
        """In a tuple of tuples too."""
        return ((torch.ones(2, batch, 6),),)


@pytest.mark.parametrize(
    ("factory", "told"), [(LearnedState, "is trained"), (NoZeros, "is not all zeros")]
)
@pytest.mark.parametrize("batching", ["looped", "stacked"])
def test_a_first_state_that_is_not_zeros(factory: Factory, told: str, batching: Batching) -> None:
    assert refusal(factory, OWN_TEXT, task=text(), batching=batching).endswith(
        f"{factory.__name__}.initial_state gives a state that {told}, and replicates would share it; return zeros, "
        "and let forward add what shall be learned, for instance where the state is 0."
    )


SEEN = _Seen(torch.ones(()), torch.ones(4), {"w": torch.ones(3)}, {"b": torch.ones(2)})


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        (lambda by: {"loss": SEEN.loss + by}, (1.0, float("nan"), float("inf"))),
        (
            lambda by: {"evaluated": SEEN.evaluated + torch.tensor([0.0, 0.0, 0.0, by])},
            (1.0, float("nan"), float("inf")),
        ),
        (lambda by: {"buffers": {"b": SEEN.buffers["b"] + torch.tensor([by, 0.0])}}, (1.0,)),
        (lambda by: {"moved": {"w": SEEN.moved["w"] - by}}, (1.0,)),
    ],
    ids=["loss", "evaluated", "buffers", "moved"],
)
def test_what_differs_in_one_place_is_told_from_rounding(
    other: Callable[[float], dict[str, Any]], apart: tuple[float, ...]
) -> None:
    assert not _differs([[SEEN, SEEN]], [[SEEN, SEEN]])
    assert not _differs([[dataclasses.replace(SEEN, **other(1e-4))]], [[SEEN]])
    for by in apart:
        far = dataclasses.replace(SEEN, **other(by))
        for one, another in ((SEEN, far), (far, SEEN)):
            assert _differs([[SEEN, one], [SEEN, SEEN]], [[SEEN, another], [SEEN, SEEN]])
