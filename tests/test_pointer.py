"""The continuous cache pointer, against the release's steps written out, and on a level of a run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery.cycle import add_control
from lottery.experiments import Experiment
from lottery.levels import read_weights
from lottery.measurements import continuous_cache, pointer
from lottery.measurements.catalog import MEASUREMENTS
from lottery.measurements.continuous_cache import Cache, cached_losses
from lottery.measurements.measuring import measure_levels
from lottery.measurements.pointer import POINTER, PointerSettings
from lottery.readings import Reading
from lottery.runs import Run
from nas.recurrent.language_model import LanguageModel
from tests.tiny_runs import TINY, TINY_TEXT, StopAfter, carry_out, digits, session, text
from tests.tiny_tasks import network, some_text, stack
from training.batching import Batching
from training.configs import OptimizerConfig
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task


def as_released(model: nn.Module, task: LanguageModelling, split: str, cache: Cache) -> list[float]:
    """awd-lstm-lm's pointer.py token by token, with one-hots over the vocabulary, in fp64."""
    assert isinstance(model, LanguageModel)
    before, state = task.data.words.index("<eos>"), model.initial_state(1)
    words: list[Tensor] = []
    history: list[Tensor] = []
    losses = []
    for index, word in enumerate(task.data.splits()[split].tolist()):
        output = model(torch.tensor([[before]]), state)
        state, raw = output.state, output.raw[0, 0]
        p = output.logits[0, 0].softmax(0)
        if index > cache.window:
            like = torch.stack(history[-cache.window :]) @ raw
            attention = (cache.flatness * like).softmax(0)
            p = (1 - cache.share) * p + cache.share * attention @ torch.stack(
                words[-cache.window :]
            )
        losses.append(-math.log(float(p[word])))
        words.append(nn.functional.one_hot(torch.tensor(word), len(p)).double())
        history.append(raw)
        before = word
    return losses


def wide(name: str, seed: int) -> LanguageModel:
    """A network in fp64, with weights so large that its states differ."""
    model = network(name, seed).double().eval()
    assert isinstance(model, LanguageModel)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", ["awd-lstm", "enas-lm"])
@pytest.mark.parametrize(("window", "block"), [(1, 64), (4, 5), (17, 5)])
@torch.no_grad()
def test_it_is_what_the_release_computes(
    monkeypatch: pytest.MonkeyPatch, batching: Batching, name: str, window: int, block: int
) -> None:
    monkeypatch.setattr(continuous_cache, "BLOCK", block)
    task = LanguageModelling(some_text(), 3, 7)
    cache = Cache(window=window, share=0.3, flatness=0.8)
    models = [wide(name, seed) for seed in (0, 1)]
    replicates = Replicates(models, [0, 1], batching).eval()
    plain, mixed = cached_losses(replicates, task.data, "test", cache)
    for r, model in enumerate(models):
        expected = torch.tensor(as_released(model, task, "test", cache), dtype=torch.float64)
        torch.testing.assert_close(mixed[r], expected, rtol=1e-10, atol=0)
    assert torch.equal(plain[:, : window + 1], mixed[:, : window + 1])
    assert not torch.equal(plain, mixed)


def test_a_cache_that_counts_words_by_hand() -> None:
    # Flatness 0: the cache gives a word its share of the last four. Words are numbered, 20 in all.
    task, cache = LanguageModelling(some_text(), 3, 7), Cache(window=4, share=0.5, flatness=0.0)
    stream = task.data.test.tolist()
    plain, mixed = cached_losses(stack("awd-lstm", (0,)).eval(), task.data, "test", cache)
    for t in range(5, len(stream)):
        share = stream[t - 4 : t].count(stream[t]) / 4
        p = 0.5 * math.exp(-float(plain[0, t])) + 0.5 * share
        assert float(mixed[0, t]) == pytest.approx(-math.log(p), rel=1e-9)


def test_without_a_share_it_is_an_evaluation_of_one_column() -> None:
    task = LanguageModelling(some_text(), 3, 7, evaluation_columns=1)
    replicates = stack("awd-lstm", (0, 1)).eval()
    plain, mixed = cached_losses(replicates, task.data, "validation", Cache(window=3, share=0.0))
    assert torch.equal(plain, mixed)
    scores = task.evaluate(replicates, "validation").scores
    torch.testing.assert_close(plain.float(), scores, rtol=1e-5, atol=1e-6)


def test_a_certain_network_and_an_empty_cache_have_finite_losses() -> None:
    task = LanguageModelling(some_text(), 3, 7)
    replicates = stack("awd-lstm", (0,)).eval()
    with torch.no_grad():
        replicates.weights()["decoder_bias"][:, 0] = 2000.0
    plain, mixed = cached_losses(replicates, task.data, "test", Cache(window=2, share=0.2))
    assert float(plain.max()) > 1000
    assert bool(mixed.isfinite().all())


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"share": 1.0},
        {"share": -0.1},
        {"flatness": -1.0},
        {"flatness": float("inf")},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LotteryError, match=f"^{next(iter(wrong))} = .* is out of range"):
        Cache(**wrong)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three levels, to which measurements are added."""
    root = tmp_path_factory.mktemp("pointer") / "tiny-text"
    carry_out(TINY_TEXT, root, text())
    return Run(root)


SETTINGS = PointerSettings(window=5, split="test")


def measured(
    run: Run,
    settings: PointerSettings = SETTINGS,
    *,
    levels: Sequence[int] = (2,),
    experiment: Experiment = TINY_TEXT,
    task: Task | None = None,
    **how: Any,
) -> list[Reading]:
    one = session(experiment, run.root, task or text(), **how)
    return measure_levels(one, "pointer", POINTER, settings, levels)


def test_every_replicate_of_a_level_is_measured_and_kept(finished: Run) -> None:
    readings = measured(finished)
    names = ("plain perplexity", "pointer perplexity")
    pairs = [(arm, seed) for arm in ("ticket", "reinitialised") for seed in (0, 1)]
    assert [(one.metric, one.arm, one.seed) for one in readings] == [
        (name, *pair) for name in names for pair in pairs
    ]
    assert {(one.level, one.copy, one.other, one.at, one.x) for one in readings} == {
        (2, 0, "test", "end", None)
    }
    assert all(one.value is not None and one.value > 1 for one in readings)
    plain, pointer = ([one.value for one in readings if one.metric == name] for name in names)
    assert plain != pointer
    other = measured(finished, dataclasses.replace(SETTINGS, split="validation"))
    assert [one.other for one in other] == ["validation"] * 8
    stored = json.loads(finished.folder.read("readings/pointer-level-02.json"))
    assert (stored["measurement"], stored["level"]) == ("pointer", 2)
    assert [part["settings"]["split"] for part in stored["measured"]] == ["test", "validation"]
    for part, found in zip(stored["measured"], (readings, other), strict=True):
        assert part["readings"] == [dataclasses.asdict(one) for one in found]
        assert part["settings"] == {
            **{"window": 5, "share": 0.1, "flatness": 1.0},
            "split": part["readings"][0]["other"],
        }


def test_the_readings_are_those_of_each_network_alone(finished: Run) -> None:
    """By the cache itself, on the trained tensors of one replicate after the other."""
    readings = {(one.metric, one.seed): one.value for one in measured(finished, levels=[0])}
    one, weights = session(TINY_TEXT, finished.root, text()), read_weights(finished.level(0))
    assert isinstance(one.task, LanguageModelling)
    data = one.task.data
    for ticket, tensors in weights.items():
        replicates = Replicates([one.network], [0], "looped").eval()
        replicates.load({name: tensor[None] for name, tensor in tensors.items()})
        losses = cached_losses(replicates, data, "test", Cache(window=5))
        names = ("plain perplexity", "pointer perplexity")
        for name, loss in zip(names, losses, strict=True):
            expected = math.exp(float(loss.mean()) * data.tokens_per_word("test"))
            assert readings[name, ticket.seed] == pytest.approx(expected, rel=1e-4)


def test_what_was_measured_is_not_measured_again(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, window=7)
    first = measured(finished, settings, levels=[0, 1])
    assert [one.level for one in first] == [0] * 4 + [1] * 8

    def again(*_: object) -> object:
        raise AssertionError("it was measured")

    monkeypatch.setattr(pointer, "cached_losses", again)
    assert measured(finished, settings, levels=[0, 1]) == first
    with pytest.raises(AssertionError, match="it was measured"):
        measured(finished, dataclasses.replace(settings, share=0.3), levels=[0])


def test_an_arm_that_was_added_since_is_measured(tmp_path: Path) -> None:
    short = dataclasses.replace(TINY_TEXT, levels=1, arms=(), copies=2)
    carry_out(short, tmp_path / "tiny", text())
    run = Run(tmp_path / "tiny")
    before = measured(run, levels=[1], experiment=short)
    add_control(session(short, run.root, text()), "random-mask")
    after = measured(run, levels=[1], experiment=short)
    # Beside others the sums of a product may be in another order.
    for old, new in zip(before, (one for one in after if one.arm == "ticket"), strict=True):
        assert dataclasses.replace(new, value=None) == dataclasses.replace(old, value=None)
        assert new.value == pytest.approx(old.value, rel=1e-6)
    assert {(one.arm, one.seed, one.copy) for one in after} == {
        (arm, seed, copy) for arm in ("ticket", "random-mask") for seed in (0, 1) for copy in (0, 1)
    }
    stored = json.loads(run.folder.read("readings/pointer-level-01.json"))
    assert len(stored["measured"]) == 1


def test_one_that_diverged_has_no_value(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(name="sgd", learning_rate=1e30)
    training = dataclasses.replace(TINY_TEXT.training, optimizer=optimizer)
    wild = dataclasses.replace(TINY_TEXT, levels=0, training=training)
    records = carry_out(wild, tmp_path / "tiny", text())
    assert all(record.diverged_at is not None for record in records)
    readings = measured(Run(tmp_path / "tiny"), levels=[0], experiment=wild)
    assert [one.value for one in readings] == [None] * 4


def test_what_can_not_be_measured_is_refused(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="has no finished level 7"):
        measured(finished, levels=[7])
    with pytest.raises(
        LotteryError, match=r"A window of 36 tokens is too large for the 36 .*at most 34\.$"
    ):
        measured(finished, dataclasses.replace(SETTINGS, window=36))
    carry_out(TINY, tmp_path / "images")
    with pytest.raises(LotteryError, match="learned digits, which is no text"):
        measured(Run(tmp_path / "images"), experiment=TINY, task=digits())


def test_it_stops_when_asked_to_and_keeps_the_levels_that_are_done(tmp_path: Path) -> None:
    carry_out(dataclasses.replace(TINY_TEXT, levels=1), tmp_path / "tiny", text())
    run = Run(tmp_path / "tiny")
    with pytest.raises(LotteryError, match="the same command goes on from there") as error:
        measured(run, levels=[0, 1], watcher=StopAfter(1))
    assert error.value.exit_code == ExitCode.RESUMABLE
    assert not run.folder.holds("readings/pointer-level-00.json")
    # A text of 36 tokens is one block.
    with pytest.raises(LotteryError, match="the same command goes on from there"):
        measured(run, levels=[0, 1], watcher=StopAfter(2))
    assert run.folder.holds("readings/pointer-level-00.json")
    assert not run.folder.holds("readings/pointer-level-01.json")


def test_every_measurement_says_what_it_is_and_has_settings_with_defaults() -> None:
    for name, one in MEASUREMENTS.items():
        assert name and one.summary.strip() and "\n" not in one.summary
        assert dataclasses.is_dataclass(one.settings())
