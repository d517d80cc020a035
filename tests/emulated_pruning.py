"""A whole run on an emulated device leaves the files of a run on a CPU.

`tests/test_emulated_device.py` runs this in a process of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.pruning.config import PruningConfig
from tests.emulated_cases import any_device
from tests.emulated_device import DEVICE, begin, emulated
from tests.tiny_runs import TINY, TINY_TEXT, carry_out, digits, files, text
from training.folders import MANIFEST
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task


@pytest.fixture(autouse=True, scope="module")
def _named() -> None:
    begin()


def images_on(device: torch.device) -> Task:
    """The digits."""
    task = digits()
    assert isinstance(task, ImageClassification)
    return ImageClassification(task.data.to(device), task.batch_size)


def words_on(device: torch.device) -> Task:
    """Invented sentences."""
    task = text()
    assert isinstance(task, LanguageModelling)
    return LanguageModelling(task.data.to(device), 4, 6, evaluation_columns=3)


FEW = dataclasses.replace(TINY.training, steps=Steps(iterations=8), eval_every=Steps(iterations=4))
LENET = dataclasses.replace(TINY, training=FEW)
LSTM = dataclasses.replace(TINY_TEXT, levels=1, training=dataclasses.replace(FEW, batch_size=4))
# Rewound with its momenta.
RESNET = dataclasses.replace(
    TINY,
    levels=1,
    arms=("shuffled-mask",),
    network=NetworkConfig(name="resnet", size={"depth": 8, "width": 2}),
    pruning=PruningConfig(rate=0.5, criterion="movement"),
    rewinding=RewindingConfig(step=Steps(iterations=3), optimizer_state="rewind"),
    training=FEW,
)


def without_device(root: Path) -> dict[str, bytes]:
    """The files of a run but for those that name the device, and for their sums."""
    named = {name for name in files(root) if name.endswith("execution.json")} | {MANIFEST}
    return {name: data for name, data in files(root).items() if name not in named}


@pytest.mark.parametrize(
    ("experiment", "task_on"),
    [(LENET, images_on), (RESNET, images_on), (LSTM, words_on)],
    ids=["lenet", "resnet", "awd-lstm"],
)
def test_a_run_on_a_device_is_that_on_the_cpu(
    experiment: Experiment, task_on: Callable[[torch.device], Task], tmp_path: Path
) -> None:
    here, there = (tmp_path / device / "run" for device in ("cpu", "emulated"))
    with any_device():
        expected = carry_out(experiment, here, task_on(torch.device("cpu")))
        with emulated() as emulation:
            found = carry_out(experiment, there, task_on(DEVICE))
    assert found == expected
    assert without_device(there) == without_device(here)
    assert not emulation.unrepeatable


def test_what_a_level_leaves_is_copied_once_not_for_every_replicate(tmp_path: Path) -> None:
    waits = []
    for seeds in ((0,), (0, 1, 2)):
        experiment = dataclasses.replace(LENET, levels=0, seeds=seeds)
        with any_device(), emulated() as emulation:
            carry_out(experiment, tmp_path / str(len(seeds)), images_on(DEVICE))
        waits.append(emulation.waits)
    copied = "lottery/pruning/masks.py:on_cpu"
    # Three matrices and three biases: the starting weights, then the trained ones.
    assert waits[0][copied] == waits[1][copied] == 2 * 6
    assert waits[0].keys() == waits[1].keys()
