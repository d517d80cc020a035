"""Any images in one .npz file of numpy."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from training.datasets.raw_images import (
    MAX_CLASSES,
    MAX_SIDE,
    Array,
    RawImages,
    RawSplit,
    bad_file,
    check_fits,
    checked_split,
)
from training.errors import ExitCode, LotteryError, in_one_line

_REMEDY = "write it again with numpy.savez"
# What zipfile and numpy raise for a file that is cut, damaged, encrypted or packed in a way that they don't know. Sizes
# are checked before: what still finds no memory is a decompressor that a damaged file sets up.
_UNREADABLE = (
    *(ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, lzma.LZMAError, struct.error, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error),
)


def read_npz(root: Path | None) -> RawImages:
    """The images of a file that `--data-root` names.

    It holds `train_images`, `train_labels`, `test_images` and `test_labels`. Images are `[N, H, W]` (grey),
    `[N, H, W, C]` or `[N, C, H, W]` with 1 or 3 channels (the last dimension is taken for the channels where both could
    be), as uint8 or as floats in [0, 1]; labels are whole numbers `[N]` from 0. An array `classes` of strings may
    name the classes; without it there is one more than the largest label.

    Raises:
        LotteryError: there is no such file, or it holds something else.
    """
    if root is None or not root.is_file():
        named = "nothing" if root is None else f"{root}, which is no file,"
        raise LotteryError(
            f"npz reads one file and {named} was given; name the file itself, as in "
            "--data-root images.npz.",
            ExitCode.BAD_DATA,
        )
    train, test, classes = read_npz_file(root)
    white = 255.0 if train.images.dtype == np.uint8 else 1.0
    return RawImages(name="npz", train=train, test=test, classes=classes, white=white)


def read_npz_file(path: Path, classes: int | None = None) -> tuple[RawSplit, RawSplit, int]:
    """Both splits of a file, and the number of classes, where that is not given.

    Raises:
        LotteryError: the file can't be read, or holds something else.
    """
    names = ["train_images", "train_labels", "test_images", "test_labels"]
    arrays = _arrays(path, names)
    labels = [_labels(path, name, arrays[name]) for name in names[1::2]]
    images = [_channels_first(path, name, arrays[name]) for name in names[::2]]
    if images[0].shape[1:] != images[1].shape[1:] or images[0].dtype != images[1].dtype:
        raise bad_file(
            path,
            f"train_images are {images[0].dtype} {images[0].shape[1:]} and test_images "
            f"{images[1].dtype} {images[1].shape[1:]}",
            _REMEDY,
        )
    count = classes or _classes(path, arrays.get("classes"), labels)
    train, test = (checked_split(path, *pair, count) for pair in zip(images, labels, strict=True))
    return train, test, count


def _arrays(path: Path, names: list[str]) -> dict[str, Array]:
    """The named arrays and `classes`, if it is there; headers are checked before anything is read for them."""
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in names:
                if name not in there:
                    raise bad_file(path, f"it holds no {name}", _REMEDY)
            wanted = [*names, *(["classes"] if "classes" in there else [])]
            check_fits(path, sum(archive.getinfo(f"{name}.npy").file_size for name in wanted))
            for name in wanted:
                _check_header(path, archive, name)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in wanted}
    except _UNREADABLE as error:
        fault = f"it can't be read as an .npz file ({in_one_line(error)})"
        raise bad_file(path, fault, _REMEDY) from None


def _check_header(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """Refuse an array of objects or of nothing, and one that is not as long as its header says."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in read:
            raise bad_file(path, f"{name} has version {version} of numpy's format", _REMEDY)
        shape, _, dtype = read[version](stream)
        length = info.file_size - stream.tell()
    if dtype.hasobject:
        raise bad_file(path, f"{name} holds Python objects, which are never unpickled", _REMEDY)
    if dtype.itemsize == 0 or not all(type(count) is int for count in shape):
        raise bad_file(path, f"{name} has items {dtype} in the shape {shape}", _REMEDY)
    expected = dtype.itemsize * math.prod(shape)
    if length != expected:
        raise bad_file(path, f"{name} has {length:,} bytes, not {expected:,}", _REMEDY)


def _labels(path: Path, name: str, labels: Array) -> Array:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        fault = f"{name} are {labels.dtype} {labels.shape}, not whole numbers (N,)"
        raise bad_file(path, fault, _REMEDY)
    return labels


def _channels_first(path: Path, name: str, images: Array) -> Array:
    """`[N, C, H, W]`, as uint8 or as fp32 in [0, 1]."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.ndim != 4 or images.shape[1] not in (1, 3):
        fault = f"{name} have the shape {images.shape}, not (N, H, W) or (N, H, W, 1 or 3)"
        raise bad_file(path, fault, _REMEDY)
    if max(images.shape[2:]) > MAX_SIDE or not min(images.shape):
        fault = f"{name} have the shape {images.shape}, with a side outside 1 to {MAX_SIDE:,}"
        raise bad_file(path, fault, _REMEDY)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
        fault = f"{name} are {images.dtype}, neither uint8 nor floats in [0, 1]"
        raise bad_file(path, fault, _REMEDY)
    return images.astype(np.float32)


def _classes(path: Path, names: Array | None, labels: list[Array]) -> int:
    """How many classes there are."""
    if names is not None:
        if names.ndim != 1 or names.dtype.kind != "U":
            raise bad_file(path, f"classes are {names.dtype}, not strings (N,)", _REMEDY)
        if not 1 <= len(names) <= MAX_CLASSES:
            fault = f"it names {len(names):,} classes, not 1 to {MAX_CLASSES:,}"
            raise bad_file(path, fault, _REMEDY)
        return len(names)
    largest = max((int(part.max()) for part in labels if part.size), default=0)
    if largest >= MAX_CLASSES:
        fault = f"label {largest} is out of range 0 to {MAX_CLASSES - 1:,}"
        raise bad_file(path, fault, _REMEDY)
    return largest + 1
