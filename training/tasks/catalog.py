"""The task of each kind of data, and from a configuration to a task with its data on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from training.configs import DataConfig, TrainingConfig
from training.datasets.catalog import data_entry, data_options, load_data
from training.datasets.data import Options
from training.errors import LotteryError, chosen
from training.specs import ImageSpec, TextSpec
from training.tasks.image_classification import image_classification
from training.tasks.language_modelling import language_modelling
from training.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """What is learned from one kind of data.

    Attributes:
        make: makes the task from data of that kind, their options and the settings of the training.
        settings: the fields of `TrainingConfig` that are for it alone, and refused with other data -> what they are
            for, in the plural.
    """

    make: Callable[[Any, Options, TrainingConfig], Task]
    settings: Mapping[str, str] = field(default_factory=dict)


TASKS: dict[str, TaskEntry] = {
    ImageSpec.kind: TaskEntry(
        make=image_classification, settings={"auxiliary_weight": "classifiers of images"}
    ),
    TextSpec.kind: TaskEntry(make=language_modelling, settings={"text": "language models"}),
}


def load_task(
    config: DataConfig, training: TrainingConfig, root: Path | None, device: torch.device
) -> Task:
    """Load a data set onto a device and make the task that it is for.

    Args:
        config: the data set and its options.
        training: of which the batch size and the settings of that task are used.
        root: the folder of data files, or None.
        device: where to train.

    Raises:
        LotteryError: an unknown name or option, a missing or damaged file, a batch larger than the data, or settings
            of another task.
    """
    kind = data_entry(config.name).kind
    entry = chosen("task for data of kind", kind, TASKS)
    _check_settings(training, config.name, kind)
    data = load_data(config, root).to(device)
    return entry.make(data, data_options(config), training)


def _check_settings(training: TrainingConfig, name: str, kind: str) -> None:
    """Refuse settings of tasks of other kinds."""
    plain = {field.name: field.default for field in dataclasses.fields(training)}
    others = (entry for other, entry in TASKS.items() if other != kind)
    for setting, networks in (item for entry in others for item in entry.settings.items()):
        if getattr(training, setting) != plain[setting]:
            raise LotteryError(
                f"training.{setting} is for {networks}, but {name} are {kind}; leave it out."
            )
