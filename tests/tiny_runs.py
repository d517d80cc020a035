"""Experiments so small that a whole cycle takes a second, and what tests do with them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lottery.cycle import find_tickets
from lottery.experiments import RUN_FOLDER, Experiment, NetworkConfig, RewindingConfig
from lottery.progress import Watcher
from lottery.pruning.config import PruningConfig
from lottery.records import Record
from lottery.runs import Run
from lottery.session import Session
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.datasets.text import text_data
from training.environments import ENVIRONMENT
from training.errors import ExitCode, LotteryError
from training.folders import LOCK, MANIFEST
from training.steps import Steps
from training.storage import to_json
from training.tasks.catalog import load_task
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task
from training.work_folders import open_folder

STEPS = 20
# 64 x 8 + 8 x 6 + 6 x 10 weights in matrices.
PRUNABLE = 620
TINY = Experiment(
    name="tiny",
    seeds=(0, 1),
    levels=2,
    arms=("reinitialised", "random-mask"),
    network=NetworkConfig(name="lenet-300-100", size={"widths": (8, 6)}),
    data=DataConfig(name="digits"),
    training=TrainingConfig(
        steps=Steps(iterations=STEPS),
        batch_size=50,
        eval_every=Steps(iterations=6),
        optimizer=OptimizerConfig(name="adam", learning_rate=1e-2),
        schedule=ScheduleConfig(name="cosine"),
    ),
    pruning=PruningConfig(rate=0.5),
)
TINY_TEXT = dataclasses.replace(
    TINY,
    name="tiny-text",
    arms=("reinitialised",),
    network=NetworkConfig(
        name="awd-lstm",
        size={"embedding": 5, "hidden": 5, "layers": 1, "dropout_output": 0.1, "dropconnect": 0.1},
    ),
    data=DataConfig(name="pydoc"),
    training=dataclasses.replace(TINY.training, batch_size=4),
)
TOML = """\
name = "tiny"
seeds = [0, 1]
levels = 2
arms = ["reinitialised", "random-mask"]

[network]
name = "lenet-300-100"
[network.size]
widths = [8, 6]

[data]
name = "digits"

[training]
steps = "1ep"
batch_size = 50
eval_every = "6it"
[training.optimizer]
name = "adam"
learning_rate = 0.01
[training.schedule]
name = "cosine"

[pruning]
rate = 0.5
"""


@functools.cache
def digits() -> Task:
    """The embedded digits; an epoch has 20 steps."""
    return load_task(TINY.data, TINY.training, None, torch.device("cpu"))


@functools.cache
def text() -> Task:
    """Invented sentences; an epoch has 8 steps, so that a run crosses its border."""
    sentences = [" ".join("abcdefgh"[(i * j) % 7 + j % 2] for j in range(1, 9)) for i in range(28)]
    splits = {"train": sentences[:20], "validation": sentences[20:24], "test": sentences[24:]}
    return LanguageModelling(text_data("invented", splits, 1), 4, 6, evaluation_columns=3)


def rewinding_to(step: int, weights: str = "start", schedule: str = "rewind") -> RewindingConfig:
    """A rewinding configuration."""
    return RewindingConfig(
        step=Steps(iterations=step),
        weights="keep" if weights == "keep" else "start",
        schedule="continue" if schedule == "continue" else "rewind",
    )


def session(
    experiment: Experiment = TINY, root: Path = Path("tiny"), task: Task | None = None, **how: Any
) -> Session:
    """An experiment on a task, the digits unless said otherwise; nothing is written."""
    return Session(experiment=experiment, run=Run(root), task=task or digits(), **how)


def open_run(root: Path, experiment: Experiment, data: Mapping[str, Any]) -> Run:
    """Begin a run's folder, or take it up."""
    return Run(open_folder(root, RUN_FOLDER, experiment, data).root)


def carry_out(
    experiment: Experiment, root: Path, task: Task | None = None, **how: Any
) -> list[Record]:
    """Begin a run, or go on with it."""
    one = session(experiment, root, task, **how)
    open_run(root, experiment, one.task.data.description())
    return find_tickets(one)


def dense_run(experiment: Experiment, root: Path) -> Session:
    """A session of a run that has finished its level 0 alone."""
    carry_out(dataclasses.replace(experiment, levels=0), root)
    open_run(root, experiment, digits().data.description())
    return session(experiment, root)


class StopAfter(Watcher):
    """Asks to stop after so many steps of stacks."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def stop_requested(self) -> bool:
        """Count one step."""
        self.left -= 1
        return self.left <= 0


def carry_out_in_pieces(
    experiment: Experiment,
    root: Path,
    task: Task | None = None,
    *,
    every: int,
    at_once: int | None = None,
) -> int:
    """Stop and go on, `every` steps at a time, until the run is done; returns how often it was stopped."""
    for stops in range(100):
        try:
            carry_out(experiment, root, task, watcher=StopAfter(every), at_once=at_once)
        except LotteryError as error:
            if error.exit_code != ExitCode.RESUMABLE:
                raise
        else:
            return stops
    raise AssertionError("a resumed run does not come to its end")


def files(root: Path) -> dict[str, bytes]:
    """Every file of a run by name, but for the lock and what describes the machine."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    held = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    if MANIFEST in held:
        listed = json.loads(held[MANIFEST])["files"]
        held[MANIFEST] = to_json({n: entry for n, entry in listed.items() if n != ENVIRONMENT})
    return {name: data for name, data in held.items() if name not in (LOCK, ENVIRONMENT)}
