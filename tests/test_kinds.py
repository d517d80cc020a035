"""Kinds of data: what specs answer, and that data sets and tasks of one kind find each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from nas.catalog.building import build
from nas.search.cell_space import CellSpace
from nas.search.shared import shared_network
from tests.tiny_tasks import IMAGES, config, image_data
from tests.toy_task import Toy
from training.configs import DataConfig, TrainingConfig
from training.datasets.catalog import DATASETS
from training.datasets.data import Data, Options
from training.datasets.entry import EMBEDDED, DataEntry
from training.datasets.images import ImageData
from training.errors import LotteryError
from training.noise import generator
from training.specs import ImageSpec, TextSpec
from training.tasks.catalog import TASKS, TaskEntry, load_task
from training.tasks.settings import TextTraining
from training.tasks.task import Task

CPU = torch.device("cpu")


def test_specs_say_what_a_network_takes_and_gives() -> None:
    images = ImageSpec(channels=3, height=32, width=24, classes=1000)
    assert (images.kind, images.outputs, images.pixels) == ("images", 1000, 768)
    assert images.inputs_in_words == "images of 3 x 32 x 24"
    assert images.in_words == "images of 3 x 32 x 24, 1,000 classes"
    text = TextSpec(vocabulary=10_000)
    assert (text.kind, text.outputs, text.pixels) == ("text", 10_000, 0)
    assert text.inputs_in_words == "text of 10,000 words"
    assert text.in_words == "a vocabulary of 10,000"


def test_sizes_are_at_least_1() -> None:
    with pytest.raises(ValueError, match="vocabulary is at least 1, not 0"):
        TextSpec(vocabulary=0)
    with pytest.raises(ValueError, match="width is at least 1, not -1"):
        dataclasses.replace(IMAGES, width=-1)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_data_set_has_a_task(name: str) -> None:
    assert DATASETS[name].name == name
    assert DATASETS[name].kind in TASKS


@pytest.mark.parametrize("name", ["digits", "pydoc"])
def test_data_are_of_the_kind_that_their_entry_says(name: str) -> None:
    task = load_task(DataConfig(name=name), config(), None, CPU)
    assert task.spec.kind == task.data.spec.kind == DATASETS[name].kind
    assert set(task.spec.limits) <= DATASETS[name].options.keys()
    assert list(task.data.splits()) == ["train", "validation", "test"]
    description = task.data.description()
    assert (description["name"], description["fingerprint"]) == (name, task.data.fingerprint)
    assert {"baselines", "notices"} <= description.keys()
    assert description["kind"] == DATASETS[name].kind
    assert description["counted in"] == task.spec.unit
    assert description["limits"] == list(task.spec.limits)


# --- a kind that nobody else knows


@dataclasses.dataclass(frozen=True, kw_only=True)
class OtherSpec(ImageSpec):
    """Images of a kind of their own."""

    kind: ClassVar[str] = "others"


OTHER = OtherSpec(channels=1, height=8, width=8, classes=3)


class Others(Toy):
    """The task of that kind."""

    def __init__(self, data: ImageData) -> None:
        super().__init__()
        self.data = data
        self.spec = data.spec


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for the data set, and one for the task."""

    def load(root: Path | None, options: Options) -> Data:
        return dataclasses.replace(image_data(), spec=OTHER)

    def make(data: ImageData, options: Options, training: TrainingConfig) -> Task:
        return Others(data)

    entry = DataEntry(
        name="mine", kind="others", summary="", location=EMBEDDED, options={}, load=load
    )
    monkeypatch.setitem(DATASETS, "mine", entry)
    monkeypatch.setitem(TASKS, "others", TaskEntry(make=make))


@pytest.mark.usefixtures("others")
def test_another_kind_is_one_entry_for_its_data_and_one_for_its_task() -> None:
    task = load_task(DataConfig(name="mine"), config(), None, CPU)
    assert (task.spec, task.data.name) == (OTHER, "tiny-images")
    texts = dataclasses.replace(config(), text=TextTraining(activation=1.0))
    wanted = "training.text is for language models, but mine are others; leave it out."
    with pytest.raises(LotteryError, match=wanted):
        load_task(DataConfig(name="mine"), texts, None, CPU)


@pytest.mark.usefixtures("others")
def test_what_is_not_for_another_kind_says_so() -> None:
    task = load_task(DataConfig(name="mine"), config(), None, CPU)
    with pytest.raises(LotteryError, match="no rewards for others"):
        task.rewards(0, 80.0)
    with pytest.raises(LotteryError, match="about others; choose other data, or a network of your"):
        build("lenet-300-100", {}, task.spec, generator(0, "initial weights"))
    with pytest.raises(LotteryError, match="the space cell is not for others; choose other data"):
        shared_network(CellSpace(), {}, task.spec, generator(0, "shared weights"))


def test_a_kind_without_a_task_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = dataclasses.replace(DATASETS["digits"], kind="sounds")
    monkeypatch.setitem(DATASETS, "digits", entry)
    with pytest.raises(LotteryError, match="There is no task for data of kind 'sounds'"):
        load_task(DataConfig(name="digits"), config(), None, CPU)
