"""MNIST and the data sets that share its file format, IDX (LeCun et al. 1998)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from training.datasets.checks import Published
from training.datasets.raw_images import (
    Array,
    Normalisation,
    RawImages,
    RawSplit,
    bad_file,
    check_fits,
    checked_split,
    missing_file,
    no_root,
)
from training.errors import in_one_line

# As torchvision lays them out below a data root.
FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}
# The constants that reproduce Figure 3 of Frankle & Carbin 2019, which the paper omits.
NORMALISATIONS = {"mnist": Normalisation(mean=(0.1307,), deviation=(0.3081,))}
_PARTS = ("train", "t10k")
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
PUBLISHED = {
    "mnist": Published(
        counts={"train": 60_000, "test": 10_000},
        sums={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": Published(
        counts={"train": 60_000, "test": 10_000},
        sums={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "kmnist": Published(
        counts={"train": 60_000, "test": 10_000},
        sums={
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
    ),
}


def idx_paths(name: str, root: Path) -> list[Path]:
    """The four files of a data set, each gzipped where only that is there."""
    folder = root / FOLDERS[name]
    return [_present(folder / f"{part}-{kind}") for part in _PARTS for kind in _KINDS]


def read_idx(name: str, root: Path | None) -> RawImages:
    """MNIST, Fashion-MNIST or Kuzushiji-MNIST: grey images of 28 x 28 in 10 classes, as many as the files hold.

    Raises:
        LotteryError: a file is missing, cut short or not what it should be.
    """
    if root is None:
        raise no_root(name, FOLDERS[name])
    paths = idx_paths(name, root)
    train, test = (_read_split(*paths[first : first + 2]) for first in (0, 2))
    return RawImages(
        name=name, train=train, test=test, classes=10, normalisation=NORMALISATIONS.get(name)
    )


def _present(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def _read_split(images: Path, labels: Path) -> RawSplit:
    return checked_split(labels, _read(images, (28, 28))[:, None], _read(labels, ()), 10)


def _read(path: Path, shape: tuple[int, ...]) -> Array:
    """The unsigned bytes of an IDX file, plain or gzipped: `[N, *shape]`."""
    if not path.is_file():
        raise missing_file(path, f"{'/'.join(path.parts[-3:-1])}, plain or as .gz")
    start = 4 + 4 * (1 + len(shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            count = _count(path, stream.read(start), shape)
            size = count * math.prod(shape)
            check_fits(path, size)
            # A byte too many is noticed, and what a small archive may grow to is never read.
            body = np.frombuffer(stream.read(size + 1), dtype=np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise bad_file(path, f"it can't be read ({in_one_line(error)})") from None
    if body.size != size or count == 0:
        raise bad_file(path, f"it holds {body.size:,} bytes, which is not {count:,} items")
    return body.reshape(count, *shape).copy()


def _count(path: Path, head: bytes, shape: tuple[int, ...]) -> int:
    """How many items a file's first bytes promise, if each is of the shape."""
    dimensions = 1 + len(shape)
    start = 4 + 4 * dimensions
    if len(head) < start or int.from_bytes(head[:4], "big") != 0x0800 + dimensions:
        raise bad_file(path, "it does not begin like an IDX file of bytes")
    count, *lengths = map(int, np.frombuffer(head[4:], dtype=">u4"))
    if tuple(lengths) != shape:
        raise bad_file(path, f"its images are {tuple(lengths)}, not {shape}")
    return count
