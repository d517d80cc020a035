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
from training.datasets import image_splits, raw_images
from training.datasets.catalog import load_data
from training.datasets.image_folders import folder_paths, read_folder
from training.datasets.images import ImageData
from training.errors import LotteryError

SIDE = {"side": 4, "black_background": 0}


def paint(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (4, 4)) -> None:
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    Image.new(mode, size, (value,) * channels if channels > 1 else value).save(path)


def three_classes(top: Path, each: int) -> None:
    for label, name in enumerate(("ape", "bee", "cat")):
        for number in range(each):
            paint(top / name / f"{number}.png", 10 * label + number)


def values(split: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    return [int(image.flat[0]) for image in split]


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
        read_folder(tmp_path, {**SIDE, "side": 5000})


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


@pytest.mark.parametrize("split", ["val", "test"])
def test_other_splits_have_the_classes_of_the_training_folders(tmp_path: Path, split: str) -> None:
    for name in ("train", "val", "test"):
        three_classes(tmp_path / name, 1)
    paint(tmp_path / split / "dog" / "0.png", 0)
    with pytest.raises(LotteryError, match="there is no training folder of that name") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, "dog")


# --- what is data, and what is not


def test_what_is_hidden_is_no_data(tmp_path: Path) -> None:
    """A notebook's copies of test images are neither trained on nor a class, nor is what systems leave behind."""
    for split in ("train", "test"):
        three_classes(tmp_path / split, 2)
    right = read_folder(tmp_path, SIDE)
    paths = folder_paths(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN"):
        for top in (tmp_path, tmp_path / "train", tmp_path / "train" / "ape"):
            paint(top / name / "leak.png", 99)
    for name in (".hidden.png", "._0.png", "Thumbs.db"):
        (tmp_path / "train" / "ape" / name).write_bytes(b"no image")
    raw = read_folder(tmp_path, SIDE)
    assert values(raw.train.images) == values(right.train.images) == [0, 1, 10, 11, 20, 21]
    assert raw.classes == 3
    assert folder_paths(tmp_path) == paths
    # A data root that is hidden itself is what was asked for.
    three_classes(tmp_path / ".cache", 4)
    assert len(read_folder(tmp_path / ".cache", SIDE).train.labels) == 10


def test_links_are_followed(tmp_path: Path) -> None:
    three_classes(tmp_path / "elsewhere", 4)
    root = tmp_path / "root"
    root.mkdir()
    for name in ("ape", "bee"):
        (root / name).symlink_to(tmp_path / "elsewhere" / name)
    (root / "cat").mkdir()
    (root / "cat" / "deep").symlink_to(tmp_path / "elsewhere" / "cat")
    direct, linked = read_folder(tmp_path / "elsewhere", SIDE), read_folder(root, SIDE)
    assert np.array_equal(direct.train.images, linked.train.images)
    assert np.array_equal(direct.test.labels, linked.test.labels)
    (root / "cat" / "one.png").symlink_to(tmp_path / "elsewhere" / "cat" / "0.png")
    assert len(folder_paths(root)) == 13


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        *((target, "it leads to a folder that it lies in") for target in ("..", ".", "../..")),
        *((target, "it is a link that leads nowhere") for target in ("nowhere", "loop")),
    ],
)
def test_links_that_lead_back_or_nowhere_are_named(tmp_path: Path, target: str, fault: str) -> None:
    root = tmp_path / "root"
    three_classes(root, 2)
    (root / "bee" / "loop").symlink_to(target)
    with pytest.raises(LotteryError, match=fault) as caught:
        read_folder(root, SIDE)
    check_bad_data(caught.value, "loop")


def test_what_is_transparent_shows_the_background_that_was_asked_for(tmp_path: Path) -> None:
    for name in ("ape", "bee"):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png", 0, "RGBA")
    for black, pixel in ((0, 255), (1, 0)):
        raw = read_folder(tmp_path, {"side": 4, "black_background": black})
        assert values(raw.train.images) == [pixel] * 5
    with pytest.raises(LotteryError, match="black_background = 2 is out of range; .* 0 to 1"):
        read_folder(tmp_path, {"side": 4, "black_background": 2})


# --- splits


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "dev", "Testing")])
def test_a_validation_folder_is_what_is_validated_with(
    tmp_path: Path, names: tuple[str, str, str]
) -> None:
    for name, each in zip(names, (4, 1, 2), strict=True):
        three_classes(tmp_path / name, each)
    data = load_data(DataConfig(name="folder", options={"side": 4}), tmp_path)
    assert isinstance(data, ImageData)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 3, 6)
    assert data.validation.labels.tolist() == [0, 1, 2]
    raw = data.validation.images * data.deviation[0] + data.mean[0]
    assert [round(255 * float(image[0, 0, 0])) for image in raw] == [0, 10, 20]
    less = load_data(DataConfig(name="folder", options={"side": 4, "train": 5}), tmp_path)
    assert isinstance(less, ImageData)
    assert (len(less.train), len(less.validation)) == (5, 3)
    with pytest.raises(
        LotteryError, match="folder has a validation split of its own: leave it out"
    ):
        load_data(DataConfig(name="folder", options={"validation": 2}), tmp_path)
    paint(tmp_path / names[1] / "ape" / "0.png", 77)
    changed = load_data(DataConfig(name="folder", options={"side": 4}), tmp_path)
    assert changed.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    "names",
    [("train", "val"), ("train", "valid"), ("val", "test"), ("train", "val", "dev", "test")],
)
def test_splits_that_are_not_all_there_are_no_classes(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        three_classes(tmp_path / name, 2)
    with pytest.raises(LotteryError, match="call what is tested with in the end test") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, f"it is divided into {', '.join(sorted(names))}, and one train")


def test_images_beside_splits_and_splits_below_classes_are_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        three_classes(tmp_path / name, 2)
    (tmp_path / "notes").mkdir()
    assert read_folder(tmp_path, SIDE).classes == 3
    three_classes(tmp_path / "extra", 1)
    with pytest.raises(LotteryError, match="it lies beside test, train and would not be") as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, "extra")
    for name in ("ape", "bee"):
        for split in ("train", "test"):
            paint(tmp_path / "mixed" / name / split / "0.png", 1)
    with pytest.raises(LotteryError, match="put folders train and test above those of") as caught:
        read_folder(tmp_path / "mixed", SIDE)
    check_bad_data(caught.value, "ape")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    three_classes(tmp_path, 2)
    paint(tmp_path / "train" / "0.png", 30)
    assert read_folder(tmp_path, SIDE).classes == 4


def test_more_than_fits_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_classes(tmp_path, 2)
    monkeypatch.setattr(raw_images, "physical_memory", lambda: 287)
    with pytest.raises(
        LotteryError, match="holds 288 bytes once it is read, and .* has 287"
    ) as caught:
        read_folder(tmp_path, SIDE)
    check_bad_data(caught.value, str(tmp_path))
    monkeypatch.setattr(raw_images, "physical_memory", lambda: 288)
    monkeypatch.setattr(image_splits, "physical_memory", lambda: 1151)
    with pytest.raises(LotteryError, match="folder takes 1,152 bytes in memory") as caught:
        load_data(DataConfig(name="folder", options={"side": 4}), tmp_path)
    check_bad_data(caught.value, "data.options.train=N")
    load_data(DataConfig(name="folder", options={"side": 4, "train": 3}), tmp_path)
