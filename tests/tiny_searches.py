"""Searches that take a second or two, and what tests do with them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.controller_config import ControllerConfig
from nas.search.derive_config import DeriveConfig
from nas.search.nao_config import NaoConfig
from nas.search.records import SearchHistoryRow, SearchRecord
from nas.search.search import search
from nas.search.watching import SearchWatcher
from tests.tiny_tasks import image_data, image_task, text_task
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.errors import ExitCode, LotteryError
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.task import Batch, Task
from training.work_folders import open_folder

SGD = OptimizerConfig(
    name="sgd", learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=5.0
)
SHARED = TrainingConfig(
    steps=Steps(iterations=10),
    batch_size=6,
    eval_every=Steps(iterations=2),
    optimizer=SGD,
    schedule=ScheduleConfig(name="cosine", restart=Steps(epochs=1)),
)
ALONE = TrainingConfig(
    steps=Steps(iterations=3),
    batch_size=6,
    eval_every=Steps(iterations=3),
    optimizer=OptimizerConfig(name="adam", learning_rate=0.01),
)
DERIVE = DeriveConfig(sampled=4, minibatches=2, ranked=3, random=2, alone=ALONE, alone_best=1)
NAO = NaoConfig(
    pool=4,
    top=2,
    new=2,
    rounds=1,
    every=1,
    embedding=4,
    hidden=6,
    predictor_layers=1,
    predictor_width=5,
    epochs=3,
    batch_size=4,
)
# 4 steps are an epoch of the tiny images, so that the last of three phases is short.
LAYERS = SearchConfig(
    name="tiny-layers",
    method="enas",
    space="layers",
    layers=3,
    network={"channels": 2},
    data=DataConfig(name="tiny-images"),
    shared=SHARED,
    shown=2,
    controller=ControllerConfig(hidden=6, samples=2, updates=2, skip_weight=0.8),
    nao=NAO,
    derive=DERIVE,
)
TEXT = dataclasses.replace(
    LAYERS,
    name="tiny-text",
    space="recurrent",
    nodes=3,
    network={"hidden": 4, "dropout_embedding": 0.0, "dropout_cell_input": 0.2},
    data=DataConfig(name="tiny-text"),
    shared=dataclasses.replace(
        SHARED, optimizer=OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=0.25)
    ),
)
CELL = dataclasses.replace(
    LAYERS,
    name="tiny-cell",
    space="cell",
    nodes=2,
    network={"channels": 2, "normal_cells": 1, "reductions": 1},
)
RANDOM = dataclasses.replace(LAYERS, name="tiny-random", method="random")
NAO_SHARED = dataclasses.replace(LAYERS, name="tiny-nao", method="nao")
RANDOM_ALONE = dataclasses.replace(RANDOM, name="tiny-plain", shared=None)
NAO_ALONE = dataclasses.replace(NAO_SHARED, name="tiny-nao-plain", shared=None)
SEARCHES = {c.name: c for c in (LAYERS, TEXT, CELL, RANDOM, NAO_SHARED, RANDOM_ALONE, NAO_ALONE)}


class Doctored(ImageClassification):
    """Images, some of whose batches are so bright that the loss explodes.

    Args:
        bright: step -> how many times that batch is still bright.
    """

    def __init__(self, bright: dict[int, int]) -> None:
        super().__init__(image_data(), batch_size=6)
        self.bright = bright

    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """The usual ones, but for the bright."""
        usual = super().batches(seeds)

        def batch(step: int) -> Batch:
            images, labels = usual(step)
            if self.bright.get(step, 0):
                self.bright[step] -= 1
                images = images * float("nan")
            return images, labels

        return batch


class Listener(SearchWatcher):
    """Keeps the history, and asks to stop at the n-th time that it is asked whether to."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.rows: list[SearchHistoryRow] = []
        self.asked = 0
        self.stop_at = stop_at

    def phase(self, row: SearchHistoryRow, best: str) -> None:
        """Keep the row."""
        self.rows.append(row)

    def stop_requested(self) -> bool:
        """Whether this is the time."""
        self.asked += 1
        return self.asked == self.stop_at


def task_of(config: SearchConfig) -> Task:
    """The tiny task of a search."""
    return text_task() if config.space == "recurrent" else image_task()


def carry_out(
    config: SearchConfig, root: Path, watcher: SearchWatcher | None = None, task: Task | None = None
) -> list[SearchRecord]:
    """Begin a search or go on with it."""
    task = task or task_of(config)
    config = config.resolved(task.steps_per_epoch)
    folder = open_folder(root, SEARCH_FOLDER, config, {"name": config.data.name, "fingerprint": ""})
    return search(config, folder, task, watcher or Listener())


@functools.cache
def finished(name: str) -> tuple[TemporaryDirectory[str], Listener, list[SearchRecord]]:
    """A search of `SEARCHES` that was carried out in the folder `run`, who listened to it, and what it found."""
    folder, listener = TemporaryDirectory(), Listener()
    return folder, listener, carry_out(SEARCHES[name], Path(folder.name) / "run", listener)


def carry_out_in_pieces(config: SearchConfig, root: Path, every: int) -> int:
    """Stop a search every so many times that it asks, until it is done; how often it was stopped."""
    stops = 0
    while True:
        try:
            carry_out(config, root, Listener(stop_at=every))
        except LotteryError as error:
            assert error.exit_code is ExitCode.RESUMABLE
            stops += 1
            assert stops < 100, "it does not get on"
        else:
            return stops


def files(root: Path) -> dict[str, bytes]:
    """Every file, the manifest too."""
    return {path.name: path.read_bytes() for path in root.iterdir()}
