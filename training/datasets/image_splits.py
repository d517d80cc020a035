"""Raw images become data: validation images are held out, limits kept, pixels normalised."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.datasets.corruption import corrupted, corruption_of
from training.datasets.images import ImageData, LabelledImages
from training.datasets.raw_images import Array, Normalisation, RawImages, RawSplit
from training.device import physical_memory
from training.errors import ExitCode, LotteryError
from training.noise import generator
from training.specs import ImageSpec

_HASHED_AT_ONCE = 2000


def image_data(raw: RawImages, options: Mapping[str, int]) -> ImageData:
    """Hold out validation images, keep as many as are wanted, normalise.

    Validation images are the source's own. Where it has none, they are the first `validation` of a fixed permutation of
    the training images, a tenth of them (at most 5,000) where that is 0. `train` and `test` keep only the first so many
    of a fixed permutation; 0 keeps all. What is trained on may be corrupted, see `training.datasets.corruption`.
    The constants that a source does not publish are those of the images that are trained on, before they are corrupted,
    to four decimals.

    Raises:
        LotteryError: an option that these images do not allow, or more images than fit into memory.
    """
    count = len(raw.train.labels)
    held_out = options["validation"] or max(1, min(5000, count // 10))
    if raw.validation is not None:
        held_out = 0
    _check(raw, options, held_out)
    order = torch.randperm(count, generator=generator(0, "validation split"))
    train = order[held_out:][: options["train"] or count]
    validation, test = order[:held_out], torch.arange(len(raw.test.labels))
    if options["test"]:
        test = torch.randperm(len(test), generator=generator(0, "test limit"))[: options["test"]]
    if raw.validation is not None:
        validation = torch.arange(len(raw.validation.labels))
    chosen = (raw.train, train), (raw.validation or raw.train, validation), (raw.test, test)
    _check_memory(raw, sum(len(index) for _, index in chosen))
    fingerprint = _fingerprint(raw, order, options)
    splits = [_pixels(split, index, raw.white) for split, index in chosen]
    constants = raw.normalisation or _normalisation(splits[0].images)
    drawn = corrupted(splits[0].images, splits[0].labels, train, count, raw.classes, options)
    splits[0] = LabelledImages(*drawn)
    for split in splits:
        _normalise(split.images, constants)
    _, channels, height, width = raw.train.images.shape
    return ImageData(
        name=raw.name,
        fingerprint=fingerprint,
        spec=ImageSpec(channels=channels, height=height, width=width, classes=raw.classes),
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        mean=constants.mean,
        deviation=constants.deviation,
        corruption=corruption_of(options),
    )


def _check(raw: RawImages, options: Mapping[str, int], held_out: int) -> None:
    """Refuse options that don't fit the images."""
    count = len(raw.train.labels)
    if raw.validation is not None and options["validation"]:
        raise LotteryError(
            f"data.options.validation = {options['validation']} is out of range; {raw.name} has a "
            "validation split of its own: leave it out."
        )
    if raw.validation is None and not 1 <= held_out < count:
        raise LotteryError(
            f"data.options.validation = {held_out} is out of range; "
            f"{raw.name} has {count:,} training images: hold out at least 1 and leave 1."
        )
    side = min(raw.train.images.shape[2:])
    most = {
        "train": (count - held_out, f"{raw.name} leaves so many images for training"),
        "test": (len(raw.test.labels), f"{raw.name} has so many test images"),
        "crop_padding": (side, "that is the side of an image"),
        "cutout": (side, "that is the side of an image"),
        "flip": (1, "0 is off and 1 is on"),
        "random_labels": (100, "per cent of the labels that are trained on"),
        "shuffled_pixels": (1, "0 is off and 1 is on"),
    }
    for key, (limit, why) in most.items():
        if options[key] > limit:
            raise LotteryError(
                f"data.options.{key} = {options[key]} is out of range; "
                f"it must be 0 to {limit:,} ({why})."
            )


def _check_memory(raw: RawImages, count: int) -> None:
    """Refuse more images than fit into memory as fp32."""
    size, memory = 4 * count * int(np.prod(raw.train.images.shape[1:])), physical_memory()
    if size > memory:
        raise LotteryError(
            f"{raw.name} takes {size:,} bytes in memory, and this machine has {memory:,}; read fewer "
            "images with --set data.options.train=N and data.options.test=N, or smaller ones.",
            ExitCode.BAD_DATA,
        )


def _fingerprint(raw: RawImages, order: Tensor, options: Mapping[str, int]) -> str:
    """SHA-256 of pixels in [0, 1], labels, the permutation, and limits and corruption, if there are any."""
    digest = hashlib.sha256()
    for split in filter(None, (raw.train, raw.validation, raw.test)):
        for first in range(0, len(split.labels), _HASHED_AT_ONCE):
            piece = split.images[first : first + _HASHED_AT_ONCE]
            digest.update(_unit(piece, raw.white).numpy().tobytes())
        digest.update(split.labels.tobytes())
    digest.update(order.numpy().tobytes())
    limits = options["train"], options["test"]
    if any(limits):
        digest.update(f"{limits}".encode())
    if corruption := corruption_of(options):
        digest.update(f"{corruption}".encode())
    return digest.hexdigest()


def _unit(images: Array, white: float) -> Tensor:
    """Pixels in [0, 1]."""
    return torch.from_numpy(images).to(torch.float32, copy=True).div_(white)


def _pixels(split: RawSplit, index: Tensor, white: float) -> LabelledImages:
    """Some images of a split, not yet normalised."""
    chosen = np.ascontiguousarray(split.images[index.numpy()])
    return LabelledImages(_unit(chosen, white), torch.from_numpy(split.labels)[index])


def _normalisation(images: Tensor) -> Normalisation:
    """Mean and standard deviation per channel; a channel without any deviation is only centred."""
    variance, mean = torch.var_mean(images, dim=(0, 2, 3))
    return Normalisation(
        mean=tuple(round(value, 4) for value in mean.tolist()),
        deviation=tuple(round(value, 4) or 1.0 for value in variance.nan_to_num().sqrt().tolist()),
    )


def _normalise(images: Tensor, constants: Normalisation) -> None:
    """Normalise `[N, C, H, W]` in place: a copy of a large data set would double what it takes."""
    mean, deviation = (
        torch.tensor(values)[:, None, None] for values in (constants.mean, constants.deviation)
    )
    images.sub_(mean).div_(deviation)
