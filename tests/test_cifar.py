"""CIFAR: the published pickles, read only where their sum is right, and the .npz form."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets import cifar
from training.datasets.catalog import load_data
from training.datasets.cifar import CIFAR
from training.datasets.images import ImageData
from training.errors import LotteryError

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 4, 3072), dtype=np.uint8)


def text(value: bytes) -> bytes:
    """A byte string, as Python 2 pickles it."""
    return b"T" + struct.pack("<i", len(value)) + value


def batch(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], key: str) -> bytes:
    """A file as the data set's authors wrote theirs, with Python 2 and its numpy; labels 0, 1, 2, 3."""
    dtype = b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
        + b"(I%d\nI%d\nt" % pixels.shape
        + dtype
        + b"I00\n"
        + text(pixels.tobytes())
        + b"tb"
    )
    labels = b"(lI0\naI1\naI2\naI3\na"
    return b"(d" + text(b"data") + array + b"s" + text(key.encode()) + labels + b"s."


def write(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> list[Path]:
    """Small files in the place of the published ones, with their sums in the place of the published ones."""
    published = CIFAR[name]
    folder = root / published.folder
    folder.mkdir(parents=True)
    sums = {}
    for index, file in enumerate((*published.train, *published.test)):
        content = batch(PIXELS[index], published.labels)
        (folder / file).write_bytes(content)
        sums[file] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    train, test = (
        {file: sums[file] for file in held} for held in (published.train, published.test)
    )
    monkeypatch.setitem(cifar.CIFAR, name, replace(published, train=train, test=test))
    return [folder / file for file in sums]


def load(root: Path | None, name: str, validation: int = 1) -> ImageData:
    data = load_data(DataConfig(name=name, options={"validation": validation}), root)
    assert isinstance(data, ImageData)
    return data


@pytest.mark.parametrize(("name", "files", "classes"), [("cifar-10", 5, 10), ("cifar-100", 1, 100)])
def test_published_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: int, classes: int
) -> None:
    write(tmp_path, monkeypatch, name)
    data = load(tmp_path, name)
    assert (len(data.train), len(data.validation), len(data.test)) == (4 * files - 1, 1, 4)
    assert (data.spec.channels, data.spec.height, data.spec.width) == (3, 32, 32)
    assert data.spec.classes == classes
    assert data.test.labels.tolist() == [0, 1, 2, 3]
    # Green, row 2, column 5 of the second test image.
    pixel = PIXELS[files, 1, 1024 + 2 * 32 + 5] / 255
    wanted = (pixel - data.mean[1]) / data.deviation[1]
    assert float(data.test.images[1, 1, 2, 5]) == pytest.approx(wanted, rel=1e-5)


def test_constants_of_cifar_10_are_the_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, monkeypatch, "cifar-10")
    data = load(tmp_path, "cifar-10")
    assert data.mean == (0.4914, 0.4822, 0.4465)
    assert data.deviation == (0.2470, 0.2435, 0.2616)


@pytest.mark.parametrize("name", sorted(CIFAR))
def test_sums_are_those_that_torchvision_publishes(name: str) -> None:
    theirs = {"cifar-10": datasets.CIFAR10, "cifar-100": datasets.CIFAR100}[name]
    assert list(map(list, CIFAR[name].train.items())) == theirs.train_list
    assert list(map(list, CIFAR[name].test.items())) == theirs.test_list
    assert CIFAR[name].folder == theirs.base_folder


def test_nothing_is_unpickled_whose_sum_is_not_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write(tmp_path, monkeypatch, "cifar-10")
    mark = tmp_path / "mark"
    # A pickle that would make a folder.
    paths[2].write_bytes(b"cos\nmkdir\n(S'" + str(mark).encode() + b"'\ntR.")
    with pytest.raises(LotteryError, match="its MD5 is [0-9a-f]{32}, not the published") as caught:
        load(tmp_path, "cifar-10")
    check_bad_data(caught.value, paths[2].name)
    assert not mark.exists()


def test_a_missing_or_shortened_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write(tmp_path, monkeypatch, "cifar-10")
    paths[4].write_bytes(paths[4].read_bytes()[:-1])
    with pytest.raises(LotteryError, match="its MD5 is") as caught:
        load(tmp_path, "cifar-10")
    check_bad_data(caught.value, "data_batch_5")
    paths[4].unlink()
    with pytest.raises(LotteryError, match="was not found; name the folder that holds cifar-10-b"):
        load(tmp_path, "cifar-10")


def test_without_a_root_the_way_to_get_the_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    with pytest.raises(LotteryError, match=r"cifar-10-batches-py or cifar-10\.npz with --data-ro"):
        load(None, "cifar-10")


@pytest.mark.parametrize("place", ["cifar-10.npz", "cifar-10/cifar-10.npz"])
def test_one_npz_file_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path = tmp_path / "npz" / place
    path.parent.mkdir(parents=True)
    images = PIXELS[:6].reshape(24, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = np.tile(np.arange(4), 6)
    held: dict[str, Any] = {"train_images": images[:20], "train_labels": labels[:20]}
    np.savez(path, **held, test_images=images[20:], test_labels=labels[20:])
    write(tmp_path, monkeypatch, "cifar-10")
    assert load(tmp_path / "npz", "cifar-10").fingerprint == load(tmp_path, "cifar-10").fingerprint
    assert load(tmp_path / "npz", "cifar-10").spec.classes == 10


def test_an_npz_file_of_other_images_is_refused(tmp_path: Path) -> None:
    path, images, labels = tmp_path / "cifar-10.npz", np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)
    held: dict[str, Any] = {"train_images": images, "test_images": images}
    np.savez(path, **held, train_labels=labels, test_labels=labels)
    with pytest.raises(LotteryError, match=r"its images are \(3, 8, 8\), not") as caught:
        load(tmp_path, "cifar-10")
    check_bad_data(caught.value, "cifar-10.npz")
    np.savez(path, **held, train_labels=labels, test_labels=labels + 7)
    with pytest.raises(LotteryError, match="label 10 is out of range 0 to 9"):
        load(tmp_path, "cifar-10")
