"""Tasks of random content, for what is measured and not learned."""

from __future__ import annotations

import torch
from torch import Tensor

from training.datasets.images import ImageData, LabelledImages
from training.datasets.text import TextData
from training.datasets.vocabulary import END
from training.specs import ImageSpec, TextSpec
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling

CPU = torch.device("cpu")


def random_image_task(
    spec: ImageSpec,
    batch: int,
    count: int,
    *,
    validation: int = 10,
    device: torch.device = CPU,
) -> ImageClassification:
    """`count` images to train on."""
    own = (spec.channels, spec.height, spec.width)

    def images(number: int) -> LabelledImages:
        labels = torch.randint(spec.classes, (number,), device=device)
        return LabelledImages(torch.randn(number, *own, device=device), labels)

    data = ImageData(
        name="random",
        fingerprint="",
        spec=spec,
        train=images(count),
        validation=images(validation),
        test=images(10),
        mean=(0.0,) * spec.channels,
        deviation=(1.0,) * spec.channels,
    )
    return ImageClassification(data, batch)


def random_text_task(
    spec: TextSpec, columns: int, window: int, windows: int, device: torch.device = CPU
) -> LanguageModelling:
    """So many windows of so many words, in columns."""
    count = windows * columns * window + 1

    def words(number: int) -> Tensor:
        return torch.randint(spec.vocabulary, (number,), device=device)

    data = TextData(
        name="random",
        fingerprint="",
        words=(END, *map(str, range(spec.vocabulary - 1))),
        train=words(count),
        validation=torch.zeros(10, dtype=torch.int64, device=device),
        test=torch.zeros(10, dtype=torch.int64, device=device),
        word_counts={"train": count, "validation": 10, "test": 10},
        characters=False,
    )
    return LanguageModelling(data, columns, window)
