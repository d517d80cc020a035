"""Every data set by name."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.configs import DataConfig
from training.datasets.cifar import CIFAR, cifar_paths, read_cifar
from training.datasets.corpora import CORPORA, corpus_paths, load_corpus, load_pydoc
from training.datasets.digits import read_digits
from training.datasets.downloads import download
from training.datasets.idx_files import FOLDERS, PUBLISHED, idx_paths, read_idx
from training.datasets.image_folders import folder_paths, read_folder
from training.datasets.images import ImageData, image_data
from training.datasets.npz_files import read_npz
from training.datasets.raw_images import Published, RawImages
from training.datasets.svhn import FILES, read_svhn, svhn_paths
from training.datasets.svhn import PUBLISHED as PUBLISHED_SVHN
from training.datasets.text import TextData
from training.errors import LotteryError, unknown

Data = ImageData | TextData
Options = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set that can be named.

    Attributes:
        summary: one line for `lottery data`.
        place: what holds it: `embedded`, `--data-root`, or files and folders below the data root.
        options: settings and their defaults: whole numbers of at least 1, or of 0 where that is the default.
        load: reads it from a data root.
        paths: the files that it would read from a data root, whether or not they are there.
        download: fetches its files into a data root, or None where that can't be done.
        published: how many images its source publishes, in which files; None for other data.
    """

    summary: str
    place: str
    options: Options
    load: Callable[[Path | None, Options], Data]
    paths: Callable[[Path], list[Path]] = lambda root: []
    download: Callable[[Path], None] | None = None
    published: Published | None = None

    @property
    def embedded(self) -> bool:
        """Whether it needs no files."""
        return self.place == EMBEDDED

    @property
    def own_root(self) -> bool:
        """Whether the data root is the data itself, so that it is looked for nowhere else."""
        return self.place == OWN_ROOT


EMBEDDED, OWN_ROOT = "embedded", "--data-root itself"
# How many images are trained on and tested with at most (0 is all). Of training images: pixels of padding before a
# random crop, whether to flip (1) or not (0), pixels of the side of a square that is cut out (0 for none).
LIMITS_AND_AUGMENTATION = {"train": 0, "test": 0, "crop_padding": 0, "flip": 0, "cutout": 0}
OPTIONS = {"validation": 5000, **LIMITS_AND_AUGMENTATION}
# Of images whose number is not known beforehand a tenth is held out, at most 5,000.
OWN_OPTIONS = {"validation": 0, **LIMITS_AND_AUGMENTATION}
# How often a token must stand in the training text to be known, whether tokens are characters (1) or words (0), how
# many tokens of each split are read at most (0 is all), and tokens per window.
TEXT_OPTIONS = {
    "least_count": 1,
    "characters": 0,
    "train": 0,
    "validation": 0,
    "test": 0,
    "sequence": 35,
}


def _images(read: Callable[[Path | None], RawImages]) -> Callable[[Path | None, Options], Data]:
    return lambda root, options: image_data(read(root), options)


def _idx(name: str, summary: str) -> DataEntry:
    return DataEntry(
        summary=summary,
        place=FOLDERS[name],
        options=OPTIONS,
        load=_images(functools.partial(read_idx, name)),
        paths=functools.partial(idx_paths, name),
        download=functools.partial(download, name),
        published=PUBLISHED[name],
    )


def _cifar(name: str, summary: str) -> DataEntry:
    return DataEntry(
        summary=summary,
        place=f"{CIFAR[name].folder} or {name}.npz",
        options=OPTIONS,
        load=_images(functools.partial(read_cifar, name)),
        paths=functools.partial(cifar_paths, name),
        download=functools.partial(download, name),
        published=CIFAR[name].published,
    )


def _text(name: str, summary: str) -> DataEntry:
    return DataEntry(
        summary=summary,
        place=CORPORA[name].folder or OWN_ROOT,
        options=TEXT_OPTIONS,
        load=functools.partial(load_corpus, name),
        paths=functools.partial(corpus_paths, name),
    )


DATASETS: dict[str, DataEntry] = {
    "digits": DataEntry(
        summary="1,797 handwritten digits of 8 x 8 pixels (scikit-learn)",
        place=EMBEDDED,
        options={**OPTIONS, "validation": 297},
        load=_images(lambda root: read_digits()),
    ),
    "mnist": _idx("mnist", "70,000 handwritten digits of 28 x 28 pixels (LeCun et al. 1998)"),
    "fashion-mnist": _idx(
        "fashion-mnist", "70,000 pieces of clothing of 28 x 28 pixels (Xiao et al. 2017)"
    ),
    "kmnist": _idx(
        "kmnist", "70,000 cursive Japanese letters of 28 x 28 pixels (Clanuwat et al. 2018)"
    ),
    "svhn": DataEntry(
        summary="99,289 house numbers' digits of 32 x 32 pixels, in colour (Netzer et al. 2011)",
        place=" and ".join(FILES),
        options=OPTIONS,
        load=_images(read_svhn),
        paths=svhn_paths,
        download=functools.partial(download, "svhn"),
        published=PUBLISHED_SVHN,
    ),
    "cifar-10": _cifar(
        "cifar-10", "60,000 colour images of 32 x 32 pixels in 10 classes (Krizhevsky 2009)"
    ),
    "cifar-100": _cifar(
        "cifar-100", "60,000 colour images of 32 x 32 pixels in 100 classes (Krizhevsky 2009)"
    ),
    "folder": DataEntry(
        summary="your own images, a folder per class",
        place=OWN_ROOT,
        # Pixels of a side, and whether black (1) or white (0) is behind what is transparent.
        options={**OWN_OPTIONS, "side": 32, "black_background": 0},
        load=lambda root, options: image_data(read_folder(root, options), options),
        paths=folder_paths,
    ),
    "npz": DataEntry(
        summary="your own images, as arrays in one .npz file",
        place=OWN_ROOT,
        options=OWN_OPTIONS,
        load=_images(read_npz),
        paths=lambda root: [root],
    ),
    "pydoc": DataEntry(
        summary="Python's own documentation topics, about 65,000 words",
        place=EMBEDDED,
        options={**TEXT_OPTIONS, "least_count": 5},
        load=load_pydoc,
    ),
    "ptb": _text("ptb", "the Penn Treebank, 1.1 million words (Mikolov et al. 2010)"),
    "wikitext-2": _text("wikitext-2", "Wikipedia, 2.6 million words (Merity et al. 2016)"),
    "text": _text("text", "your own text, as train.txt, valid.txt and test.txt"),
}


def data_entry(name: str) -> DataEntry:
    """The entry of a data set.

    Raises:
        LotteryError: there is none of that name.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS, "lottery data")
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
        if key == "characters" and value > 1:
            raise LotteryError(f"data.options.{key} = {value} is out of range; it must be 0 or 1.")
    return {**defaults, **config.options}


def data_root(given: Path | None) -> Path | None:
    """Where data files are: what was given, else the environment variable LOTTERY_DATA."""
    if given is None and os.environ.get("LOTTERY_DATA"):
        return Path(os.environ["LOTTERY_DATA"])
    return given


def load_data(config: DataConfig, root: Path | None) -> Data:
    """Load a data set into memory.

    Args:
        config: its name and options.
        root: the folder of data files; the environment variable LOTTERY_DATA where None.

    Raises:
        LotteryError: an unknown name or option, or a missing or damaged file.
    """
    return data_entry(config.name).load(data_root(root), data_options(config))
