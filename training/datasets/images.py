"""Labelled images as tensors in memory, and what is told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.datasets.checks import Published, as_published
from training.datasets.corruption import corruption_in_words
from training.specs import ImageSpec

OF_THOSE_IN_TEST = "of those in test"


@dataclass(frozen=True)
class LabelledImages:
    """One split: images `[N, C, H, W]` fp32, normalised, and labels `[N]` int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> LabelledImages:
        """The same split on a device."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set of labelled images.

    Attributes:
        name: as in `lottery data`.
        fingerprint: SHA-256 of the raw images and labels, the split and the limits.
        spec: what a network must take and give.
        train: the split that is trained on.
        validation: the split that chooses the early-stop step.
        test: the split that is read once and chooses nothing.
        mean: subtracted from pixels in [0, 1], per channel.
        deviation: divided by, per channel.
        corruption: what corrupts the images that are trained on, see `training.datasets.corruption`; empty for nothing.
    """

    name: str
    fingerprint: str
    spec: ImageSpec
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    corruption: Mapping[str, int] = field(default_factory=dict)

    @property
    def black(self) -> Tensor:
        """The value of a black pixel, `[C]`, on the device of the data."""
        values = [-m / d for m, d in zip(self.mean, self.deviation, strict=True)]
        return torch.tensor(values, device=self.train.images.device)

    def to(self, device: torch.device) -> ImageData:
        """The same data on a device."""
        return replace(
            self,
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )

    def splits(self) -> dict[str, LabelledImages]:
        """The images of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def description(self) -> dict[str, Any]:
        """What a run records of its data.

        `copies` counts images of the training files (validation images too) that repeat an earlier one, test images
        that repeat an earlier one, and test images that the training files hold. Images are copies of one another
        where every pixel is equal. `notices` are sentences for whoever trains on the data. Where what is trained on is
        corrupted, `corruption` has the options that say how.
        """
        copies = self._copies()
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            **self.spec.description(),
            "examples": {name: len(split) for name, split in self.splits().items()},
            "normalisation": {"mean": [*self.mean], "deviation": [*self.deviation]},
            "baselines": [],
            "copies": copies,
            "notices": self._notices(copies[OF_THOSE_IN_TEST]),
            **({"corruption": {**self.corruption}} if self.corruption else {}),
        }

    def details(self) -> dict[str, Any]:
        """What is checked of images.

        Returns:
            `shape` (of images, and how many classes); `images per class` of each split, by label; `labels`, the
            least and the largest of each split.
        """
        labels = {name: split.labels for name, split in self.splits().items()}
        return {
            "shape": asdict(self.spec),
            "images per class": {
                name: torch.bincount(of_split, minlength=self.spec.classes).tolist()
                for name, of_split in labels.items()
            },
            "labels": {
                name: {"least": int(of_split.min()), "largest": int(of_split.max())}
                for name, of_split in labels.items()
            },
        }

    def as_published(self, published: Published, paths: Sequence[Path]) -> str:
        """See `training.datasets.checks.as_published`."""
        counts = {"train": len(self.train) + len(self.validation), "test": len(self.test)}
        return as_published(published, counts, "images", paths)

    def _copies(self) -> dict[str, int]:
        trained, tested = _keys([self.train, self.validation]), _keys([self.test])
        known = set(trained)
        return {
            "within train and validation": len(trained) - len(known),
            "within test": len(tested) - len(set(tested)),
            OF_THOSE_IN_TEST: sum(key in known for key in tested),
        }

    def _notices(self, leaked: int) -> list[str]:
        corruption = corruption_in_words(self.name, self.corruption)
        if not leaked:
            return corruption
        return [
            *corruption,
            f"{leaked:,} of the {len(self.test):,} test images of {self.name} are also trained on or "
            "validated with, so its test accuracy is not that on new images alone.",
        ]


def _keys(splits: Sequence[LabelledImages]) -> list[bytes]:
    """A hash of each image, long enough that no two different ones share it."""
    return [
        hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        for split in splits
        for image in split.images.cpu().numpy()
    ]
