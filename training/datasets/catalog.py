"""Every data set by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from training.configs import DataConfig
from training.datasets.checks import Published
from training.datasets.cifar import CIFAR, cifar_paths, read_cifar
from training.datasets.corpora import CORPORA, corpus_paths, load_corpus, load_pydoc
from training.datasets.corruption import CORRUPTION
from training.datasets.data import Data, Options
from training.datasets.digits import read_digits
from training.datasets.downloads import FETCHED, download
from training.datasets.entry import EMBEDDED, OWN_ROOT, DataEntry, no_paths
from training.datasets.idx_files import FOLDERS, PUBLISHED, idx_paths, read_idx
from training.datasets.image_folders import folder_paths, read_folder
from training.datasets.image_splits import image_data
from training.datasets.npz_files import read_npz
from training.datasets.raw_images import RawImages
from training.datasets.svhn import FILES, read_svhn, svhn_paths
from training.datasets.svhn import PUBLISHED as PUBLISHED_SVHN
from training.errors import chosen
from training.specs import ImageSpec, TextSpec

# How many images are trained on and tested with at most (0 is all). Of training images: pixels of padding before a
# random crop, whether to flip (1) or not (0), pixels of the side of a square that is cut out (0 for none).
IMAGE_OPTIONS = {
    **{"train": 0, "test": 0, "crop_padding": 0, "flip": 0, "cutout": 0},
    **CORRUPTION,
}
OPTIONS = {"validation": 5000, **IMAGE_OPTIONS}
# Of images whose number is not known beforehand a tenth is held out, at most 5,000.
OWN_OPTIONS = {"validation": 0, **IMAGE_OPTIONS}
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


def _images(
    name: str,
    summary: str,
    location: str,
    read: Callable[[Path | None, Options], RawImages],
    options: Options = OPTIONS,
    paths: Callable[[Path], list[Path]] = no_paths,
    published: Published | None = None,
) -> DataEntry:
    def load(root: Path | None, options: Options) -> Data:
        return image_data(read(root, options), options)

    return DataEntry(
        name=name,
        kind=ImageSpec.kind,
        summary=summary,
        location=location,
        options=options,
        load=load,
        paths=paths,
        download=partial(download, name) if name in FETCHED else None,
        published=published,
    )


def _idx(name: str, summary: str) -> DataEntry:
    return _images(
        name,
        summary,
        FOLDERS[name],
        lambda root, _: read_idx(name, root),
        paths=partial(idx_paths, name),
        published=PUBLISHED[name],
    )


def _cifar(name: str, summary: str) -> DataEntry:
    return _images(
        name,
        summary,
        f"{CIFAR[name].folder} or {name}.npz",
        lambda root, _: read_cifar(name, root),
        paths=partial(cifar_paths, name),
        published=CIFAR[name].published,
    )


def _corpus(name: str, summary: str) -> DataEntry:
    return DataEntry(
        name=name,
        kind=TextSpec.kind,
        summary=summary,
        location=CORPORA[name].folder or OWN_ROOT,
        options=TEXT_OPTIONS,
        load=partial(load_corpus, name),
        paths=partial(corpus_paths, name),
        published=CORPORA[name].published,
    )


_ENTRIES = (
    _images(
        "digits",
        "1,797 handwritten digits of 8 x 8 pixels (scikit-learn)",
        EMBEDDED,
        lambda root, _: read_digits(),
        {**OPTIONS, "validation": 297},
    ),
    _idx("mnist", "70,000 handwritten digits of 28 x 28 pixels (LeCun et al. 1998)"),
    _idx("fashion-mnist", "70,000 pieces of clothing of 28 x 28 pixels (Xiao et al. 2017)"),
    _idx("kmnist", "70,000 cursive Japanese letters of 28 x 28 pixels (Clanuwat et al. 2018)"),
    _images(
        "svhn",
        "99,289 house numbers' digits of 32 x 32 pixels, in colour (Netzer et al. 2011)",
        " and ".join(FILES),
        lambda root, _: read_svhn(root),
        paths=svhn_paths,
        published=PUBLISHED_SVHN,
    ),
    _cifar("cifar-10", "60,000 colour images of 32 x 32 pixels in 10 classes (Krizhevsky 2009)"),
    _cifar("cifar-100", "60,000 colour images of 32 x 32 pixels in 100 classes (Krizhevsky 2009)"),
    _images(
        "folder",
        "your own images, a folder per class",
        OWN_ROOT,
        read_folder,
        # Pixels of a side, and whether black (1) or white (0) is behind what is transparent.
        {**OWN_OPTIONS, "side": 32, "black_background": 0},
        folder_paths,
    ),
    _images(
        "npz",
        "your own images, as arrays in one .npz file",
        OWN_ROOT,
        lambda root, _: read_npz(root),
        OWN_OPTIONS,
        lambda root: [root],
    ),
    DataEntry(
        name="pydoc",
        kind=TextSpec.kind,
        summary="Python's own documentation topics, about 65,000 words",
        location=EMBEDDED,
        options={**TEXT_OPTIONS, "least_count": 5},
        load=load_pydoc,
    ),
    _corpus("ptb", "the Penn Treebank, 1.1 million words (Mikolov et al. 2010)"),
    _corpus("wikitext-2", "Wikipedia, 2.6 million words (Merity et al. 2016)"),
    _corpus("text", "your own text, as train.txt, valid.txt and test.txt"),
)
DATASETS: dict[str, DataEntry] = {entry.name: entry for entry in _ENTRIES}


def data_entry(name: str) -> DataEntry:
    """The entry of a data set.

    Raises:
        LotteryError: there is none of that name.
    """
    return chosen("data set", name, DATASETS, "lottery data")


def data_options(config: DataConfig) -> dict[str, int]:
    """A data set's options: its defaults, overlaid with the configuration's.

    Raises:
        LotteryError: an option that it does not have, or a value that is out of range.
    """
    return data_entry(config.name).options_with(config.options)


def data_root(root: Path | None) -> Path | None:
    """Where data files are: the folder that was given, else the environment variable LOTTERY_DATA."""
    if root is None and os.environ.get("LOTTERY_DATA"):
        return Path(os.environ["LOTTERY_DATA"])
    return root


def load_data(config: DataConfig, root: Path | None) -> Data:
    """Load a data set into memory.

    Args:
        config: its name and options.
        root: the folder of data files; the environment variable LOTTERY_DATA where None.

    Raises:
        LotteryError: an unknown name or option, or a missing or damaged file.
    """
    return data_entry(config.name).load(data_root(root), data_options(config))
