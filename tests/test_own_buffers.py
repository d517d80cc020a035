"""Buffers of networks of one's own: assigned anew, random, counted in; each replicate has its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lottery.session import new_network
from nas.catalog.outside_networks import Factory
from tests.own_runs import OWN, Classifier, carried_out, in_pieces, own_session, refusal, results
from tests.tiny_runs import digits
from training.batching import Batching
from training.checkpoints import tensors_from_bytes
from training.configs import OptimizerConfig
from training.specs import Spec


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


class Centred(Classifier):
    """A buffer that evaluation writes, anew, and training reads."""

    mean: Tensor

    def prepare(self) -> None:
        """Of what was evaluated."""
        self.register_buffer("mean", torch.zeros(64))

    def change(self, x: Tensor) -> Tensor:
        """Subtract it."""
        if not self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return x - self.mean


@pytest.mark.parametrize("batching", ["looped", "stacked"])
def test_steps_that_are_replayed_see_a_buffer_that_evaluation_writes(
    batching: Batching, tmp_path: Path
) -> None:
    at_once = carried_out(Centred, tmp_path / "one" / "own", batching=batching)
    # What goes on is captured anew.
    parts = in_pieces(Centred, tmp_path / "other" / "own", every=7, batching=batching)
    assert results(parts) == results(at_once)


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
            made = new_network(own_session(Features), seed).get_buffer("directions")
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


class InTwoPlaces(Classifier):
    """A buffer that stands in a layer too, and is assigned anew in one of both places."""

    mean: Tensor
    anew = "mean"

    def prepare(self) -> None:
        """One tensor."""
        self.register_buffer("mean", torch.zeros(64))
        self.also = nn.Module()
        self.also.register_buffer("mean", self.mean)

    def change(self, x: Tensor) -> Tensor:
        """Subtract it."""
        if self.training:
            path, _, own = self.anew.rpartition(".")
            setattr(self.get_submodule(path), own, x.detach().mean(0))
        return x - self.get_buffer("also.mean")


class InTheOther(InTwoPlaces):
    """In the layer."""

    anew = "also.mean"


@pytest.mark.parametrize("batching", ["looped", "stacked"])
@pytest.mark.parametrize("factory", [InTwoPlaces, InTheOther])
def test_a_buffer_in_two_places_can_not_be_assigned_anew(
    factory: type[InTwoPlaces], batching: Batching
) -> None:
    assert refusal(factory, batching=batching) == (
        f"The network's forward assigns its {factory.anew} anew; only buffers may change there, each in one place."
    )
