"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from torchvision's files or from one .npz file."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.checks import Published
from training.datasets.npz_files import read_npz_file
from training.datasets.raw_images import (
    Array,
    Normalisation,
    RawImages,
    RawSplit,
    bad_file,
    checked_split,
    missing_file,
    no_root,
    read_whole,
)


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The published files of a data set.

    Attributes:
        folder: below the data root.
        train: the MD5 that torchvision publishes for each file of training images.
        test: likewise for the file of test images.
        labels: the key of the labels in a file.
        classes: how many there are.
        normalisation: published constants; None for those of the training images.
    """

    folder: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    labels: str
    classes: int
    normalisation: Normalisation | None = None

    @property
    def published(self) -> Published:
        """How many images there are, in which files."""
        counts = {"train": 50_000, "test": 10_000}
        return Published(counts=counts, sums={**self.train, **self.test})


CIFAR = {
    "cifar-10": Batches(
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        labels="labels",
        classes=10,
        # Mean and deviation of the 50,000 training images, as DARTS uses them (Liu et al. 2019, cnn/utils.py).
        normalisation=Normalisation(
            mean=(0.4914, 0.4822, 0.4465), deviation=(0.2470, 0.2435, 0.2616)
        ),
    ),
    "cifar-100": Batches(
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        labels="fine_labels",
        classes=100,
    ),
}


def cifar_paths(name: str, root: Path) -> list[Path]:
    """The files that are read: torchvision's, or one .npz file where only that is there."""
    batches = CIFAR[name]
    published = [root / batches.folder / file for file in (*batches.train, *batches.test)]
    single = [root / f"{name}.npz", root / name / f"{name}.npz"]
    if not published[0].is_file():
        return next(([path] for path in single if path.is_file()), published)
    return published


def read_cifar(name: str, root: Path | None) -> RawImages:
    """Colour images of 32 x 32: 50,000 and 10,000 of the published files, of an .npz file as many as it holds.

    Raises:
        LotteryError: a file is missing or not what it should be.
    """
    batches = CIFAR[name]
    if root is None:
        raise no_root(name, f"{batches.folder} or {name}.npz")
    paths = cifar_paths(name, root)
    if paths[0].suffix == ".npz":
        train, test, _ = read_npz_file(paths[0], batches.classes)
        if train.images.shape[1:] != (3, 32, 32):
            raise bad_file(paths[0], f"its images are {train.images.shape[1:]}, not (3, 32, 32)")
    else:
        train = _read_batches(paths[:-1], batches.train, batches)
        test = _read_batches(paths[-1:], batches.test, batches)
    return RawImages(
        name=name,
        train=train,
        test=test,
        classes=batches.classes,
        white=255.0 if train.images.dtype == np.uint8 else 1.0,
        normalisation=batches.normalisation,
    )


def _read_batches(paths: list[Path], sums: Mapping[str, str], batches: Batches) -> RawSplit:
    parts = [_read_batch(path, sums[path.name], batches) for path in paths]
    return RawSplit(
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )


def _read_batch(path: Path, md5: str, batches: Batches) -> RawSplit:
    """One published file.

    The files are pickles, which may run anything. So the bytes that were read are unpickled only where they are, by
    their MD5, the published ones: nobody can make other bytes with that sum.
    """
    if not path.is_file():
        raise missing_file(path, batches.folder)
    raw = read_whole(path)
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != md5:
        raise bad_file(path, f"its MD5 is {found}, not the published {md5}")
    images, labels = _unpickled(raw, batches.labels)
    return checked_split(path, images.reshape(-1, 3, 32, 32), labels, batches.classes)


def _unpickled(raw: bytes, labels: str) -> tuple[Array, Array]:
    with warnings.catch_warnings():
        # The files were written by an older numpy, which newer ones remark on.
        warnings.simplefilter("ignore")
        batch: dict[str, Any] = pickle.loads(raw, encoding="latin1")
    return batch["data"], np.asarray(batch[labels])
