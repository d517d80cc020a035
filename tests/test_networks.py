"""The door: every name builds, repeats, and counts as published."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from nas.catalog.building import build
from nas.catalog.catalog import NETWORKS
from nas.convolutional.cells import Cell, CellNetwork
from nas.genotypes.random_genotypes import random_cells
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.loop import State
from training.dropout import Dropout, noise_sites
from training.errors import LotteryError
from training.specs import ImageSpec, Spec, TextSpec

IMAGES = ImageSpec(channels=3, height=16, width=16, classes=5)
CELLS = (
    *("enas-micro", "enas-micro-paper", "naonet-a", "naonet-b", "nao-ws-cnn", "nao-v2"),
    *("darts-v1", "darts-v2", "nasnet-a", "amoebanet-a", "pnasnet-5"),
)
TEXT = TextSpec(vocabulary=13)
SMALL: dict[str, dict[str, object]] = {
    **{name: {"channels": 2, "normal_cells": 1, "reductions": 1} for name in CELLS},
    "enas-macro": {"channels": 2},
    "enas-macro-released": {"channels": 2},
    "random-micro": {"channels": 2, "normal_cells": 1, "reductions": 1, "nodes": 2, "seed": 0},
    "random-macro": {"channels": 2, "layers": 3},
    "lenet-300-100": {"widths": [6, 4]},
    "lenet-5": {"channels": [2, 3], "widths": [4, 4]},
    "conv-2": {"blocks": [2], "widths": [4, 4]},
    "conv-4": {"blocks": [2, 3], "widths": [4, 4]},
    "conv-6": {"blocks": [2, 3, 2], "widths": [4, 4]},
    **{name: {"depth": 8, "width": 2} for name in ("resnet", "resnet-glorot", "resnet-padded")},
    **{name: {"width": 1} for name in ("vgg-11", "vgg-13", "vgg-16", "vgg-19")},
    **{name: {"hidden": 4} for name in ("enas-rnn", "enas-lm", "nao-rnn", "nao-ws-rnn")},
    **{name: {"hidden": 4} for name in ("darts-rnn-v1", "darts-rnn-v2")},
    "random-rnn": {"hidden": 4, "nodes": 3, "seed": 1},
    "awd-lstm": {"embedding": 4, "hidden": 5, "layers": 2},
    **{name: {"embedding": 4, "hidden": 5, "layers": 2} for name in ("lstm", "gru")},
    "lstm-yu": {"hidden": 4, "layers": 2},
    "on-lstm": {"embedding": 4, "hidden": 6, "layers": 2, "chunk": 2},
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


def count(name: str, spec: Spec, **size: object) -> int:
    with torch.device("meta"):
        network = build(name, size, spec, torch.Generator("cpu"))
    return sum(p.numel() for p in network.parameters())


def test_every_entry_names_what_builds_it() -> None:
    assert {name for name, found in NETWORKS.items() if not found.accepts} == SMALL.keys()
    for found in NETWORKS.values():
        assert found.builder is not None
        # The networks themselves know no catalog.
        assert found.builder.module.startswith(("nas.convolutional.", "nas.recurrent."))
        drawing = found.drawn.sizes if found.drawn else ()
        takes = found.defaults.keys() - {*drawing}
        takes |= {"genotype"} if found.encoding or found.accepts else set()
        # Raises where one is missing or unknown there.
        inspect.signature(found.builder.load()).bind(found.spec, **dict.fromkeys(takes))


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


def test_published_sizes() -> None:
    mnist = ImageSpec(channels=1, height=28, width=28, classes=10)
    words = TextSpec(vocabulary=10_000)
    # 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10
    assert count("lenet-300-100", mnist) == 266_610
    # 4 H^2 for the first transform, 2 H^2 for each of the other nodes, and the embedding; NAO's and
    # DARTS's decoders have a bias, 10,000.
    assert count("enas-rnn", words) == 26 * 748**2 + 10_000 * 748 == 22_027_104
    assert count("random-rnn", words) == count("enas-rnn", words)
    assert count("enas-lm", words) == 20 * 800**2 + 10_000 * 800 == 20_800_000
    for name in ("nao-rnn", "nao-ws-rnn"):
        assert count(name, words) == 26 * 850**2 + 10_000 * 850 + 10_000 == 27_295_000
    for name in ("darts-rnn-v1", "darts-rnn-v2"):
        assert count(name, words) == 20 * 850**2 + 10_000 * 850 + 10_000 == 22_960_000
    wikitext = TextSpec(vocabulary=33_278)
    assert count("nao-rnn", wikitext, hidden=700) == 26 * 700**2 + 33_278 * 701 == 36_067_878
    assert count("darts-rnn-v2", wikitext, hidden=700) == 20 * 700**2 + 33_278 * 701 == 33_127_878


def test_networks_say_which_has_a_published_number_of_parameters() -> None:
    cifar = ImageSpec(channels=3, height=32, width=32, classes=10)
    # 4.6 M (Pham et al. 2018, table 2) and 2.5 M (Luo et al. 2018, table 1).
    assert count("enas-micro", cifar, normal_cells=6) == 4_587_372
    assert count("nao-ws-cnn", cifar) == 2_466_252
    said = {
        name: [r.what for r in NETWORKS[name].published if r.what.startswith("parameters")]
        for name in ("enas-micro", "nao-ws-cnn")
    }
    assert said["enas-micro"][0] == "parameters; enas-micro has 4,587,372 with normal_cells 6"
    assert said["nao-ws-cnn"] == ["parameters, with the sizes here"]


# Of ENAS the bound follows from the width (`_build_params` of ptb_enas_child.py); of enas_lm it is 0.05
# (`child_init_range`), of DARTS and NAO 0.04 (`INITRANGE`). Only these two have a bias in the decoder.
@pytest.mark.parametrize(
    ("name", "hidden", "bound", "bias"),
    [
        ("enas-rnn", 64, 0.1, False),
        ("enas-rnn", 300, 0.1, False),
        ("enas-rnn", 400, 0.05, False),
        ("enas-rnn", 401, 0.04, False),
        ("random-rnn", 748, 0.04, False),
        ("enas-lm", 64, 0.05, False),
        ("enas-lm", 800, 0.05, False),
        *((name, 64, 0.04, True) for name in ("nao-rnn", "nao-ws-rnn", "darts-rnn-v1")),
        ("darts-rnn-v2", 850, 0.04, True),
    ],
)
@torch.no_grad()
def test_searched_language_models_start_as_their_sources(
    name: str, hidden: int, bound: float, bias: bool
) -> None:
    network = build(name, {"hidden": hidden}, TextSpec(vocabulary=500), generator())
    weights = dict(network.named_parameters())
    zeros = weights.pop("decoder_bias", None)
    assert (zeros is not None) == bias
    assert zeros is None or not zeros.any()
    for weight in weights.values():
        assert 0.99 * bound < float(weight.abs().max()) <= bound
        assert float(weight.var()) == pytest.approx(bound**2 / 3, rel=0.05)


def test_a_random_network_has_the_cells_of_its_seed() -> None:
    network = build("random-micro", {**SMALL["random-micro"], "seed": 3}, IMAGES, generator())
    assert isinstance(network, CellNetwork)
    first = network.cells[0]
    assert isinstance(first, Cell)
    assert first.graph == random_cells(3, 2).normal


def test_the_plain_lstm_draws_nothing() -> None:
    network = small("lstm")
    tokens, state = torch.randint(13, (4, 2)), initial_state(network, 2)
    training = network(tokens, state)[0]
    assert torch.equal(training, network.eval()(tokens, state)[0])
    assert noise_sites(small("awd-lstm"))


def test_torch_dropouts_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_dropout(spec: ImageSpec, *, widths: list[int]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(768, widths[0]))

    monkeypatch.setattr("nas.convolutional.lenet.LeNet", with_dropout)
    replaced = [m for m in small("lenet-300-100").modules() if isinstance(m, Dropout)]
    assert [dropout.p for dropout in replaced] == [0.3]


def test_the_wrong_task_is_refused() -> None:
    with pytest.raises(
        LotteryError, match="awd-lstm is for text and this task is about images; ch"
    ):
        build("awd-lstm", {}, IMAGES, generator())
    with pytest.raises(LotteryError, match="choose one of awd-lstm, "):
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
