"""Every data set by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.configs import DataConfig
from training.datasets.images import ImageData, download_mnist, load_digits, load_mnist
from training.datasets.text import TextData, load_pydoc
from training.errors import LotteryError, unknown

Data = ImageData | TextData


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set that can be named.

    Attributes:
        summary: one line for `lottery data`.
        embedded: whether it needs no files.
        options: settings and their defaults: whole numbers of at least 1, or of 0 where that is the default.
        load: reads it from a data root.
        download: fetches its files into a data root, or None where that can't be done.
    """

    summary: str
    embedded: bool
    options: Mapping[str, int]
    load: Callable[[Path | None, Mapping[str, int]], Data]
    download: Callable[[Path], None] | None = None


# Of training images: pixels of padding before a random crop, and whether to flip (1) or not (0).
AUGMENTATION = {"crop_padding": 0, "flip": 0}

DATASETS: dict[str, DataEntry] = {
    "digits": DataEntry(
        summary="1,797 handwritten digits of 8 x 8 pixels (scikit-learn)",
        embedded=True,
        options={"validation": 297, **AUGMENTATION},
        load=load_digits,
    ),
    "mnist": DataEntry(
        summary="70,000 handwritten digits of 28 x 28 pixels (LeCun et al. 1998)",
        embedded=False,
        options={"validation": 5000, **AUGMENTATION},
        load=load_mnist,
        download=download_mnist,
    ),
    "pydoc": DataEntry(
        summary="Python's own documentation topics, about 65,000 words",
        embedded=True,
        options={"least_count": 5, "sequence": 35},
        load=load_pydoc,
    ),
}


def data_entry(name: str) -> DataEntry:
    """The entry of a data set.

    Raises:
        LotteryError: there is none of that name.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name]


def data_options(config: DataConfig) -> dict[str, int]:
    """A data set's settings: its defaults, overlaid with the configuration's.

    Raises:
        LotteryError: a setting that it does not have, or a value that is out of range.
    """
    defaults = data_entry(config.name).options
    for key, value in config.options.items():
        if key not in defaults:
            near = difflib.get_close_matches(key, defaults, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise LotteryError(
                f"{config.name} has no option {key!r}{hint} Known: {', '.join(defaults)}."
            )
        least = min(defaults[key], 1)
        if value < least:
            raise LotteryError(
                f"data.options.{key} = {value} is out of range; it must be {least} or more."
            )
    return {**defaults, **config.options}


def load_data(config: DataConfig, root: Path | None) -> Data:
    """Load a data set into memory.

    Args:
        config: its name and options.
        root: the folder of data files; the environment variable LOTTERY_DATA where None.

    Raises:
        LotteryError: an unknown name or option, or a missing or damaged file.
    """
    if root is None and os.environ.get("LOTTERY_DATA"):
        root = Path(os.environ["LOTTERY_DATA"])
    return data_entry(config.name).load(root, data_options(config))
