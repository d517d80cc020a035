"""The continuous cache pointer, against the release's steps written out, and on a level of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery.cycle import Setting
from lottery.experiments import Experiment
from lottery.measurements import continuous_cache, pointer
from lottery.measurements.continuous_cache import Cache, cached_losses
from lottery.measurements.pointer import measure_pointer
from lottery.runs import Run
from nas.recurrent.language_model import LanguageModel
from tests.tiny_runs import TINY, TINY_TEXT, StopAfter, carry_out, digits, text
from tests.tiny_tasks import network, some_text, stack
from training.batching import Batching
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


CACHE = Cache(window=5)


def measured(
    run: Run, task: Task | None = None, experiment: Experiment = TINY_TEXT, **changes: Any
) -> list[pointer.PointerResult]:
    setting = Setting(task=text() if task is None else task)
    options = {"level": 2, "split": "test", "cache": CACHE, **changes}
    return measure_pointer(experiment, run, setting, **options)


def test_every_replicate_of_a_level_is_measured_and_kept(finished: Run) -> None:
    results = measured(finished)
    pairs = [(arm, seed) for arm in ("ticket", "reinitialised") for seed in (0, 1)]
    assert [(result.arm, result.seed) for result in results] == pairs
    again = measured(finished)
    assert again == results
    other = measured(finished, split="validation")
    stored = json.loads(finished.folder.read("measurements/pointer-level-02.json"))
    assert stored["level"] == 2
    assert [one["split"] for one in stored["measurements"]] == ["test", "validation"]
    assert [one["weights"] for one in stored["measurements"]] == ["end", "end"]
    for one, found in zip(stored["measurements"], (results, other), strict=True):
        assert one["replicates"] == [vars(result) for result in found]
    assert all(result.plain is not None and result.pointer is not None for result in results)


def test_what_can_not_be_measured_is_refused(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="has no finished level 7"):
        measured(finished, level=7)
    with pytest.raises(
        LotteryError, match=r"A window of 36 tokens is too large for the 36 .*at most 34\.$"
    ):
        measured(finished, cache=Cache(window=36))
    carry_out(TINY, tmp_path / "images")
    with pytest.raises(LotteryError, match="learned no text"):
        measured(Run(tmp_path / "images"), digits(), TINY)


def test_it_stops_when_asked_to_and_writes_nothing(finished: Run) -> None:
    setting = Setting(task=text(), watcher=StopAfter(1))
    with pytest.raises(LotteryError, match="nothing was written") as error:
        measure_pointer(TINY_TEXT, finished, setting, level=0, split="test", cache=CACHE)
    assert error.value.exit_code == ExitCode.RESUMABLE
    assert not finished.folder.holds("measurements/pointer-level-00.json")
