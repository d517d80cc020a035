"""The door: every name builds, repeats, and counts as published."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nas.catalog import NETWORKS
from nas.language_model import LanguageModel
from nas.networks import BUILDERS, build
from nas.recurrent_cells import State
from nas.resnet import Block
from training.errors import LotteryError
from training.noise import Dropout, noise_sites
from training.replicates import Replicates
from training.specs import ImageSpec, Spec, TextSpec

IMAGES = ImageSpec(channels=3, height=8, width=8, classes=5)
TEXT = TextSpec(vocabulary=13)
SMALL: dict[str, dict[str, object]] = {
    "enas-micro": {"channels": 2, "normal_cells": 1, "reductions": 1},
    "lenet-300-100": {"widths": [6, 4]},
    "resnet": {"depth": 8, "width": 2},
    "enas-rnn": {"hidden": 4},
    "enas-lm": {"hidden": 4},
    "awd-lstm": {"embedding": 4, "hidden": 5, "layers": 2},
    "lstm": {"embedding": 4, "hidden": 5, "layers": 2},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(name: str, seed: int = 0) -> nn.Module:
    return build(name, SMALL[name], spec_of(name), generator(seed))


def spec_of(name: str) -> Spec:
    return IMAGES if NETWORKS[name].task == "images" else TEXT


def initial_state(network: nn.Module, batch: int) -> State:
    assert isinstance(network, LanguageModel)
    return network.initial_state(batch)


def count(name: str, spec: Spec) -> int:
    return sum(p.numel() for p in build(name, {}, spec, generator()).parameters())


def test_every_name_has_a_builder() -> None:
    assert BUILDERS.keys() == NETWORKS.keys() == SMALL.keys()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_same_generator_seed_same_weights_and_global_generator_untouched(name: str) -> None:
    before = torch.get_rng_state()
    one, again, other = small(name, 1), small(name, 1), small(name, 2)
    assert torch.equal(torch.get_rng_state(), before)
    for (key, a), b in zip(one.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_the_generator_is_advanced() -> None:
    shared = generator()
    first, second = (build("resnet", SMALL["resnet"], IMAGES, shared) for _ in range(2))
    a, b = next(first.parameters()), next(second.parameters())
    assert not torch.equal(a, b)


@pytest.mark.parametrize("name", sorted(SMALL))
@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_every_network_trains_as_replicates(name: str, batching: str) -> None:
    networks = [small(name, seed) for seed in range(2)]
    replicates = Replicates(networks, [0, 1], "stacked" if batching == "stacked" else "looped")
    replicates.advance(torch.tensor(3, dtype=torch.int32))
    if spec_of(name) == IMAGES:
        logits = replicates(lambda network, x: network(x), torch.randn(2, 4, 3, 8, 8))
        assert logits.shape == (2, 4, 5)
    else:
        state = tuple(s.expand(2, *s.shape) for s in initial_state(replicates.network, 3))
        tokens = torch.randint(13, (2, 6, 3))
        logits, _ = replicates(lambda network, x, s: network(x, s), tokens, state)
        assert logits.shape == (2, 6, 3, 13)
    logits.square().sum().backward()
    for key, parameter in replicates.weights().items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_published_sizes() -> None:
    mnist = ImageSpec(channels=1, height=28, width=28, classes=10)
    cifar = ImageSpec(channels=3, height=32, width=32, classes=10)
    words = TextSpec(vocabulary=10_000)
    # 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10
    assert count("lenet-300-100", mnist) == 266_610
    # He et al. 2016 give 0.27 M; with 1x1 convolutions as shortcuts.
    assert count("resnet", cifar) == 272_474
    # 4 H^2 for the first transform, 2 H^2 for each of 11 nodes, embedding and our decoder's bias.
    assert count("enas-rnn", words) == 26 * 748**2 + 10_000 * 748 + 10_000
    assert count("enas-lm", words) == 20 * 800**2 + 10_000 * 800 + 10_000
    # Without layer_base (a C x C convolution and its norm in each of 5 + 6 + 6 cells) 3.73 M.
    base = sum(n * (c**2 + 2 * c) for n, c in ((5, 36), (6, 72), (6, 144)))
    assert math.isclose(count("enas-micro", cifar) - base, 3.73e6, rel_tol=1e-3)


def test_initial_weights_of_lenet_are_glorot() -> None:
    network = build("lenet-300-100", {"widths": [400]}, IMAGES, generator())
    weight, bias = list(network.parameters())[:2]
    # Variance 2 / (inputs + outputs).
    deviation = math.sqrt(2 / (192 + 400))
    assert math.isclose(weight.std().item(), deviation, rel_tol=0.02)
    # A uniform distribution of that variance ends at sqrt(3) deviations.
    assert weight.abs().max() > 3 * deviation
    assert not bias.any()


def test_resnet_depths() -> None:
    network = build("resnet", {"depth": 14, "width": 4}, IMAGES, generator())
    # Two convolutions in each of 3 x 2 blocks, the stem, and two shortcuts; with the classifier 14.
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 12 + 1 + 2
    seen: list[torch.Size] = []
    for module in network.modules():
        if isinstance(module, Block):
            module.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert seen == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 2 + [(2, 16, 2, 2)] * 2
    for depth in (18, 2, 1):
        with pytest.raises(LotteryError, match="must be 6n \\+ 2"):
            build("resnet", {"depth": depth}, IMAGES, generator())


def test_the_plain_lstm_draws_nothing() -> None:
    network = small("lstm")
    tokens, state = torch.randint(13, (4, 2)), initial_state(network, 2)
    training = network(tokens, state)[0]
    assert torch.equal(training, network.eval()(tokens, state)[0])
    assert noise_sites(small("awd-lstm"))


def test_torch_dropouts_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_dropout(spec: ImageSpec, *, widths: list[int]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(192, widths[0]))

    monkeypatch.setitem(BUILDERS, "lenet-300-100", with_dropout)
    replaced = [m for m in small("lenet-300-100").modules() if isinstance(m, Dropout)]
    assert [dropout.p for dropout in replaced] == [0.3]


def test_the_wrong_task_is_refused() -> None:
    with pytest.raises(
        LotteryError, match="awd-lstm is for text and this task is about images; ch"
    ):
        build("awd-lstm", {}, IMAGES, generator())
    with pytest.raises(LotteryError, match="choose one of awd-lstm, enas-lm, enas-rnn, lstm"):
        build("resnet", {}, TEXT, generator())
    with pytest.raises(LotteryError, match="no network 'lenet-300'; did you mean lenet-300-100"):
        build("lenet-300", {}, IMAGES, generator())
    with pytest.raises(LotteryError, match="size of resnet"):
        build("resnet", {"channels": 3}, IMAGES, generator())


def test_specs_are_positive() -> None:
    with pytest.raises(ValueError, match="classes is at least 1, not 0"):
        ImageSpec(channels=1, height=2, width=3, classes=0)
    with pytest.raises(ValueError, match="vocabulary is at least 1, not -1"):
        TextSpec(vocabulary=-1)
