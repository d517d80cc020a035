"""Images: fixed splits, limits, recorded constants; the catalog of data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets.catalog import (
    DATASETS,
    OPTIONS,
    OWN_OPTIONS,
    data_entry,
    data_options,
    load_data,
)
from training.datasets.checks import Published, file_sums
from training.datasets.downloads import FETCHED
from training.datasets.image_splits import image_data
from training.datasets.images import ImageData, LabelledImages
from training.datasets.raw_images import RawImages, RawSplit
from training.errors import LotteryError


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def digits(validation: int = 297, **options: int) -> ImageData:
    given = {"validation": validation, **options}
    data = load_data(DataConfig(name="digits", options=given), None)
    assert isinstance(data, ImageData)
    return data


# --- digits


def test_digits_are_split_as_documented() -> None:
    data = digits()
    assert (len(data.train), len(data.validation), len(data.test)) == (1000, 297, 500)
    assert data.spec.channels == 1
    assert (data.spec.height, data.spec.width, data.spec.classes) == (8, 8, 10)
    for split in (data.train, data.validation, data.test):
        assert split.images.shape == (len(split), 1, 8, 8)
        assert split.images.dtype == torch.float32
        assert set(split.labels.tolist()) == set(range(10))
    # The images are all different, so a shared one would show.
    everything = [rows(split.images) for split in (data.train, data.validation, data.test)]
    assert len(set.union(*everything)) == 1797


def test_digits_are_normalised_by_their_training_images() -> None:
    data = digits()
    assert abs(float(data.train.images.mean())) < 1e-3
    assert abs(float(data.train.images.std()) - 1) < 1e-3
    assert (data.mean, data.deviation) == ((0.3054,), (0.3764,))


def test_the_split_of_digits_never_changes() -> None:
    data = digits()
    assert data.fingerprint == digits().fingerprint
    assert data.fingerprint.startswith("cb04dc6f5d72bad0")
    assert data.test.labels[:10].tolist() == [7, 4, 0, 0, 0, 9, 4, 7, 7, 6]
    assert torch.equal(data.train.images, digits().train.images)


def test_the_size_of_the_validation_split_leaves_the_test_split_alone() -> None:
    small, large = digits(100), digits(500)
    assert (len(small.train), len(small.validation)) == (1197, 100)
    assert (len(large.train), len(large.validation)) == (797, 500)
    assert torch.equal(small.test.labels, large.test.labels)


@pytest.mark.parametrize("held_out", [1297, 5000])
def test_holding_out_everything_is_refused(held_out: int) -> None:
    with pytest.raises(LotteryError, match=rf"data\.options\.validation = {held_out} is out of"):
        digits(held_out)


def test_the_description_of_images() -> None:
    described = digits().description()
    assert described["examples"] == {"train": 1000, "validation": 297, "test": 500}
    assert described["baselines"] == []


# --- limits


def test_limits_keep_the_first_of_a_fixed_permutation() -> None:
    whole = digits()
    small, smaller = digits(train=300, test=60), digits(train=100, test=20)
    assert (len(small.train), len(small.test)) == (300, 60)
    assert (len(smaller.train), len(smaller.test)) == (100, 20)
    assert torch.equal(small.train.labels[:100], smaller.train.labels)
    assert torch.equal(small.train.labels, whole.train.labels[:300])
    assert torch.equal(small.test.labels[:20], smaller.test.labels)
    for data in (small, smaller):
        assert torch.equal(data.validation.labels, whole.validation.labels)
        assert torch.equal(pixels(data, data.test)[0], pixels(small, small.test)[0])
    # 6 of each class are expected among 60 images.
    assert all(1 <= count <= 13 for count in torch.bincount(small.test.labels).tolist())
    assert len({data.fingerprint for data in (whole, small, smaller)}) == 3


def pixels(data: ImageData, split: LabelledImages) -> Tensor:
    """Images before they were normalised: whole numbers from 0 to 16."""
    return (16 * (split.images * data.deviation[0] + data.mean[0])).round()


@pytest.mark.parametrize(
    ("option", "value", "possible"),
    [
        ("train", 1001, "0 to 1,000 \\(digits leaves so many"),
        ("test", 501, "0 to 500 \\(digits has so many"),
        ("crop_padding", 9, "0 to 8"),
        ("cutout", 9, "0 to 8"),
        ("flip", 2, "0 to 1"),
    ],
)
def test_options_that_the_images_do_not_allow(option: str, value: int, possible: str) -> None:
    wanted = rf"data\.options\.{option} = {value} is out of range; it must be {possible}"
    with pytest.raises(LotteryError, match=wanted):
        digits(**{option: value})


def test_a_channel_without_deviation_is_only_centred() -> None:
    images = np.full((20, 2, 1, 1), 51, dtype=np.uint8)
    images[::2, 1] = 255
    split = RawSplit(images=images, labels=np.zeros(20, dtype=np.int64))
    raw = RawImages(name="x", train=split, test=split, classes=2)
    # Every label of the source is 0, and it says that there are two classes.
    data = image_data(raw, OWN_OPTIONS)
    assert data.spec.classes == 2
    # A tenth of 20 images is held out.
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 20)
    assert (data.mean[0], data.deviation[0]) == (0.2, 1.0)
    assert not data.test.images[:, 0].any()
    # Black is -mean / deviation of each channel.
    assert data.black.tolist() == pytest.approx([-0.2, -data.mean[1] / data.deviation[1]])


# --- the catalog


def test_unknown_data_sets_and_options_offer_near_names() -> None:
    with pytest.raises(LotteryError, match="no data set 'minst'; did you mean mnist"):
        data_entry("minst")
    with pytest.raises(LotteryError, match="no option of digits 'validaton'; did you mean valid"):
        data_options(DataConfig(name="digits", options={"validaton": 3}))
    with pytest.raises(LotteryError, match=r"data\.options\.validation = 0 is out of range"):
        data_options(DataConfig(name="digits", options={"validation": 0}))


def test_given_options_overlay_the_defaults() -> None:
    whole = {"characters": 0, "train": 0, "validation": 0, "test": 0}
    assert data_options(DataConfig(name="pydoc")) == {"least_count": 5, "sequence": 35} | whole
    given = DataConfig(name="pydoc", options={"sequence": 20})
    assert data_options(given) == {"least_count": 5, "sequence": 20} | whole


def test_what_is_embedded_needs_no_download() -> None:
    assert {name for name, e in DATASETS.items() if e.embedded} == {"digits", "pydoc"}
    assert {name for name, e in DATASETS.items() if e.own_root} == {"folder", "npz", "text"}
    assert {name for name, e in DATASETS.items() if e.download} == set(FETCHED)


@pytest.mark.parametrize("name", sorted(FETCHED))
def test_a_download_without_a_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def offline(*words: object, **options: object) -> None:
        asked.append((words, options))
        raise OSError("no route\nto host")

    monkeypatch.setattr(f"torchvision.datasets.{FETCHED[name]}", offline)
    with pytest.raises(
        LotteryError, match=r"\(OSError: no route to host\); fetch its files"
    ) as caught:
        data_entry(name).fetch(tmp_path)
    check_bad_data(caught.value, name)
    split = {"split": "train"} if name == "svhn" else {}
    assert asked == [((str(tmp_path),), {"download": True, **split})]


def test_data_keep_their_content_on_their_way_to_a_device() -> None:
    data = digits()
    there = data.to(torch.device("cpu"))
    assert torch.equal(there.train.images, data.train.images)
    assert there.description() == data.description()


# --- checks


def test_copies_and_labels_are_counted() -> None:
    def split(*pixels: int) -> RawSplit:
        images = np.array(pixels, dtype=np.uint8)[:, None, None, None]
        return RawSplit(images=images, labels=np.arange(len(pixels)) % 3)

    # Of training images 7 stands there three times and 8 twice; of test images 9 twice, and 7 and 8 are known.
    raw = RawImages(
        name="x", train=split(7, 8, 7, 1, 7, 8, 2), test=split(9, 7, 9, 8, 3), classes=4
    )
    data = image_data(raw, {**OPTIONS, "validation": 3})
    described = {**data.description(), **data.details()}
    assert described["notices"] == [
        "2 of the 5 test images of x are also trained on or validated with, so its test accuracy is not that on new "
        "images alone."
    ]
    assert digits().description()["notices"] == []
    assert described["copies"] == {
        "within train and validation": 3,
        "within test": 1,
        "of those in test": 2,
    }
    assert described["shape"] == {"channels": 1, "height": 1, "width": 1, "classes": 4}
    labels, counts = described["labels"], described["images per class"]
    assert isinstance(labels, dict)
    assert isinstance(counts, dict)
    assert labels["test"] == {"least": 0, "largest": 2}
    assert counts["test"] == [2, 2, 1, 0]
    trained = [sum(pair) for pair in zip(counts["train"], counts["validation"], strict=True)]
    assert trained == [3, 2, 2, 0]


def test_few_files_are_summed_one_by_one_and_many_together(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}" for number in range(13)]
    for path in paths:
        path.write_bytes(b"abc")
    # SHA-256 of "abc", FIPS 180-2, appendix B.1.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sums(paths[:2]) == {str(paths[0]): abc, str(paths[1]): abc}
    together = file_sums(paths)
    assert list(together) == ["13 files"]
    paths[12].write_bytes(b"abd")
    assert file_sums(paths) != together


def test_what_is_published_is_told_from_what_is_not(tmp_path: Path) -> None:
    data, path = digits(), tmp_path / "a.gz"
    path.write_bytes(b"abc")
    # MD5 of "abc", RFC 1321, appendix A.5.
    abc = "900150983cd24fb0d6963f7d28e17f72"
    right = Published(counts={"train": 1297, "test": 500}, sums={"a.gz": abc})
    assert data.as_published(right, [path]) == "yes (1,297 and 500 images, and every file's MD5)"
    unpacked = tmp_path / "a"
    assert data.as_published(right, [path, unpacked]) == (
        "yes (1,297 and 500 images; no MD5 is published of files in this form)"
    )
    other = "0" * 32
    changed = dataclasses.replace(right, sums={"a.gz": other})
    assert data.as_published(changed, [path]) == (f"no (the MD5 of a.gz is {abc}, not {other})")
    longer = Published(counts={"train": 60_000, "test": 500})
    wanted = "no (1,297 and 500 images, not 60,000 and 500)"
    assert data.as_published(longer, [path]) == wanted


def test_published_data_sets_have_their_counts() -> None:
    counts = {
        name: (*entry.published.counts.values(), len(entry.published.sums))
        for name, entry in DATASETS.items()
        if entry.published is not None
    }
    idx = (60_000, 10_000, 4)
    assert counts == {
        "mnist": idx,
        "fashion-mnist": idx,
        "kmnist": idx,
        "svhn": (73_257, 26_032, 2),
        "cifar-10": (50_000, 10_000, 6),
        "cifar-100": (50_000, 10_000, 2),
        "ptb": (929_589, 73_760, 82_430, 0),
        "wikitext-2": (2_088_628, 217_646, 245_569, 0),
    }


def test_where_data_are_looked_for(tmp_path: Path) -> None:
    assert DATASETS["digits"].whereabouts(tmp_path) == "embedded"
    assert DATASETS["npz"].whereabouts(tmp_path) == "name it with --data-root"
    assert DATASETS["svhn"].whereabouts(None).startswith("no data root: train_32x32.mat and")
    assert DATASETS["svhn"].whereabouts(tmp_path) == f"missing: {tmp_path / 'train_32x32.mat'}"
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / "cifar-10.npz").touch()
    assert DATASETS["cifar-10"].whereabouts(tmp_path) == f"found in {tmp_path / 'cifar-10'}"
    assert DATASETS["cifar-100"].whereabouts(tmp_path).startswith("missing: ")
