"""From a configuration to a task with its data on the device."""

from __future__ import annotations

from pathlib import Path

import torch

from training.augmentation import Augmentation
from training.configs import DataConfig, TextTraining, TrainingConfig
from training.datasets.catalog import data_options, load_data
from training.datasets.images import ImageData
from training.errors import LotteryError
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task


def load_task(
    config: DataConfig, training: TrainingConfig, root: Path | None, device: torch.device
) -> Task:
    """Load a data set onto a device and make the task that it is for.

    Args:
        config: the data set and its options.
        training: of which the batch size, the weight of auxiliary classifiers and `text` are the task's.
        root: the folder of data files, or None.
        device: where to train.

    Raises:
        LotteryError: an unknown name or option, a missing or damaged file, a batch larger than the data, or settings
            of language models with images.
    """
    data = load_data(config, root).to(device)
    options = data_options(config)
    if isinstance(data, ImageData):
        if training.text != TextTraining():
            raise LotteryError(
                f"training.text is for language models, but {config.name} are images; leave it out."
            )
        augmentation = Augmentation(
            crop_padding=options["crop_padding"],
            flip=options["flip"] > 0,
            cutout=options["cutout"],
        )
        return ImageClassification(
            data, training.batch_size, augmentation, training.auxiliary_weight
        )
    return LanguageModelling(data, training.batch_size, options["sequence"], besides=training.text)
