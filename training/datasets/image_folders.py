"""Any images in folders, one per class."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from training.datasets.raw_images import (
    MAX_SIDE,
    Array,
    RawImages,
    RawSplit,
    bad_file,
    checked_split,
)
from training.errors import ExitCode, LotteryError, in_one_line
from training.noise import generator

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
)
_REMEDY = "mend the file or take it away"


def folder_paths(root: Path) -> list[Path]:
    """Every image below a folder, sorted."""
    if not root.is_dir():
        return [root]
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def read_folder(root: Path | None, options: Mapping[str, int]) -> RawImages:
    """Images of class folders, as RGB, resized to `side` x `side` pixels whatever their proportions are.

    `--data-root` is the folder itself: either ROOT/train/CLASS/* with ROOT/test/CLASS/*, or ROOT/CLASS/*, of which a
    fixed permutation puts a sixth into the test split, which is the share that CIFAR-10's has. Classes are numbered in
    the order of their names; a class folder may have folders of its own.

    Raises:
        LotteryError: there is no such folder, a class has no images, or an image can't be read.
    """
    if root is None or not root.is_dir():
        given = "nothing" if root is None else f"{root}, which is no folder,"
        raise LotteryError(
            f"folder reads a folder of class folders and {given} was given; name it with "
            "--data-root FOLDER.",
            ExitCode.BAD_DATA,
        )
    side = options["side"]
    if side > MAX_SIDE:
        raise LotteryError(
            f"data.options.side = {side} is out of range; it must be 1 to {MAX_SIDE:,}."
        )
    divided = (root / "train").is_dir() and (root / "test").is_dir()
    top = root / "train" if divided else root
    classes = _folders(top)
    train = _read_split(top, classes, side)
    if divided:
        _same_classes(root / "test", classes)
        test = _read_split(root / "test", classes, side)
    else:
        train, test = _divided(root, train)
    return RawImages(name="folder", train=train, test=test, classes=len(classes))


def _folders(top: Path) -> list[str]:
    """The names of the classes."""
    names = sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise LotteryError(
            f"{top} has {len(names)} class folders, and at least 2 are needed; put each class's "
            "images into a folder of its own.",
            ExitCode.BAD_DATA,
        )
    return names


def _same_classes(top: Path, classes: Sequence[str]) -> None:
    for name in _folders(top):
        if name not in classes:
            raise bad_file(top / name, "there is no training folder of that name", _REMEDY)


def _read_split(top: Path, classes: Sequence[str], side: int) -> RawSplit:
    paths = {name: folder_paths(top / name) for name in classes}
    for name, found in paths.items():
        if not found or not (top / name).is_dir():
            raise bad_file(top / name, "it holds no images", "put some there or take it away")
    images = np.stack([_read(path, side) for found in paths.values() for path in found])
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in paths.values()])
    return checked_split(top, images, labels, len(classes))


def _read(path: Path, side: int) -> Array:
    """One image as uint8 `[3, side, side]`."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow remarks on odd metadata, which nothing here reads.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if max(opened.size) > MAX_SIDE:
                    width, height = opened.size
                    fault = f"it has {height:,} x {width:,} pixels, not 1 to {MAX_SIDE:,} a side"
                    raise bad_file(path, fault, _REMEDY)
                image = opened.convert("RGB")
    except Image.DecompressionBombError:
        fault = f"it has far more than {MAX_SIDE:,} x {MAX_SIDE:,} pixels"
        raise bad_file(path, fault, _REMEDY) from None
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error) as error:
        fault = f"it can't be read as an image ({in_one_line(error)})"
        raise bad_file(path, fault, _REMEDY) from None
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)


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
