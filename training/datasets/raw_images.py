"""Images and labels as their files hold them, and what is wrong with files that hold something else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.device import physical_memory
from training.errors import ExitCode, LotteryError, in_one_line

Array = npt.NDArray[Any]
# Pixels of a side that an image may have.
MAX_SIDE = 4096
# Classes that a data set may have whose source does not fix them.
MAX_CLASSES = 10_000


@dataclass(frozen=True, kw_only=True)
class RawSplit:
    """Images `[N, C, H, W]` as uint8 or fp32, and labels `[N]` as int64."""

    images: Array
    labels: Array


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """What is subtracted from pixels in [0, 1], and what they are divided by, per channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RawImages:
    """A data set of labelled images before it is cut and normalised.

    Attributes:
        name: as in `lottery data`.
        train: what is trained on and validated with.
        test: what is tested with.
        classes: how many there are, whether or not each occurs.
        validation: what is validated with; None where that is held out of `train`.
        white: the value of a white pixel: 255 for bytes, 1 for fp32.
        normalisation: published constants; None for those of the training images.
    """

    name: str
    train: RawSplit
    test: RawSplit
    classes: int
    validation: RawSplit | None = None
    white: float = 255.0
    normalisation: Normalisation | None = None


def bad_file(path: Path, fault: str, remedy: str = "fetch the file again") -> LotteryError:
    """The error for a file that is not what it should be."""
    return LotteryError(f"{path}: {fault}; {remedy}.", ExitCode.BAD_DATA)


def check_fits(path: Path, size: int) -> None:
    """Refuse to read what can't fit into memory, before anything is read; `size` is in bytes.

    Raises:
        LotteryError: this machine has less.
    """
    memory = physical_memory()
    if size > memory:
        fault = f"it holds {size:,} bytes once it is read, and this machine has {memory:,}"
        raise bad_file(path, fault, "use a part of it or a larger machine")


def read_whole(path: Path) -> bytes:
    """The bytes of a file, which must fit into memory.

    Raises:
        LotteryError: they don't, or the file can't be read.
    """
    try:
        check_fits(path, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise bad_file(path, f"it can't be read ({in_one_line(error)})") from None


def missing_file(path: Path, location: str) -> LotteryError:
    """The error for a file that is not there; `location` is what the data root must hold."""
    return LotteryError(
        f"{path} was not found; name the folder that holds {location} with --data-root or LOTTERY_DATA.",
        ExitCode.BAD_DATA,
    )


def no_root(name: str, location: str) -> LotteryError:
    """The error for a data set of files when no data root is given; `location` is what it must hold."""
    return LotteryError(
        f"{name} needs its files: name the folder that holds {location} with --data-root, or set "
        f"LOTTERY_DATA; `lottery data {name} --download --data-root FOLDER` fetches them.",
        ExitCode.BAD_DATA,
    )


def checked_split(path: Path, images: Array, labels: Array, classes: int) -> RawSplit:
    """One split, after checks that hold for every data set.

    Args:
        path: the file of the labels, named where something is wrong.
        images: `[N, C, H, W]`.
        labels: whole numbers `[N]`.
        classes: labels must lie below it.

    Raises:
        LotteryError: lengths differ, there is nothing, an image is absurdly large or small, or a label is out of range.
    """
    if len(images) != len(labels):
        raise bad_file(path, f"it holds {len(labels):,} labels for {len(images):,} images")
    if not len(images):
        raise bad_file(path, "it holds no images")
    height, width = images.shape[2:]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise bad_file(path, f"its images are {height} x {width} pixels, not 1 to {MAX_SIDE:,}")
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < classes:
            raise bad_file(path, f"label {label} is out of range 0 to {classes - 1}")
    return RawSplit(images=images, labels=labels.astype(np.int64))
