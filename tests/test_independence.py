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

from lottery.cycle import check, new_network
from nas.outside_networks import Factory
from tests import counting_networks
from tests.counting_networks import COUNTS, Counting
from tests.own_runs import OWN, carried_out, in_pieces, refusal, results, setting
from tests.tiny_runs import digits
from training.checkpoints import tensors_from_bytes
from training.configs import OptimizerConfig
from training.replicates import Batching
from training.specs import Spec


class Classifier(nn.Module):
    """A linear layer on what a method makes of images `[B, 64]`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.prepare()

    def prepare(self) -> None:
        """Whatever else it holds."""

    def change(self, x: Tensor) -> Tensor:
        """What is done before the linear layer."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last(self.change(x.flatten(1)))
        return logits


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
    check(OWN, setting(Watched))


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


# Buffers


class OwnNorm(nn.Module):
    """Batch normalisation as many write it: its statistics are assigned anew."""

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """By the batch while it trains, else by what was seen."""
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = x.mean(0), x.var(0, correction=0)
            unbiased = variance.detach() * len(x) / (len(x) - 1)
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
            self.variance = 0.9 * self.variance + 0.1 * unbiased
        return (x - mean) / (variance + 1e-5).sqrt() * self.weight + self.bias


def normalised(norm: Callable[[int], nn.Module]) -> Factory:
    def make(spec: Spec) -> nn.Module:
        last = nn.Linear(9, 10)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), norm(9), nn.ReLU(), last)

    return make


@pytest.mark.parametrize("batching", ["looped", "stacked"])
def test_buffers_that_are_assigned_anew_are_kept(batching: Batching, tmp_path: Path) -> None:
    """As torch's own, which changes them in place."""
    held = {}
    descent = OptimizerConfig(name="sgd", learning_rate=0.1)
    experiment = dataclasses.replace(
        OWN, training=dataclasses.replace(OWN.training, optimizer=descent)
    )
    for name, norm in (("own", OwnNorm), ("torch", nn.BatchNorm1d)):
        run = carried_out(normalised(norm), tmp_path / name, experiment, batching=batching)
        data = run["level-01/weights.safetensors"]
        held[name] = tensors_from_bytes(data, tmp_path)[0]
    assert held["own"]["2.mean"].abs().min() > 0
    for ours, theirs in (("mean", "running_mean"), ("variance", "running_var")):
        torch.testing.assert_close(
            held["own"][f"2.{ours}"], held["torch"][f"2.{theirs}"], rtol=1e-3, atol=1e-4
        )
    torch.testing.assert_close(
        held["own"]["4.weight"], held["torch"]["4.weight"], rtol=1e-2, atol=1e-3
    )


class ReadBefore(Classifier):
    """The backward pass needs the value of a buffer before it was assigned anew."""

    scale: Tensor

    def prepare(self) -> None:
        """By how much."""
        self.register_buffer("scale", torch.ones(64))
        self.first = nn.Linear(64, 64)

    def change(self, x: Tensor) -> Tensor:
        """Scale by what was, and grow."""
        x = self.first(x) * self.scale
        if self.training:
            self.scale = self.scale * 1.01
        return x


def test_the_backward_pass_has_the_buffer_before(tmp_path: Path) -> None:
    files = carried_out(ReadBefore, tmp_path / "own")
    finals = tensors_from_bytes(files["level-00/weights.safetensors"], tmp_path)[0]
    torch.testing.assert_close(finals["scale"], torch.full((2, 64), 1.01**20))


class Written(Classifier):
    """A buffer that training only writes and evaluation only reads."""

    last_mean: Tensor

    def prepare(self) -> None:
        """Not part of a state dict, as it is not kept."""
        self.register_buffer("last_mean", torch.zeros(64), persistent=False)

    def change(self, x: Tensor) -> Tensor:
        """Subtract the last batch's mean, not this one's."""
        if self.training:
            self.last_mean = x.detach().mean(0)
            return x
        return x - self.last_mean


def test_a_buffer_that_training_only_writes_is_of_the_last_step(tmp_path: Path) -> None:
    files = carried_out(Written, tmp_path / "own")
    finals = tensors_from_bytes(files["level-00/weights.safetensors"], tmp_path)[0]
    images = digits().batches([0, 1])(19)[0]
    torch.testing.assert_close(finals["last_mean"], images.flatten(2).mean(1))


class Features(Classifier):
    """Random features in a buffer that is not persistent."""

    directions: Tensor

    def prepare(self) -> None:
        """Drawn once."""
        self.register_buffer("directions", torch.randn(64, 64) / 8, persistent=False)

    def change(self, x: Tensor) -> Tensor:
        """Cosines of projections."""
        return (x @ self.directions).cos()


def test_each_replicate_has_its_own_random_buffers(tmp_path: Path) -> None:
    files = carried_out(Features, tmp_path / "own")
    for level, arms in ((0, 1), (1, 2)):
        data = files[f"level-0{level}/weights.safetensors"]
        finals = tensors_from_bytes(data, tmp_path)[0]["directions"]
        for seed in (0, 1):
            made = new_network(OWN, setting(Features), seed).get_buffer("directions")
            assert torch.equal(finals[seed], made)
        # New weights come with new features.
        assert len({tuple(row.flatten().tolist()) for row in finals}) == 2 * arms


class Growing(Classifier):
    """A buffer that is as long as its batch."""

    rows: Tensor

    def prepare(self) -> None:
        """None yet."""
        self.register_buffer("rows", torch.zeros(1))

    def change(self, x: Tensor) -> Tensor:
        """Keep the rows' means."""
        self.rows = x.detach().mean(1)
        return x


class Unmade(Growing):
    """The same without a value to begin with."""

    def prepare(self) -> None:
        """None yet."""
        self.register_buffer("rows", None)


def test_buffers_without_a_fixed_shape() -> None:
    assert "makes its buffer rows torch.float32 [50], which was torch.float32 [1]" in refusal(
        Growing
    )
    assert "makes its buffer rows only while it runs; give it its shape" in refusal(Unmade)


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
        dataclasses.replace(OWN, seeds=(0,), arms=("random-mask",)), setting(seeds_itself_in_secret)
    )
