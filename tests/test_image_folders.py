"""Images in class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets.catalog import load_data
from training.datasets.image_folders import read_folder
from training.datasets.images import ImageData
from training.errors import LotteryError

SIDE = {"side": 4}


def paint(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (4, 4)) -> None:
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    Image.new(mode, size, (value,) * channels if channels > 1 else value).save(path)


def three_classes(top: Path, each: int) -> None:
    for label, name in enumerate(("ape", "bee", "cat")):
        for number in range(each):
            paint(top / name / f"{number}.png", 10 * label + number)


def values(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    return [int(image.flat[0]) for image in images]


def test_train_and_test_folders(tmp_path: Path) -> None:
    three_classes(tmp_path / "train", 4)
    three_classes(tmp_path / "test", 2)
    raw = read_folder(tmp_path, SIDE)
    assert values(raw.train.images) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert raw.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert values(raw.test.images) == [0, 1, 10, 11, 20, 21]
    assert raw.classes == 3
    assert raw.train.images.shape == (12, 3, 4, 4)


def test_without_them_a_fixed_sixth_is_for_testing(tmp_path: Path) -> None:
    three_classes(tmp_path, 4)
    raw, again = read_folder(tmp_path, SIDE), read_folder(tmp_path, SIDE)
    assert (len(raw.train.labels), len(raw.test.labels)) == (10, 2)
    both = values(raw.train.images) + values(raw.test.images)
    assert sorted(both) == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert values(raw.test.images) == values(again.test.images)
    for split in (raw.train, raw.test):
        assert [value // 10 for value in values(split.images)] == split.labels.tolist()


def test_every_mode_and_size_becomes_rgb_of_one_size(tmp_path: Path) -> None:
    three_classes(tmp_path, 2)
    paint(tmp_path / "ape" / "grey.png", 7, "L", (9, 5))
    paint(tmp_path / "bee" / "clear.png", 8, "RGBA", (1, 30))
    paint(tmp_path / "cat" / "deep" / "down.jpeg", 9, "RGB", (64, 64))
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    data = load_data(DataConfig(name="folder", options={"side": 8}), tmp_path)
    assert isinstance(data, ImageData)
    assert (data.spec.channels, data.spec.height, data.spec.width, data.spec.classes) == (
        3,
        8,
        8,
        3,
    )
    # A sixth of 9 images, and a tenth of the other 8, are each at least 1.
    assert (len(data.train), len(data.validation), len(data.test)) == (7, 1, 1)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    three_classes(tmp_path, 2)
    broken = tmp_path / "bee" / "broken.png"
    whole = (tmp_path / "bee" / "0.png").read_bytes()
    for content in (b"", b"no image", whole[:40], whole[:45]):
        broken.write_bytes(content)
        with pytest.raises(LotteryError, match="it can't be read as an image") as caught:
            read_folder(tmp_path, SIDE)
        check_bad_data(caught.value, "broken.png")


@given(st.integers(0, 70), st.integers(1, 255))
def test_no_flipped_byte_is_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    root = tmp_path_factory.mktemp("folder")
    three_classes(root, 2)
    path = root / "ape" / "0.png"
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] ^= flip
    path.write_bytes(damaged)
    try:
        assert len(read_folder(root, SIDE).test.labels) == 1
    except LotteryError as error:
        check_bad_data(error, "0.png")


def test_absurd_sizes_are_refused(tmp_path: Path) -> None:
    three_classes(tmp_path, 2)
    paint(tmp_path / "ape" / "wide.png", 0, "L", (4097, 1))
    with pytest.raises(LotteryError, match=r"it has 1 x 4,097 pixels, not 1 to 4,096") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, "wide.png")
    with pytest.raises(LotteryError, match=r"data\.options\.side = 5000 is out of range"):
        read_folder(tmp_path, {"side": 5000})


def test_folders_that_hold_no_classes(tmp_path: Path) -> None:
    for root in (None, tmp_path / "none"):
        with pytest.raises(LotteryError, match="--data-root FOLDER") as caught:
            read_folder(root, SIDE)
        check_bad_data(caught.value, "folder")
    with pytest.raises(LotteryError, match="has 0 class folders, and at least 2 are needed"):
        read_folder(tmp_path, SIDE)
    paint(tmp_path / "ape" / "0.png", 0)
    (tmp_path / "bee").mkdir()
    with pytest.raises(LotteryError, match="it holds no images") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, "bee")
    paint(tmp_path / "bee" / "0.png", 0)
    with pytest.raises(LotteryError, match="it holds 2 images, and at least 6 are needed"):
        read_folder(tmp_path, SIDE)


def test_test_folders_have_the_classes_of_the_training_folders(tmp_path: Path) -> None:
    three_classes(tmp_path / "train", 1)
    three_classes(tmp_path / "test", 1)
    paint(tmp_path / "test" / "dog" / "0.png", 0)
    with pytest.raises(LotteryError, match="there is no training folder of that name") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, "dog")
