"""Which parameters are the output layer's, and which are kernels: by what a forward pass does with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.checks import check
from lottery.cycle import find_tickets
from lottery.experiments import NetworkConfig
from lottery.forward_pass import trace
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks
from lottery.pruning.config import PruningConfig
from lottery.runs import Run
from nas.catalog.building import build
from tests.tiny_runs import TINY, TINY_TEXT, digits, open_run, session, text
from training.errors import LotteryError
from training.specs import ImageSpec, Spec


class Net(nn.Module):
    """Layers by name, in the order in which they are registered, and what is done with them."""

    def __init__(self, forward: Callable[[Net, Tensor], object], **layers: nn.Module) -> None:
        super().__init__()
        self.call = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> object:
        """Whatever is done."""
        return self.call(self, x)

    def __getitem__(self, name: str) -> nn.Module:
        return self.get_submodule(name)


def pooled(x: Tensor) -> Tensor:
    return x.flatten(2).mean(-1)


def pairs(x: Tensor) -> Tensor:
    """Four parts of an image, each as large."""
    return x.reshape(len(x), 4, 32)


def written(net: Net, x: Tensor) -> Tensor:
    logits = torch.zeros(len(x), 5)
    logits[:] = net["head"](net["stem"](x.flatten(1)).relu())
    return logits


# A network on images [B, 2, 8, 8], its output layer, and its convolutions.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], set[str], set[str]]] = {
    "the head is registered first": (
        lambda: Net(
            lambda n, x: n["head"](n["stem"](x).relu().flatten(1)),
            head=nn.Linear(3 * 36, 5),
            stem=nn.Conv2d(2, 3, 3),
        ),
        {"head.weight"},
        {"stem.weight"},
    ),
    "the head is a convolution, normalised and pooled after it": (
        lambda: Net(
            lambda n, x: F.log_softmax(pooled(n["norm"](n["head"](n["stem"](x))).relu()), -1),
            head=nn.Conv2d(3, 5, 1),
            norm=nn.BatchNorm2d(5),
            stem=nn.Conv2d(2, 3, 3, groups=1),
        ),
        {"head.weight"},
        {"head.weight", "stem.weight"},
    ),
    "kernels of one dimension, transposed and grouped": (
        lambda: Net(
            lambda n, x: n["head"](n["up"](n["line"](x.flatten(2))).mean(-1)),
            head=nn.Linear(6, 5),
            line=nn.Conv1d(2, 4, 3),
            up=nn.ConvTranspose1d(4, 6, 2, stride=2, groups=2),
        ),
        {"head.weight"},
        {"line.weight", "up.weight"},
    ),
    "two heads are added up": (
        lambda: Net(
            lambda n, x: n["one"](x.flatten(1)) + 0.5 * n["other"](n["stem"](x.flatten(1))),
            one=nn.Linear(128, 5),
            stem=nn.Linear(128, 8),
            other=nn.Linear(8, 5),
        ),
        {"one.weight", "other.weight"},
        set(),
    ),
    "one head is added by the product of the other": (
        lambda: Net(
            lambda n, x: torch.addmm(
                n["one"](x.flatten(1)), x.flatten(1), n["other"].get_parameter("weight").T
            ),
            one=nn.Linear(128, 5),
            other=nn.Linear(128, 5),
        ),
        {"one.weight", "other.weight"},
        set(),
    ),
    "logits are products of what two layers give": (
        lambda: Net(
            lambda n, x: torch.einsum("bck,bk->bc", n["each"](pairs(x)), n["all"](x.flatten(1))),
            each=nn.Linear(32, 6),
            all=nn.Linear(128, 6),
            unused=nn.Linear(6, 5),
        ),
        {"each.weight", "all.weight"},
        set(),
    ),
    "logits are written into a tensor": (
        lambda: Net(written, head=nn.Linear(6, 5), stem=nn.Linear(128, 6)),
        {"head.weight"},
        set(),
    ),
    "nothing comes after a recurrent layer": (
        lambda: Net(
            lambda n, x: n["core"](x.flatten(2))[0][:, -1], core=nn.LSTM(64, 5, batch_first=True)
        ),
        {"core.weight_ih_l0", "core.weight_hh_l0"},
        set(),
    ),
    "an attention layer before and one that is never used behind": (
        lambda: Net(
            lambda n, x: (n["head"](n["core"](*[x.flatten(2)] * 3)[0][:, 0]), n["core"]),
            head=nn.Linear(64, 5),
            core=nn.MultiheadAttention(64, 4, batch_first=True),
            unused=nn.Conv2d(1, 1, 3),
        ),
        {"head.weight"},
        set(),
    ),
    "weights that are computed": (
        lambda: Net(
            lambda n, x: n["head"](n["stem"](x).flatten(1)),
            head=nn.utils.parametrizations.weight_norm(nn.Linear(3 * 36, 5)),
            stem=nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)),
        ),
        {"head.parametrizations.weight.original1"},
        {"stem.parametrizations.weight.original"},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_kinds(name: str) -> None:
    made, output, convolutions = NETWORKS[name]
    kinds = trace(made(), lambda network: len(network(torch.rand(1, 2, 8, 8)))).kinds
    assert set(kinds.output) == output
    assert set(kinds.convolutions) == convolutions


def test_kinds_of_a_language_model_with_and_without_a_matrix_of_its_own() -> None:
    for tied, output in ((1, "embedding.weight"), (0, "decoder_weight")):
        size = {**TINY_TEXT.network.size, "tied": tied}
        network = build("awd-lstm", size, text().spec, torch.Generator())
        assert trace(network, text().run_example).kinds.output == {output}


class HeadFirst(nn.Module):
    """The head is registered before the rest, and the kernels have one dimension."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        assert isinstance(spec, ImageSpec)
        self.head = nn.Linear(10 * 6, spec.classes)
        self.conv = nn.Conv1d(8, 10, 3)
        self.last = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.head(self.last(self.conv(x[:, 0])).relu().flatten(1))
        return logits


@pytest.mark.parametrize(
    ("pruning", "kept"),
    [
        # 600 weights of the head, 240 of the convolution, 36 others; half of them go, or as many as their kind says.
        (PruningConfig(scope="layerwise", rate=0.5, output_rate=0.1), [540, 120, 18]),
        (PruningConfig(scope="layerwise", rate=0.5, convolution_rate=0.25), [300, 180, 18]),
    ],
)
def test_rates_of_a_run_are_those_of_the_kinds(
    pruning: PruningConfig, kept: list[int], tmp_path: Path
) -> None:
    masks = pruned(pruning, tmp_path / "own")
    assert [int(mask.sum()) for mask in masks.values()] == kept


def test_a_head_that_is_registered_first_stays_whole(tmp_path: Path) -> None:
    masks = pruned(PruningConfig(rate=0.5, output_rate=0.0), tmp_path / "own")
    assert int(masks["head.weight"].sum()) == 600
    assert int(masks["conv.weight"].sum() + masks["last.weight"].sum()) == (240 + 36) // 2


def pruned(pruning: PruningConfig, root: Path) -> dict[str, Tensor]:
    experiment = dataclasses.replace(
        TINY,
        seeds=(0,),
        levels=1,
        arms=(),
        network=NetworkConfig(name="m:f"),
        pruning=pruning,
    )
    one = check(session(experiment, root, batching="looped", factory=HeadFirst))
    open_run(root, experiment, digits().data.description())
    find_tickets(one)
    masks: dict[str, Tensor] = read_masks(Run(root).level(1))[ReplicateId(TICKET, 0)]
    return masks


def test_a_rate_for_an_output_layer_that_is_not_pruned_is_refused() -> None:
    rate = PruningConfig(output_rate=0.0)
    tied = dataclasses.replace(TINY_TEXT, pruning=rate)
    words = (
        "its output layer, embedding.weight, is not among what is pruned, see pruning.embeddings"
    )
    with pytest.raises(LotteryError, match=words):
        check(session(tied, task=text()))
    embeddings = dataclasses.replace(rate, embeddings=True)
    check(session(dataclasses.replace(tied, pruning=embeddings), task=text()))
    own = {**TINY_TEXT.network.size, "tied": 0}
    untied = dataclasses.replace(tied, network=NetworkConfig(name="awd-lstm", size=own))
    check(session(untied, task=text()))
