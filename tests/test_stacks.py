"""The replicates of a level trained side by side: what does not depend on how they are cut into stacks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lottery.experiments import Experiment
from lottery.history import read_history
from lottery.progress import Watcher
from lottery.run_folder import HISTORY
from lottery.runs import Run
from tests.recorded_graphs import RecordedGraphs, recorded
from tests.tiny_runs import TINY, TINY_TEXT, StopAfter, carry_out, digits, files, text
from training.augmentation import Augmentation
from training.configs import AveragingConfig, OptimizerConfig
from training.errors import LotteryError
from training.folders import MANIFEST
from training.graphs import GraphPolicy
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining
from training.tasks.task import Task

EXECUTION = "execution.json"
SGD = OptimizerConfig(name="sgd", learning_rate=0.3, momentum=0.9, weight_decay=1e-3, clip_norm=0.7)
IMAGES = dataclasses.replace(
    TINY,
    levels=1,
    arms=("reinitialised",),
    seeds=(0, 1, 2),
    training=dataclasses.replace(
        TINY.training, optimizer=SGD, accumulation=2, steps=Steps(iterations=8)
    ),
)
# Enough steps of one form that they are replayed.
LONGER = dataclasses.replace(
    IMAGES, training=dataclasses.replace(IMAGES.training, steps=Steps(iterations=20))
)
AVERAGED = dataclasses.replace(
    TINY_TEXT,
    levels=1,
    seeds=(0, 1, 2),
    training=dataclasses.replace(
        TINY_TEXT.training,
        optimizer=dataclasses.replace(SGD, learning_rate=8.0, momentum=0.0),
        eval_every=Steps(iterations=2),
        averaging=AveragingConfig(
            trigger="non-monotone", patience=1, finetune=Steps(iterations=12)
        ),
    ),
)


def augmented() -> Task:
    plain = digits()
    assert isinstance(plain, ImageClassification)
    return ImageClassification(plain.data, 50, Augmentation(crop_padding=1, flip=True, cutout=3))


def penalised() -> Task:
    plain = text()
    assert isinstance(plain, LanguageModelling)
    settings = TextTraining(activation=0.5, slowness=0.5, varied_windows=True)
    return LanguageModelling(plain.data, 4, 6, evaluation_columns=3, settings=settings)


def results(root: Path) -> dict[str, object]:
    """Every file of a run, but how it was carried out; looks in one order."""
    names = (MANIFEST, HISTORY, "progress.json")
    held: dict[str, object] = {
        name: data
        for name, data in files(root).items()
        if name not in names and not name.endswith(EXECUTION)
    }
    rows = read_history(root)
    held[HISTORY] = sorted((r.level, r.arm, r.seed, r.step, r.metric, str(r.value)) for r in rows)
    return held


@pytest.mark.parametrize(
    ("experiment", "task"),
    [(IMAGES, augmented), (AVERAGED, penalised)],
    ids=["images", "text"],
)
def test_looped_no_file_depends_on_the_chunks(
    experiment: Experiment, task: object, tmp_path: Path
) -> None:
    assert callable(task)
    data = task()
    for at_once in (None, 1, 4):
        root = tmp_path / str(at_once) / "tiny"
        carry_out(experiment, root, data, at_once=at_once, batching="looped")
    whole = results(tmp_path / "None" / "tiny")
    assert any(name.endswith("weights.safetensors") for name in whole)
    for at_once in (1, 4):
        cut = results(tmp_path / str(at_once) / "tiny")
        assert cut.keys() == whole.keys()
        assert [name for name in whole if cut[name] != whole[name]] == []


def test_one_that_is_done_early_is_as_it_is_alone(tmp_path: Path) -> None:
    """What the comparison of texts covers."""
    dense = dataclasses.replace(AVERAGED, levels=0, arms=())
    carry_out(dense, tmp_path / "tiny", penalised(), batching="looped")
    last = {row.seed: row.step for row in read_history(tmp_path / "tiny")}
    assert min(last.values()) < max(last.values()) == 20


def test_one_that_diverges_is_as_it_is_alone(tmp_path: Path) -> None:
    wild = dataclasses.replace(
        IMAGES,
        levels=0,
        arms=(),
        training=dataclasses.replace(
            IMAGES.training,
            optimizer=OptimizerConfig(name="sgd", learning_rate=1e9),
            eval_every=Steps(iterations=2),
        ),
    )
    for at_once in (1, 3):
        records = carry_out(wild, tmp_path / f"{at_once}/tiny", at_once=at_once, batching="looped")
        assert {record.diverged_at for record in records} == {None, 2}
    one, three = (results(tmp_path / f"{at_once}/tiny") for at_once in (1, 3))
    assert [name for name in one if one[name] != three[name]] == []


def execution(root: Path, place: str = "level-00") -> list[dict[str, object]]:
    held: list[dict[str, object]] = json.loads((root / place / EXECUTION).read_text())
    return held


def test_each_level_says_how_its_replicates_were_trained_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    experiment = dataclasses.replace(IMAGES, seeds=(0, 1, 2))
    carry_out(experiment, tmp_path / "a", at_once=2)
    # Stacked by default, and one alone looped.
    how = [([0, 2], "stacked"), ([2, 3], "looped")]
    assert execution(tmp_path / "a") == [
        {
            "replicates": which,
            "cut": {"asked": 2, "device": "cpu", "size": 2, "most": 2},
            "batching": batching,
            "threads": 7,
            "products": "mkl",
            "graph": "not captured",
            "from_step": 0,
        }
        for which, batching in how
    ]
    assert len(execution(tmp_path / "a", "level-01")) == 3
    assert f"level-00/{EXECUTION}" in Run(tmp_path / "a").folder.names()


class Told(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        """Keep it."""
        self.notices.append(text)


def test_the_default_by_its_name_is_no_change(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped at step 5"):
        carry_out(IMAGES, tmp_path / "a", watcher=StopAfter(5))
    told = Told()
    carry_out(IMAGES, tmp_path / "a", watcher=told, batching="stacked")
    assert told.notices == []
    assert [one["from_step"] for one in execution(tmp_path / "a")] == [0]


def test_a_resumed_level_says_with_how_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LotteryError, match="Stopped at step 5"):
        carry_out(IMAGES, tmp_path / "a", watcher=StopAfter(5))
    before = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: before + 1)
    carry_out(IMAGES, tmp_path / "a")
    entries = [(one["threads"], one["from_step"]) for one in execution(tmp_path / "a")]
    assert entries == [(before, 0), (before + 1, 5)]


class Killed(Watcher):
    """Ends a run at a step, without a checkpoint of it."""

    def stop_requested(self) -> bool:
        """Never comes back."""
        raise KeyboardInterrupt


def test_what_came_to_nothing_is_no_part_of_a_level(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped at step 5"):
        carry_out(IMAGES, tmp_path / "a", watcher=StopAfter(5), batching="stacked")
    with pytest.raises(KeyboardInterrupt):
        carry_out(IMAGES, tmp_path / "a", watcher=Killed(), batching="looped")
    assert [one["from_step"] for one in execution(tmp_path / "a")] == [0, 5]
    told = Told()
    carry_out(IMAGES, tmp_path / "a", watcher=told, batching="stacked")
    assert told.notices == []
    entries = [(one["batching"], one["from_step"]) for one in execution(tmp_path / "a")]
    assert entries == [("stacked", 0)]


def test_a_resumed_level_says_what_has_changed(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped at step 5"):
        carry_out(IMAGES, tmp_path / "a", watcher=StopAfter(5), batching="stacked")
    told = Told()
    carry_out(IMAGES, tmp_path / "a", watcher=told, batching="looped")
    assert told.notices == [
        "Level 0 goes on looped from step 5, and was stacked before: its numbers may differ in rounding, and by what "
        "training makes of that, from those of an uninterrupted run."
    ]
    entries = [(one["batching"], one["from_step"]) for one in execution(tmp_path / "a")]
    assert entries == [("stacked", 0), ("looped", 5)]
    # What is cut otherwise begins anew: nothing of the first part is left.
    with pytest.raises(LotteryError, match="Stopped at step 5"):
        carry_out(IMAGES, tmp_path / "b", watcher=StopAfter(5), batching="stacked")
    carry_out(IMAGES, tmp_path / "b", batching="looped", at_once=2)
    entries = [(one["replicates"], one["from_step"]) for one in execution(tmp_path / "b")]
    assert entries == [([0, 2], 0), ([2, 3], 0)]


def test_a_level_whose_steps_are_graphs_says_so_and_has_the_same_results(tmp_path: Path) -> None:
    """Of images in parts, and of text with means and varied windows; stopped and resumed too."""
    runs: tuple[tuple[Experiment, Task], ...] = ((LONGER, digits()), (AVERAGED, penalised()))
    for number, (experiment, task) in enumerate(runs):
        plain, graphed = tmp_path / f"a{number}/tiny", tmp_path / f"b{number}/tiny"
        carry_out(experiment, plain, task, batching="stacked")
        with pytest.raises(LotteryError, match="Stopped at step 7"):
            carry_out(experiment, graphed, task, watcher=StopAfter(7), graph=recorded())
        carry_out(experiment, graphed, task, batching="stacked", graph=recorded())
        assert results(plain) == results(graphed)
        assert [one["graph"] for one in execution(plain)] == ["not captured"]
        if experiment is LONGER:  # of few windows of a text three have one length
            assert [one["graph"] for one in execution(graphed)] == ["captured", "captured"]


class Refusing(RecordedGraphs):
    """Captures nothing."""

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """Say why."""
        raise RuntimeError("operation not permitted when stream is capturing.\nMore of it")


def test_a_capture_that_fails_is_told_and_written_down(tmp_path: Path) -> None:
    told = Told()
    graph = GraphPolicy(backends={"cpu": Refusing})
    dense = dataclasses.replace(LONGER, levels=0, arms=())
    carry_out(dense, tmp_path / "a/tiny", watcher=told, graph=graph)
    carry_out(dense, tmp_path / "b/tiny")
    assert results(tmp_path / "a/tiny") == results(tmp_path / "b/tiny")
    assert told.notices == [
        "Level 0 is trained without graphs of the device, by replayed steps, as a capture failed: operation not "
        "permitted when stream is capturing. No number differs."
    ]
    assert [one["graph"] for one in execution(tmp_path / "a/tiny")] == [
        "not captured: operation not permitted when stream is capturing"
    ]
