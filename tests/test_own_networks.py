"""Networks with quirks, tried and carried through whole tiny cycles, and named on the command line."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from lottery.checks import check
from lottery.experiments import RUN_FOLDER, Experiment, NetworkConfig
from lottery.portable_tickets import build_ticket, load_ticket, save_ticket, ticket_of
from lottery.records import Record, read_records
from lottery.runs import Run
from lottery.session import new_network
from nas.catalog.outside_networks import Factory
from nas.catalog.own_code import import_factory
from nas.convolutional.auxiliary import AuxiliaryHead
from nas.recurrent.gru import gru
from tests.commands import done, refused
from tests.own_runs import OWN, carried_out, own_session
from tests.tiny_runs import STEPS, TINY, TINY_TEXT, TOML, digits, text
from training.batching import Batching
from training.checkpoints import tensors_from_bytes
from training.dropout import Dropout
from training.errors import LotteryError
from training.specs import ImageSpec, Spec, TextSpec
from training.tasks.task import Task
from training.work_folders import stored_config


def images(spec: Spec) -> ImageSpec:
    assert isinstance(spec, ImageSpec)
    return spec


class Tied(nn.Module):
    """One matrix in two places, and its transpose in a third."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, images(spec).classes)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        x = self.second(self.first(x.flatten(1)).relu())
        logits: Tensor = self.last(F.linear(x, self.first.weight.T))
        return logits


class Odd(nn.Module):
    """Names with spaces, signs and letters of other scripts; one is what a ticket's file calls its masks."""

    masks: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.add_module("größe / 层 1", nn.Linear(64, 9))
        self.register_parameter("masks", nn.Parameter(torch.randn(9, images(spec).classes) / 3))

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        hidden = self.get_submodule("größe / 层 1")(x.flatten(1)).relu()
        logits: Tensor = hidden @ self.masks
        return logits


class Frozen(nn.Module):
    """A frozen first layer, and a layer that is never used."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.first = nn.Linear(64, 9).requires_grad_(False)
        self.unused = nn.Linear(5, 5)
        self.last = nn.Linear(9, images(spec).classes)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last(self.first(x.flatten(1)).relu())
        return logits


class Several(nn.Module):
    """An auxiliary head while it trains, dropout, and a norm over two dimensions."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.LayerNorm((8, 8))
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.drop = nn.Dropout(0.1)
        self.auxiliary = AuxiliaryHead(3, (8, 8), images(spec).classes, bias=True)
        self.last = nn.Linear(3 * 64, images(spec).classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """From images to logits."""
        x = self.norm(self.stem(x)) * self.scale
        logits: Tensor = self.last(self.drop(x).flatten(1))
        return (logits, self.auxiliary(x)) if self.training else logits


class Rows(nn.Module):
    """torch's own LSTM, over the rows of an image."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.core = nn.LSTM(8, 5, batch_first=True)
        self.last = nn.Linear(5, images(spec).classes)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last(self.core(x[:, 0])[0][:, -1])
        return logits


def records_of(
    factory: Factory, root: Path, task: Task | None = None, experiment: Experiment = OWN
) -> list[Record]:
    carried_out(factory, root, experiment, task=task)
    return read_records(root)


@pytest.mark.parametrize(
    ("factory", "pruned"),
    [
        (Tied, {"first.weight": 64 * 64, "last.weight": 640}),
        (Odd, {"größe / 层 1.weight": 576, "masks": 90}),
        (Frozen, {"unused.weight": 25, "last.weight": 90}),
        (Several, {"stem.weight": 27, "last.weight": 1920}),
        (Rows, {"core.weight_ih_l0": 160, "core.weight_hh_l0": 100, "last.weight": 50}),
    ],
)
def test_a_whole_cycle(factory: Factory, pruned: dict[str, int], tmp_path: Path) -> None:
    records = records_of(factory, tmp_path / "own")
    assert [(r.level, r.arm, r.seed) for r in records] == [
        *((0, "ticket", seed) for seed in (0, 1)),
        *((1, arm, seed) for arm in ("ticket", "reinitialised") for seed in (0, 1)),
    ]
    for record in records:
        assert (record.network, record.origin) == ("m:f", "own")
        assert {layer.name: layer.total for layer in record.layers} == pruned
        assert abs(record.kept * 2**record.level - sum(pruned.values())) <= 1
        assert record.diverged_at is None
        assert record.steps == STEPS
    ticket = ticket_of(Run(tmp_path / "own"), level=1, seed=1)
    save_ticket(ticket, tmp_path / "a.ticket")
    network = build_ticket(load_ticket(tmp_path / "a.ticket"), digits().spec, factory)
    for name, mask in ticket.mask.items():
        assert not (network.get_parameter(name) * ~mask).any()
    with pytest.raises(LotteryError, match="add --network m:f"):
        build_ticket(ticket, digits().spec)


def test_frozen_parts_stay_as_they_were_made(tmp_path: Path) -> None:
    carried_out(Frozen, tmp_path / "own")
    run = Run(tmp_path / "own")
    data = run.folder.read(run.level(1).weights)
    finals = tensors_from_bytes(data, run.root)[0]
    for seed in (0, 1):
        made = new_network(own_session(Frozen), seed).get_parameter("first.weight")
        assert torch.equal(finals["first.weight"][seed], made)


def test_an_auxiliary_head_is_not_counted(tmp_path: Path) -> None:
    record = records_of(Several, tmp_path / "own")[0]
    # Convolution with bias, norm, scale, linear layer with bias.
    assert record.parameters == 30 + 2 * 64 + 3 + 1930
    assert record.multiply_adds == 27 * 64 + 1920


class Text(nn.Module):
    """An embedding and torch's recurrent cell."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        assert isinstance(spec, TextSpec)
        self.table = nn.Embedding(spec.vocabulary, 4)
        self.core = nn.RNN(4, 4)
        self.last = nn.Linear(4, spec.vocabulary)

    def initial_state(self, batch: int) -> tuple[Tensor]:
        """Zeros."""
        return (torch.zeros(1, batch, 4),)

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        """From words and a state to logits and the next."""
        out, last = self.core(self.table(tokens), state[0])
        return self.last(out), (last,)


def test_an_own_language_model(tmp_path: Path) -> None:
    experiment = dataclasses.replace(
        TINY_TEXT, levels=1, arms=(), network=NetworkConfig(name="m:f")
    )
    records = records_of(Text, tmp_path / "own", text(), experiment)
    assert [layer.name for layer in records[0].layers] == [
        "core.weight_ih_l0",
        "core.weight_hh_l0",
        "last.weight",
    ]


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", ["models:small", "texts:Words"])
def test_the_examples_of_the_readme(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, factory = example.split(":")
    (block,) = re.findall(rf"^```python\n(# my_package/{file}\.py\n.*?)^```", README, re.M | re.S)
    (tmp_path / f"{file}_of_the_readme.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    task, like = (digits(), TINY) if file == "models" else (text(), TINY_TEXT)
    network = NetworkConfig(name=f"{file}_of_the_readme:{factory}")
    experiment = dataclasses.replace(like, levels=1, arms=(), network=network)
    records = records_of(import_factory(network.name), tmp_path / "own", task, experiment)
    assert [record.level for record in records] == [0, 0, 1, 1]


# What is refused before anything is written


def test_a_network_for_text_without_a_first_state() -> None:
    with pytest.raises(LotteryError, match=r"Linear has no initial_state\(batch\)"):
        check(own_session(lambda spec: nn.Linear(4, 4), task=text()))


class Gives(nn.Module):
    """A linear layer, and whatever a function makes of its output."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.change = change

    def forward(self, x: Tensor) -> object:
        """From images to logits."""
        return self.change(self.last(x.flatten(1)))


def draws(x: Tensor) -> Tensor:
    return x + torch.rand(())


def draws_with_numpy(x: Tensor) -> Tensor:
    return x + float(np.random.random())


def draws_with_python(x: Tensor) -> Tensor:
    return x * random.random()


def draws_unseeded(x: Tensor) -> Tensor:
    return x * float(np.random.default_rng().random())


def breaks_while_training(x: Tensor) -> Tensor:
    if x.requires_grad:
        raise ValueError("not\nnow")
    return x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: {"logits": x, "features": [x]},
            r"^The network gives a dict of 2 \(logits: a tensor \[1, 10\], features: a list of 1 \(a "
            r"tensor \[1, 10\]\)\) in evaluation mode for 1 images, but .* logits \[B, 10\]",
        ),
        (lambda x: [x], r"gives a list of 1 \(a tensor \[1, 10\]\) in"),
        (lambda x: x[:, :4], r"gives a tensor \[1, 4\] in"),
        (lambda x: x.long(), r"a tensor \[1, 10\] of torch.int64"),
        (lambda x: x.view(3, 3), r"can't take images of 1 x 8 x 8 \(RuntimeError: shape"),
        (draws_with_numpy, "draws from numpy's global generator while it trains"),
        (draws_with_python, "draws from Python's global generator while it trains"),
        (draws_unseeded, "m:f does not repeat: twice with the same weights, seeds and steps"),
        (
            breaks_while_training,
            r"looped \(ValueError: not now\) in .*test_own_networks.py, line \d+; mend",
        ),
        (lambda x: x.detach(), "can't be trained looped"),
    ],
)
def test_what_cannot_be_handled_is_said(change: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(LotteryError, match=message):
        check(own_session(lambda spec: Gives(change)))


def test_more_outputs_may_follow_the_logits() -> None:
    check(own_session(lambda spec: Gives(lambda x: (x, x))))


@pytest.mark.parametrize("batching", ["looped", "stacked"])
@pytest.mark.parametrize(
    ("change", "given"),
    [
        (lambda x: (x, x.repeat(1, 3)), r"a tensor \[50, 30\] after its logits"),
        (lambda x: (x, x, x.mean()), r"a tensor \[\] after its logits"),
        (lambda x: (x, x.argmax(1)), r"a tensor \[50\] of torch.int64 after its logits"),
        (lambda x: (x, {"mean": x}), r"a dict of 1 \(mean: a tensor \[50, 10\]\) after its logits"),
    ],
)
def test_further_outputs_that_are_no_classifiers(
    change: Callable[[Tensor], object], given: str, batching: Batching
) -> None:
    one = own_session(lambda spec: Gives(change), batching=batching)
    message = f"^The network gives {given} while it trains, but further outputs are auxiliary"
    with pytest.raises(LotteryError, match=message):
        check(one)


def test_features_beside_the_logits_are_for_evaluation() -> None:
    check(own_session(lambda spec: Gives(lambda x: x if x.requires_grad else (x, x[:, :3]))))


def test_logits_of_another_number_of_images() -> None:
    with pytest.raises(LotteryError, match=r"a tensor \[49, 10\] while it trains for 50 images"):
        check(own_session(lambda spec: Gives(lambda x: x[1:] if len(x) > 9 else x)))


def test_initial_weights_that_do_not_repeat() -> None:
    def factory(spec: Spec) -> nn.Module:
        network = Gives(lambda x: x)
        nn.init.constant_(network.last.bias, float(np.random.default_rng().random()))
        return network

    with pytest.raises(LotteryError, match=r"^m:f .*, it differs in last\.bias; use torch\.nn"):
        check(own_session(factory))


def test_a_shape_that_does_not_repeat() -> None:
    widths = iter([3, 4, 5])

    def factory(spec: Spec) -> nn.Module:
        hidden = next(widths)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.Linear(hidden, 10))

    with pytest.raises(LotteryError, match=r"built twice from one seed, it differs in 1\.weight"):
        check(own_session(factory))


def test_only_a_part_of_a_batch_is_tried() -> None:
    seen: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: object) -> None:
        if isinstance(module, Gives):
            seen.append(len(inputs[0]))

    training = dataclasses.replace(OWN.training, accumulation=5)
    # Not by a hook of the network: one that counts is refused.
    hook = register_module_forward_hook(note)
    check(own_session(lambda spec: Gives(lambda x: x), dataclasses.replace(OWN, training=training)))
    hook.remove()
    # One image and three, a fifth of 50 to train and to score, then a few; and one, to see what its parameters do.
    assert seen[:4] == [1, 3, 10, 10]
    assert {*seen[4:-1]} == {4}
    assert seen[-1] == 1


def test_more_outputs_may_follow_the_logits_and_the_state() -> None:
    def factory(spec: Spec) -> nn.Module:
        assert isinstance(spec, TextSpec)
        return gru(spec, embedding=3, hidden=4, layers=2)

    check(own_session(factory, task=text()))


def test_what_vmap_cannot_map_is_said() -> None:
    one = own_session(Rows, batching="stacked")
    with pytest.raises(LotteryError, match=r"can't be trained stacked .*; try --batching looped"):
        check(one)


def test_a_network_without_weights_to_prune() -> None:
    def factory(spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64))

    with pytest.raises(LotteryError, match="has no weights to prune"):
        check(own_session(factory))


# On the command line

CODE = """\
from torch import nn

def make(spec, *, width=4):
    pixels = spec.channels * spec.height * spec.width
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, spec.classes))
"""
NAME = "own_code_of_a_test:make"
RUN = "results/runs/tiny-own_code_of_a_test-make"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with an experiment and a user's code in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_code_of_a_test", raising=False)
    (tmp_path / "tiny.toml").write_text(TOML)
    (tmp_path / "own_code_of_a_test.py").write_text(CODE)
    return tmp_path


def test_the_command_line_names_own_code(here: Path) -> None:
    words = ("prune", "tiny.toml", "--network", NAME, "--set", "network.size.width=6")
    done(*words, "--levels", "1", "--quiet")
    stored = stored_config(here / RUN, RUN_FOLDER)
    assert stored.network == NetworkConfig(name=NAME, size={"width": 6})
    # The same again, and more of it, by the run's own folder.
    done("prune", RUN, "--network", NAME, "--levels", "1", "--quiet")
    assert stored_config(here / RUN, RUN_FOLDER) == stored
    assert "shuffled-mask" in done("control", RUN, "shuffled-mask", "--network", NAME, "--quiet")


@pytest.mark.parametrize("began", ["looped", "stacked"])
def test_a_run_goes_on_in_the_batching_that_was_found_to_be_faster_as_it_began(
    here: Path, began: Batching, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: dict[Batching, Batching] = {"looped": "stacked", "stacked": "looped"}

    def faster(batching: Batching) -> None:
        monkeypatch.setattr("lottery.checks.faster_batching", lambda *of: batching)

    def noted(level: int) -> list[str]:
        entries = json.loads((here / RUN / f"level-0{level}/execution.json").read_text())
        return [entry["batching"] for entry in entries]

    words = ("prune", "tiny.toml", "--network", NAME, "--quiet")
    faster(began)
    done(*words, "--levels", "0")
    faster(other[began])
    done(*words, "--levels", "1")
    assert noted(0) == noted(1) == [began]
    done(*words, "--levels", "2", "--batching", other[began])
    assert noted(2) == [other[began]]


def test_a_file_never_imports_code(here: Path) -> None:
    (here / "own.toml").write_text(TOML.replace("lenet-300-100", NAME))
    (here / "own_code_of_a_test.py").write_text("raise AssertionError('was imported')")
    told = refused("prune", "own.toml")
    assert told.startswith(f"The network {NAME} is code of your own, which is imported only when")
    assert told.endswith(f"add --network {NAME}.")
    assert refused("retrain", "own.toml", "--dry-run") == told
    assert refused(
        "prune", "tiny.toml", "--set", f"network.name={NAME}", "--set", "network.size={}"
    )
    other = ("--set", f"network.name={NAME}", "--network", "conv-2")
    assert refused("prune", "tiny.toml", *other) == told
    assert "own_code_of_a_test" not in sys.modules
    assert not (here / "results").exists()


def test_another_network_of_the_catalog(here: Path) -> None:
    done(
        "retrain", "tiny.toml", "--network", "conv-2", "--quiet", "--set", "network.size.blocks=[2]"
    )
    stored = stored_config(here / "results/runs/tiny-conv-2", RUN_FOLDER)
    assert stored.network == NetworkConfig(name="conv-2", size={"blocks": (2,)})
    told = refused("control", "results/runs/tiny-conv-2", "dense", "--network", "conv-4")
    assert "is a run of conv-2, not of conv-4" in told


def test_names_on_the_command_line_that_are_nothing(here: Path) -> None:
    assert "did you mean" in refused("prune", "tiny.toml", "--network", "conv2")
    assert "takes images of 3 channels" in refused(
        "prune", "tiny.toml", "--network", "torchvision/resnet18"
    )
    assert "can't be imported" in refused("prune", "tiny.toml", "--network", "not_there:make")
    assert "unexpected keyword argument 'depth'" in refused(
        "prune", "tiny.toml", "--network", NAME, "--set", "network.size.depth=3"
    )
    assert not (here / "results").exists()


def test_our_dropout_may_be_used(tmp_path: Path) -> None:
    def factory(spec: Spec) -> nn.Module:
        return nn.Sequential(nn.Flatten(), Dropout(0.2), nn.Linear(64, images(spec).classes))

    check(own_session(factory, batching="stacked"))
