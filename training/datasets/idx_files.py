"""MNIST and the data sets that share its file format, IDX (LeCun et al. 1998)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from training.datasets.raw_images import (
    Array,
    Normalisation,
    RawImages,
    RawSplit,
    bad_file,
    checked_split,
    in_words,
    no_root,
)
from training.errors import ExitCode, LotteryError

# As torchvision lays them out below a data root.
FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}
# The constants that reproduce Figure 3 of Frankle & Carbin 2019, which the paper omits.
NORMALISATIONS = {"mnist": Normalisation(mean=(0.1307,), deviation=(0.3081,))}
_PARTS = ("train", "t10k")
_KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def idx_paths(name: str, root: Path) -> list[Path]:
    """The four files of a data set, each gzipped where only that is there."""
    folder = root / FOLDERS[name]
    return [_present(folder / f"{part}-{kind}") for part in _PARTS for kind in _KINDS]


def read_idx(name: str, root: Path | None) -> RawImages:
    """MNIST, Fashion-MNIST or Kuzushiji-MNIST: 60,000 and 10,000 grey images of 28 x 28 in 10 classes.

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
        raise LotteryError(
            f"{path} was not found, nor {path.name}.gz; name the folder that holds "
            f"{'/'.join(path.parts[-3:-1])} with --data-root or LOTTERY_DATA.",
            ExitCode.BAD_DATA,
        )
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise bad_file(path, f"it can't be read ({in_words(error)})") from None
    dimensions = 1 + len(shape)
    start = 4 + 4 * dimensions
    if len(data) < start or int.from_bytes(data[:4], "big") != 0x0800 + dimensions:
        raise bad_file(path, "it does not begin like an IDX file of bytes")
    count, *lengths = map(int, np.frombuffer(data[4:start], dtype=">u4"))
    if tuple(lengths) != shape:
        raise bad_file(path, f"its images are {tuple(lengths)}, not {shape}")
    body = np.frombuffer(data, dtype=np.uint8)[start:]
    if body.size != count * int(np.prod(shape, dtype=np.int64)) or count == 0:
        raise bad_file(path, f"it holds {body.size:,} bytes, which is not {count:,} items")
    return body.reshape(count, *shape).copy()
