"""Images as tensors in memory: fixed, seeded splits, normalised with recorded constants."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.errors import ExitCode, LotteryError
from training.noise import generator
from training.specs import ImageSpec

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """One split: images `[N, C, H, W]` fp32, normalised, and labels `[N]` int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> LabelledImages:
        """The same split on a device."""
        return LabelledImages(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set of labelled images.

    Attributes:
        name: as in `lottery data`.
        fingerprint: SHA-256 of the raw images and labels and the split.
        spec: what a network must take and give.
        train: the split that is trained on.
        validation: the split that chooses the early-stop step.
        test: the split that is read once and chooses nothing.
        mean: subtracted from pixels in [0, 1].
        deviation: divided by.
    """

    name: str
    fingerprint: str
    spec: ImageSpec
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    mean: float
    deviation: float

    @property
    def black(self) -> float:
        """The value of a black pixel."""
        return -self.mean / self.deviation

    def to(self, device: torch.device) -> ImageData:
        """The same data on a device."""
        splits = (self.train.to(device), self.validation.to(device), self.test.to(device))
        return ImageData(
            name=self.name,
            fingerprint=self.fingerprint,
            spec=self.spec,
            train=splits[0],
            validation=splits[1],
            test=splits[2],
            mean=self.mean,
            deviation=self.deviation,
        )

    def facts(self) -> dict[str, object]:
        """What a run records of its data."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "examples": {
                "train": len(self.train),
                "validation": len(self.validation),
                "test": len(self.test),
            },
            "normalisation": {"mean": self.mean, "deviation": self.deviation},
            "baselines": [],
        }


def load_digits(root: Path | None, options: Mapping[str, int]) -> ImageData:
    """scikit-learn's handwritten digits: 1,797 images of 8 x 8 with values 0 to 16, embedded.

    The split is a fixed permutation: 500 test and `validation` (297) images, the other 1,000 train.
    """
    from sklearn.datasets import load_digits as load

    bunch = load()
    images = torch.from_numpy(bunch.images).float()[:, None] / 16.0
    labels = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(labels), generator=generator(0, "digits split"))
    test, rest = order[:500], order[500:]
    return _split("digits", images[rest], labels[rest], images[test], labels[test], options, None)


def load_mnist(root: Path | None, options: Mapping[str, int]) -> ImageData:
    """MNIST (LeCun et al. 1998): 60,000 and 10,000 images of 28 x 28, of the train files `validation` (5,000) held out.

    The normalisation constants are the ones that reproduce Figure 3 of Frankle & Carbin 2019, which the paper omits.

    Raises:
        LotteryError: a file is missing, cut short or not what it should be.
    """
    if root is None:
        raise LotteryError(
            "mnist needs its files: name the folder that holds MNIST/raw with --data-root, or set "
            "LOTTERY_DATA; `lottery data mnist --download --data-root FOLDER` fetches them.",
            ExitCode.BAD_DATA,
        )
    folder = root / "MNIST" / "raw"
    arrays = {
        part: (
            _idx(folder / f"{part}-images-idx3-ubyte", (28, 28)),
            _idx(folder / f"{part}-labels-idx1-ubyte", ()),
        )
        for part in ("train", "t10k")
    }
    for part, (images, labels) in arrays.items():
        path = folder / f"{part}-labels-idx1-ubyte"
        if len(images) != len(labels):
            raise _bad(path, f"it holds {len(labels):,} labels for {len(images):,} images")
        if labels.max() > 9:
            raise _bad(path, f"label {labels.max()} is out of range 0 to 9")
    tensors = [
        (torch.from_numpy(images).float()[:, None] / 255.0, torch.from_numpy(labels).long())
        for images, labels in arrays.values()
    ]
    return _split("mnist", *tensors[0], *tensors[1], options, (0.1307, 0.3081))


def _idx(path: Path, shape: tuple[int, ...]) -> Bytes:
    """The unsigned bytes of an IDX file, plain or gzipped: `[N, *shape]`."""
    found = next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.is_file()), None)
    if found is None:
        raise LotteryError(
            f"{path} was not found, nor {path.name}.gz; name the folder that holds MNIST/raw with "
            "--data-root or LOTTERY_DATA.",
            ExitCode.BAD_DATA,
        )
    try:
        raw = found.read_bytes()
        data = gzip.decompress(raw) if found.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise _bad(found, f"it can't be read ({error})") from None
    dimensions = 1 + len(shape)
    start = 4 + 4 * dimensions
    if len(data) < start or int.from_bytes(data[:4], "big") != 0x0800 + dimensions:
        raise _bad(found, "it does not begin like an IDX file of bytes")
    count, *lengths = map(int, np.frombuffer(data[4:start], dtype=">u4"))
    if tuple(lengths) != shape:
        raise _bad(found, f"its images are {tuple(lengths)}, not {shape}")
    body = np.frombuffer(data, dtype=np.uint8)[start:]
    if body.size != count * int(np.prod(shape, dtype=np.int64)) or count == 0:
        raise _bad(found, f"it holds {body.size:,} bytes, which is not {count:,} items")
    return body.reshape(count, *shape).copy()


def _bad(path: Path, fault: str) -> LotteryError:
    return LotteryError(f"{path}: {fault}; fetch the file again.", ExitCode.BAD_DATA)


def _split(
    name: str,
    train_images: Tensor,
    train_labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    options: Mapping[str, int],
    constants: tuple[float, float] | None,
) -> ImageData:
    """Hold out validation examples and normalise; `constants` None means those of the training images."""
    held_out = options["validation"]
    if not 1 <= held_out < len(train_labels):
        raise LotteryError(
            f"data.options.validation = {held_out} is out of range; "
            f"{name} has {len(train_labels):,} training images: hold out at least 1 and leave 1."
        )
    order = torch.randperm(len(train_labels), generator=generator(0, "validation split"))
    validation, train = order[:held_out], order[held_out:]
    digest = hashlib.sha256()
    for tensor in (train_images, train_labels, test_images, test_labels, order):
        digest.update(tensor.numpy().tobytes())
    mean, deviation = constants or (
        round(float(train_images[train].mean()), 4),
        round(float(train_images[train].std()), 4),
    )
    train_images, test_images = ((x - mean) / deviation for x in (train_images, test_images))
    return ImageData(
        name=name,
        fingerprint=digest.hexdigest(),
        spec=ImageSpec(
            channels=train_images.shape[1],
            height=train_images.shape[2],
            width=train_images.shape[3],
            classes=int(train_labels.max()) + 1,
        ),
        train=LabelledImages(train_images[train], train_labels[train]),
        validation=LabelledImages(train_images[validation], train_labels[validation]),
        test=LabelledImages(test_images, test_labels),
        mean=mean,
        deviation=deviation,
    )


def download_mnist(root: Path) -> None:
    """Fetch MNIST's files into `root/MNIST/raw` through torchvision.

    Raises:
        LotteryError: there is no network, or the folder can't be written to.
    """
    from torchvision.datasets import MNIST

    try:
        MNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise LotteryError(
            f"MNIST could not be fetched into {root} ({error}); fetch the four files elsewhere and "
            "put them into its folder MNIST/raw.",
            ExitCode.BAD_DATA,
        ) from None
