"""Any images in folders, one per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from training.datasets.image_files import REMEDY, SUFFIXES, read_image
from training.datasets.raw_images import (
    MAX_SIDE,
    RawImages,
    RawSplit,
    bad_file,
    check_fits,
    checked_split,
)
from training.errors import ExitCode, LotteryError
from training.noise import generator

# What systems and programs put beside images, in lower case; like names that begin with a dot it is no data.
_NO_DATA = frozenset(("__macosx", "@eadir", "$recycle.bin", "lost+found", "thumbs.db"))
# Names of folders that hold a split, in lower case.
_SPLITS = {
    "train": frozenset(("train", "training")),
    "validation": frozenset(("val", "valid", "validation", "dev")),
    "test": frozenset(("test", "testing")),
}


def folder_paths(root: Path) -> list[Path]:
    """Every image below a folder, sorted; links are followed, and what is hidden is no data.

    Raises:
        LotteryError: a link leads nowhere, or to a folder that it lies in.
    """
    return sorted(_images(root)) if root.is_dir() else [root]


def read_folder(root: Path | None, options: Mapping[str, int]) -> RawImages:
    """Images of class folders, as RGB, resized to `side` x `side` pixels whatever their proportions are.

    `--data-root` is the folder itself: either ROOT/train/CLASS/* with ROOT/test/CLASS/* and, if it is there,
    ROOT/val/CLASS/*, or ROOT/CLASS/*, of which a fixed permutation puts a sixth into the test split, which is the share
    that CIFAR-10's has. Classes are numbered in the order of their names; a class folder may have folders of its own.
    See `read_image` for what becomes of each kind of pixel; `black_background` puts black behind what is transparent.

    Raises:
        LotteryError: there is no such folder, it has other splits, a class has no images, or an image can't be read.
    """
    if root is None or not root.is_dir():
        what = "no folder was named" if root is None else f"there is no folder {root}"
        raise LotteryError(
            f"folder reads a folder of class folders, and {what}; name one with --data-root FOLDER.",
            ExitCode.BAD_DATA,
        )
    for name, most in (("side", MAX_SIDE), ("black_background", 1)):
        if options[name] > most:
            least = 1 if name == "side" else 0
            raise LotteryError(
                f"data.options.{name} = {options[name]} is out of range; it must be {least} to {most:,}."
            )
    tops = _split_folders(root)
    classes = _classes(tops.get("train", root))
    for name in ("validation", "test"):
        if name in tops:
            _same_classes(tops[name], classes)
    if not tops:
        train, test = _divided(root, _read_split(root, classes, options))
        return RawImages(name="folder", train=train, test=test, classes=len(classes))
    splits = {name: _read_split(top, classes, options) for name, top in tops.items()}
    return RawImages(
        name="folder",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        classes=len(classes),
    )


def _entries(folder: Path) -> list[Path]:
    """What a folder holds that is neither hidden nor put there by a program."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.lower() not in _NO_DATA
    )


def _images(root: Path) -> Iterator[Path]:
    waiting: list[tuple[Path, frozenset[Path]]] = [(root, frozenset())]
    while waiting:
        folder, above = waiting.pop()
        real = folder.resolve()
        if real in above:
            fault = "it leads to a folder that it lies in"
            raise bad_file(folder, fault, "take the link away")
        for path in _entries(folder):
            if path.is_dir():
                waiting.append((path, above | {real}))
            elif not path.exists():
                raise bad_file(path, "it is a link that leads nowhere", "mend it or take it away")
            elif path.suffix.lower() in SUFFIXES:
                yield path


def _folders(top: Path) -> list[Path]:
    return [path for path in _entries(top) if path.is_dir()]


def _split_folders(root: Path) -> dict[str, Path]:
    """The folders that hold splits, by split; none where there are only classes, one of which may be called train.

    Raises:
        LotteryError: some splits but not those that are needed, or images beside them.
    """
    found = {
        split: [path for path in _folders(root) if path.name.lower() in names]
        for split, names in _SPLITS.items()
    }
    there = sorted(path for paths in found.values() for path in paths)
    if sum(map(bool, found.values())) < 2:
        return {}
    names = ", ".join(path.name for path in there)
    if not found["train"] or not found["test"] or len(there) > sum(map(bool, found.values())):
        raise bad_file(
            root,
            f"it is divided into {names}, and one train, one test and at most one val can be read",
            "call what is tested with in the end test; without val a part of train is held out for validation",
        )
    for path in _folders(root):
        if path not in there and next(_images(path), None) is not None:
            raise bad_file(path, f"it lies beside {names} and would not be read", "take it away")
    return {split: paths[0] for split, paths in found.items() if paths}


def _classes(top: Path) -> list[str]:
    """The names of the classes."""
    folders = _folders(top)
    if len(folders) < 2:
        raise LotteryError(
            f"{top} has {len(folders)} class folders, and at least 2 are needed; put each class's "
            "images into a folder of its own.",
            ExitCode.BAD_DATA,
        )
    for folder in folders:
        if _split_folders(folder):
            fault = "it is divided into splits below its class, and they would be mixed"
            raise bad_file(folder, fault, "put folders train and test above those of classes")
    return [folder.name for folder in folders]


def _same_classes(top: Path, classes: Sequence[str]) -> None:
    for name in _classes(top):
        if name not in classes:
            raise bad_file(top / name, "there is no training folder of that name", REMEDY)


def _read_split(top: Path, classes: Sequence[str], options: Mapping[str, int]) -> RawSplit:
    side, black = options["side"], options["black_background"] > 0
    paths = {name: folder_paths(top / name) for name in classes}
    for name, found in paths.items():
        if not found or not (top / name).is_dir():
            raise bad_file(top / name, "it holds no images", "put some there or take it away")
    total = sum(map(len, paths.values()))
    check_fits(top, total * 3 * side**2)
    images = np.empty((total, 3, side, side), dtype=np.uint8)
    for number, path in enumerate(path for found in paths.values() for path in found):
        images[number] = read_image(path, side, black)
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in paths.values()])
    return checked_split(top, images, labels, len(classes))


def _divided(root: Path, images: RawSplit) -> tuple[RawSplit, RawSplit]:
    """All images as training and test images."""
    count = len(images.labels)
    if count < 6:
        raise bad_file(root, f"it holds {count} images, and at least 6 are needed", "add images")
    order = torch.randperm(count, generator=generator(0, "folder split")).numpy()
    test, train = (
        RawSplit(images=images.images[part], labels=images.labels[part])
        for part in (order[: count // 6], order[count // 6 :])
    )
    return train, test
