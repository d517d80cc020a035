"""Street View House Numbers (Netzer et al. 2011), from its MATLAB files."""

from __future__ import annotations

from pathlib import Path

from training.datasets.checks import Published
from training.datasets.matlab_files import read_mat
from training.datasets.raw_images import (
    RawImages,
    RawSplit,
    bad_file,
    checked_split,
    missing_file,
    no_root,
)

FILES = ("train_32x32.mat", "test_32x32.mat")
PUBLISHED = Published(
    counts={"train": 73_257, "test": 26_032},
    sums={
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    },
)


def svhn_paths(root: Path) -> list[Path]:
    """The two files, also where a folder `svhn` holds them."""
    folder = root if (root / FILES[0]).is_file() or not (root / "svhn").is_dir() else root / "svhn"
    return [folder / name for name in FILES]


def read_svhn(root: Path | None) -> RawImages:
    """Colour images of 32 x 32 around a digit, as many as the files hold; their label 10 is the digit 0.

    Raises:
        LotteryError: a file is missing or not what it should be.
    """
    if root is None:
        raise no_root("svhn", " and ".join(FILES))
    train, test = (_read(path) for path in svhn_paths(root))
    return RawImages(name="svhn", train=train, test=test, classes=10)


def _read(path: Path) -> RawSplit:
    if not path.is_file():
        raise missing_file(path, " and ".join(FILES))
    arrays = read_mat(path, ("X", "y"))
    for key in ("X", "y"):
        if key not in arrays:
            raise bad_file(path, f"it holds no numbers {key}")
    images, labels = arrays["X"], arrays["y"]
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != "uint8":
        raise bad_file(path, f"X is {images.dtype} {images.shape}, not uint8 (32, 32, 3, N)")
    if labels.dtype.kind not in "iu" or labels.shape != (labels.size, 1):
        raise bad_file(path, f"y is {labels.dtype} {labels.shape}, not whole numbers (N, 1)")
    for label in labels[(labels < 1) | (labels > 10)][:1]:
        raise bad_file(path, f"label {label} is out of range 1 to 10")
    return checked_split(path, images.transpose(3, 2, 0, 1), labels[:, 0] % 10, 10)
