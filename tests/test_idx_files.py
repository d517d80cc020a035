"""MNIST and its kin: files that are checked, plain or gzipped."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets import raw_images
from training.datasets.catalog import load_data
from training.datasets.images import ImageData
from training.errors import ExitCode, LotteryError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """An IDX file of unsigned bytes."""
    header = [0x0800 + array.ndim, *array.shape]
    return b"".join(n.to_bytes(4, "big") for n in header) + array.tobytes()


def mnist_files() -> dict[str, bytes]:
    """20 images to train on and 10 to test, all different, of every class."""
    draw = np.random.default_rng(0)

    def images(count: int) -> bytes:
        return idx(draw.integers(0, 256, (count, 28, 28), dtype=np.uint8))

    def labels(count: int) -> bytes:
        return idx(np.arange(count, dtype=np.uint8) % 10)

    return {
        TRAIN_IMAGES: images(20),
        TRAIN_LABELS: labels(20),
        TEST_IMAGES: images(10),
        TEST_LABELS: labels(10),
    }


def write_mnist(root: Path, files: Mapping[str, bytes]) -> Path:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return root


def mnist(root: Path | None, validation: int = 4) -> ImageData:
    data = load_data(DataConfig(name="mnist", options={"validation": validation}), root)
    assert isinstance(data, ImageData)
    return data


def test_mnist_is_read_plain_or_gzipped(tmp_path: Path) -> None:
    files = mnist_files()
    packed = {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    plain = mnist(write_mnist(tmp_path / "plain", files))
    gzipped = mnist(write_mnist(tmp_path / "gz", packed))
    assert plain.fingerprint == gzipped.fingerprint
    assert torch.equal(plain.train.images, gzipped.train.images)
    assert (len(plain.train), len(plain.validation), len(plain.test)) == (16, 4, 10)
    assert len(rows(plain.train.images) | rows(plain.validation.images)) == 20
    assert plain.test.labels.tolist() == list(range(10))
    # Pixels over 255, less 0.1307, over 0.3081; the header of the file is 16 bytes.
    pixel = files[TEST_IMAGES][16 + 28 * 28 + 5]
    assert float(plain.test.images[1, 0, 0, 5]) == pytest.approx((pixel / 255 - 0.1307) / 0.3081)


def test_the_data_root_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOTTERY_DATA", str(write_mnist(tmp_path, mnist_files())))
    assert len(mnist(None).test) == 10


def test_without_a_root_the_way_to_get_the_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    with pytest.raises(LotteryError, match="--data-root, or set LOTTERY_DATA") as caught:
        mnist(None)
    assert caught.value.exit_code is ExitCode.BAD_DATA


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, tuple[str, Damage, str]] = {
    "empty file": (TRAIN_IMAGES, lambda _: b"", "does not begin like an IDX file"),
    "cut in its header": (TRAIN_IMAGES, lambda data: data[:13], "does not begin like"),
    "cut after its header": (TEST_LABELS, lambda data: data[:8], "it holds 0 bytes"),
    "one byte short": (
        TRAIN_IMAGES,
        lambda data: data[:-1],
        "it holds 15,679 bytes, which is not 20",
    ),
    "one byte long": (TEST_LABELS, lambda data: data + b"\0", "it holds 11 bytes, which is not 10"),
    "wrong magic": (TRAIN_LABELS, lambda data: b"\1" + data[1:], "does not begin like"),
    "images for labels": (TRAIN_LABELS, lambda _: mnist_files()[TRAIN_IMAGES], "does not begin"),
    "labels for images": (TEST_IMAGES, lambda _: mnist_files()[TEST_LABELS], "does not begin"),
    "wrong shape": (
        TEST_IMAGES,
        lambda _: idx(np.zeros((10, 28, 27), dtype=np.uint8)),
        r"its images are \(28, 27\), not \(28, 28\)",
    ),
    "no items": (TRAIN_LABELS, lambda _: idx(np.zeros(0, dtype=np.uint8)), "it holds 0 bytes"),
    "too few labels": (
        TRAIN_LABELS,
        lambda _: idx(np.zeros(19, dtype=np.uint8)),
        "it holds 19 labels for 20 images",
    ),
    "label out of range": (
        TEST_LABELS,
        lambda data: data[:-1] + b"\x0a",
        "label 10 is out of range 0 to 9",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    name, change, message = DAMAGES[damage]
    files = mnist_files()
    files[name] = change(files[name])
    with pytest.raises(LotteryError, match=message) as caught:
        mnist(write_mnist(tmp_path, files))
    check_bad_data(caught.value, name)


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = mnist_files()
    del files[name]
    with pytest.raises(LotteryError, match=r"was not found; .* as \.gz with --data-root") as caught:
        mnist(write_mnist(tmp_path, files))
    check_bad_data(caught.value, name)


GZIP_DAMAGES: dict[str, Damage] = {
    "not gzip": lambda data: b"PK" + data[2:],
    "cut short": lambda data: data[: len(data) // 2],
    "cut in its header": lambda data: data[:5],
    "broken stream": lambda data: data[:10] + b"\xff" * 20 + data[30:],
    "wrong checksum": lambda data: data[:-8] + bytes(4) + data[-4:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", GZIP_DAMAGES)
def test_a_damaged_archive_is_named(tmp_path: Path, damage: str) -> None:
    files = mnist_files()
    packed = GZIP_DAMAGES[damage](gzip.compress(files.pop(TEST_IMAGES), mtime=0))
    with pytest.raises(LotteryError) as caught:
        mnist(write_mnist(tmp_path, files | {f"{TEST_IMAGES}.gz": packed}))
    check_bad_data(caught.value, f"{TEST_IMAGES}.gz")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_no_damage_is_worse_than_a_clear_error(tmp_path: Path, ending: str) -> None:
    files, draw = mnist_files(), random.Random(0)
    whole = files.pop(TEST_LABELS)
    whole = gzip.compress(whole, mtime=0) if ending else whole
    root = write_mnist(tmp_path, files)
    for _ in range(60):
        damaged = bytearray(whole[: draw.randrange(1, len(whole) + 1)])
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        write_mnist(tmp_path, {TEST_LABELS + ending: bytes(damaged)})
        try:
            mnist(root)
        except LotteryError as error:
            check_bad_data(error, f"{TEST_LABELS}{ending}")


def test_what_a_small_archive_grows_to_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mnist_files()
    labels = files.pop(TEST_LABELS)
    bomb = gzip.compress(labels + bytes(3 * 10**7))
    root = write_mnist(tmp_path, files | {f"{TEST_LABELS}.gz": bomb})
    tracemalloc.start()
    with pytest.raises(LotteryError, match="it holds 11 bytes, which is not 10 items"):
        mnist(root)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    monkeypatch.setattr(raw_images, "physical_memory", lambda: 10**9)
    many = (2051).to_bytes(4, "big") + b"\xff" * 4 + bytes([0, 0, 0, 28] * 2)
    with pytest.raises(LotteryError, match="it holds 3,367,254,359,280 bytes once it") as caught:
        mnist(write_mnist(tmp_path, {TEST_IMAGES: many}))
    check_bad_data(caught.value, TEST_IMAGES)


@pytest.mark.parametrize(
    ("name", "folder"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_kin_of_mnist_are_normalised_by_their_training_images(
    tmp_path: Path, name: str, folder: str
) -> None:
    write_mnist(tmp_path, mnist_files())
    (tmp_path / "MNIST").rename(tmp_path / folder)
    data = load_data(DataConfig(name=name, options={"validation": 4}), tmp_path)
    assert isinstance(data, ImageData)
    assert data.name == name
    # Bytes drawn at random: mean 1 / 2, deviation 1 / sqrt(12).
    assert data.mean[0] == pytest.approx(0.5, abs=0.02)
    assert data.deviation[0] == pytest.approx(0.2887, abs=0.01)
    assert abs(float(data.train.images.mean())) < 1e-3
    with pytest.raises(
        LotteryError, match=f"the folder that holds {folder}/raw, plain or as .gz with"
    ):
        load_data(DataConfig(name=name), tmp_path / "elsewhere")


def test_classes_are_those_of_the_source_not_those_that_occur(tmp_path: Path) -> None:
    files = mnist_files()
    for name in (TRAIN_LABELS, TEST_LABELS):
        files[name] = files[name].replace(b"\x09", b"\x00")
    assert mnist(write_mnist(tmp_path, files)).spec.classes == 10
