"""What `lottery data` says of a data set beyond what a run records: files, classes, copies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from training.datasets.catalog import DataEntry
from training.datasets.images import ImageData, LabelledImages

# Files beyond so many are counted, not listed.
MOST_FILES = 12


def whereabouts(entry: DataEntry, root: Path | None) -> str:
    """Where a data set was looked for, and whether it is there."""
    if entry.embedded:
        return "embedded"
    if entry.own_root:
        return "name it with --data-root"
    if root is None:
        return f"no data root: {entry.place} in --data-root or LOTTERY_DATA"
    paths = entry.paths(root)
    missing = [path for path in paths if not path.is_file()]
    return f"missing: {missing[0]}" if missing else f"found in {paths[0].parent}"


def file_sums(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of each file; of many files one sum, of their names and content."""
    if len(paths) <= MOST_FILES:
        return {str(path): _sum(path) for path in paths}
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name} {_sum(path)}\n".encode())
    return {f"{len(paths):,} files": digest.hexdigest()}


def image_facts(data: ImageData) -> dict[str, object]:
    """What is checked of images.

    Returns:
        `shape` (of images, and how many classes); `images per class` of each split, by label; `labels`, the
        least and the largest of each split; `copies`: images of the training files (validation images too) that
        repeat an earlier one, test images that repeat an earlier one, and test images that the training files hold.
        Images are copies of one another where every pixel is equal.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    trained, tested = _keys([data.train, data.validation]), _keys([data.test])
    known = set(trained)
    return {
        "shape": asdict(data.spec),
        "images per class": {
            name: torch.bincount(split.labels, minlength=data.spec.classes).tolist()
            for name, split in splits.items()
        },
        "labels": {name: _range(split.labels) for name, split in splits.items()},
        "copies": {
            "within train and validation": len(trained) - len(known),
            "within test": len(tested) - len(set(tested)),
            "of those in test": sum(key in known for key in tested),
        },
    }


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _keys(splits: Sequence[LabelledImages]) -> list[bytes]:
    """A hash of each image, long enough that no two different ones share it."""
    return [
        hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()
        for split in splits
        for image in split.images
    ]


def _range(labels: Tensor) -> dict[str, int]:
    return {"least": int(labels.min()), "largest": int(labels.max())}
