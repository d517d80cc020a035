"""Data sets: fixed splits, files that are checked, words that are numbered."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.configs import DataConfig
from training.datasets import images as images_module
from training.datasets import text as text_module
from training.datasets.catalog import DATASETS, data_entry, data_options, load_data
from training.datasets.images import ImageData, download_mnist
from training.datasets.text import TextData, text_data, unigram_perplexity
from training.errors import ExitCode, LotteryError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def digits(validation: int = 297) -> ImageData:
    data = load_data(DataConfig(name="digits", options={"validation": validation}), None)
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
    assert (data.mean, data.deviation) == (0.3054, 0.3764)


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


def test_facts_of_images() -> None:
    facts = digits().facts()
    assert facts["examples"] == {"train": 1000, "validation": 297, "test": 500}
    assert facts["baselines"] == []


# --- MNIST


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
    folder.mkdir(parents=True)
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
    with pytest.raises(LotteryError, match=r"was not found, nor .*\.gz; .* --data-root") as caught:
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


def check_bad_data(error: LotteryError, name: str) -> None:
    message = str(error)
    assert error.exit_code is ExitCode.BAD_DATA
    assert name in message
    assert message.endswith(".")
    assert "\n" not in message


def test_a_download_without_a_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.MNIST", offline)
    with pytest.raises(LotteryError, match=r"no route to host\); fetch the four files") as caught:
        download_mnist(tmp_path)
    assert caught.value.exit_code is ExitCode.BAD_DATA


# --- text


def test_words_are_numbered_by_frequency_in_the_training_split() -> None:
    splits = {
        "train": ["b a b\nc a b", "  \n<unk> a"],
        "validation": ["a z"],
        "test": ["c\n\nb"],
    }
    data = text_data("x", splits, least_count=2)
    # a, b and the end of line stand three times, c and <unk> once; ties go by the alphabet.
    assert data.words == ("<unk>", "<eos>", "a", "b")
    assert data.train.tolist() == [3, 2, 3, 1, 0, 2, 3, 1, 0, 2, 1]
    assert data.validation.tolist() == [2, 0, 1]
    assert data.test.tolist() == [0, 1, 3, 1]
    assert data.spec.vocabulary == 4


def test_the_end_of_line_is_always_a_word() -> None:
    data = text_data("x", {"train": ["a a a"], "validation": ["a"], "test": ["a"]}, least_count=3)
    assert data.words == ("<unk>", "a", "<eos>")


def test_the_fingerprint_follows_text_and_count() -> None:
    splits = {"train": ["a b"], "validation": ["a"], "test": ["b"]}
    same = text_data("x", dict(splits), 1).fingerprint
    assert text_data("x", splits, 1).fingerprint == same
    assert text_data("x", splits, 2).fingerprint != same
    assert text_data("x", splits | {"test": ["a"]}, 1).fingerprint != same
    assert text_data("x", {**splits, "validation": ["b"], "test": ["a"]}, 1).fingerprint != same


def test_unigram_perplexity_of_a_small_text() -> None:
    # Counts 3, 1 and 0 with one added to each: probabilities 4/7, 2/7 and 1/7.
    train = torch.tensor([0, 0, 0, 1])
    value = unigram_perplexity(train, torch.tensor([0, 1, 2, 2]), 3)
    assert value == pytest.approx((4 / 7 * 2 / 7 * 1 / 7 * 1 / 7) ** (-1 / 4))
    # A uniform text of 8 words.
    assert unigram_perplexity(torch.arange(8), torch.arange(8), 8) == pytest.approx(8)


def test_facts_of_text() -> None:
    splits = {"train": ["a b a b"], "validation": ["a z"], "test": ["b"]}
    facts = text_data("x", splits, 2).facts()
    assert facts["vocabulary"] == 4
    assert facts["tokens"] == {"train": 5, "validation": 3, "test": 2}
    assert facts["unknown"] == {"validation": 1, "test": 0}
    # Counts <unk> 0, <eos> 1, a 2, b 2 with one each: 1, 2, 3, 3 of 9.
    baselines = facts["baselines"]
    assert isinstance(baselines, list)
    assert [(b["split"], b["metric"]) for b in baselines] == [
        ("validation", "perplexity"),
        ("test", "perplexity"),
    ]
    assert baselines[1]["value"] == pytest.approx(math.sqrt(9 / 3 * 9 / 2))


def test_splits_of_pydoc_share_no_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Sequence[str]] = {}

    def note(name: str, splits: Mapping[str, Sequence[str]], least_count: int) -> TextData:
        seen.update(splits)
        return text_data(name, splits, least_count)

    monkeypatch.setattr(text_module, "text_data", note)
    data = load_data(DataConfig(name="pydoc"), None)
    assert isinstance(data, TextData)
    train, validation, test = (set(seen[split]) for split in ("train", "validation", "test"))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert sum(map(len, (train, validation, test))) == sum(map(len, seen.values()))
    assert len(test) == pytest.approx(len(train) / 8, rel=0.02)
    # It is text of some size, in which most words are known.
    assert len(data.train) > 30_000
    assert 500 < data.spec.vocabulary < 5_000
    assert float((data.test == 0).double().mean()) < 0.4
    assert data.fingerprint == load_data(DataConfig(name="pydoc"), None).fingerprint


# --- the catalog


def test_unknown_data_sets_and_options_offer_near_names() -> None:
    with pytest.raises(LotteryError, match="no data set 'minst'; did you mean mnist"):
        data_entry("minst")
    with pytest.raises(LotteryError, match="digits has no option 'validaton'; did you mean valid"):
        data_options(DataConfig(name="digits", options={"validaton": 3}))
    with pytest.raises(LotteryError, match=r"data\.options\.validation = 0 is out of range"):
        data_options(DataConfig(name="digits", options={"validation": 0}))


def test_given_options_overlay_the_defaults() -> None:
    assert data_options(DataConfig(name="pydoc")) == {"least_count": 5, "sequence": 35}
    given = DataConfig(name="pydoc", options={"sequence": 20})
    assert data_options(given) == {"least_count": 5, "sequence": 20}


def test_what_is_embedded_needs_no_download() -> None:
    assert {name for name, e in DATASETS.items() if e.embedded} == {"digits", "pydoc"}
    assert DATASETS["mnist"].download is images_module.download_mnist
    assert all(e.download is None for e in DATASETS.values() if e.embedded)


def test_data_keep_their_content_on_their_way_to_a_device() -> None:
    cpu = torch.device("cpu")
    data = digits()
    assert torch.equal(data.to(cpu).train.images, data.train.images)
    assert data.to(cpu).facts() == data.facts()
    text = text_data("x", {"train": ["a"], "validation": ["a"], "test": ["a"]}, 1)
    assert text.to(cpu).facts() == text.facts()
