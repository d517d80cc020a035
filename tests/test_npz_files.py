"""Images in one .npz file: every layout, and what is wrong with others."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets import raw_images
from training.datasets.catalog import load_data
from training.datasets.images import ImageData
from training.datasets.npz_files import read_npz
from training.errors import LotteryError

Arrays = dict[str, Any]
DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (30, 4, 6, 3), dtype=np.uint8)


def arrays(images: npt.NDArray[Any] = COLOUR) -> Arrays:
    """20 images to train on and 10 to test, of 5 classes."""
    labels = np.arange(30) % 5
    return {
        "train_images": images[:20],
        "train_labels": labels[:20],
        "test_images": images[20:],
        "test_labels": labels[20:],
    }


def npz(path: Path, held: Arrays, name: str = "npz") -> ImageData:
    np.savez(path, **held)
    data = load_data(DataConfig(name=name, options={"validation": 4}), path)
    assert isinstance(data, ImageData)
    return data


def test_channels_may_be_first_or_last(tmp_path: Path) -> None:
    last = npz(tmp_path / "last.npz", arrays())
    first = npz(tmp_path / "first.npz", arrays(COLOUR.transpose(0, 3, 1, 2)))
    assert last.fingerprint == first.fingerprint
    assert torch.equal(last.train.images, first.train.images)
    assert (last.spec.channels, last.spec.height, last.spec.width) == (3, 4, 6)
    assert last.spec.classes == 5
    assert (len(last.train), len(last.validation), len(last.test)) == (16, 4, 10)
    # Pixels over 255, less the mean of the channel, over its deviation.
    pixel = (COLOUR[20, 1, 2, 2] / 255 - last.mean[2]) / last.deviation[2]
    assert float(last.test.images[0, 2, 1, 2]) == pytest.approx(pixel, rel=1e-5)


def test_grey_images_may_have_a_channel_or_none(tmp_path: Path) -> None:
    without = npz(tmp_path / "a.npz", arrays(COLOUR[..., 0]))
    with_one = npz(tmp_path / "b.npz", arrays(COLOUR[..., :1]))
    assert without.spec.channels == 1
    assert without.fingerprint == with_one.fingerprint


def test_floats_in_0_to_1_are_the_bytes_over_255(tmp_path: Path) -> None:
    exact = npz(tmp_path / "bytes.npz", arrays())
    floats = npz(tmp_path / "floats.npz", arrays(COLOUR.astype(np.float32) / 255))
    assert torch.allclose(exact.test.images, floats.test.images, atol=1e-6)


def test_named_classes_need_not_occur(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c", "d", "e", "f", "g"])
    assert npz(tmp_path / "a.npz", {**arrays(), "classes": names}).spec.classes == 7
    with pytest.raises(LotteryError, match="label 4 is out of range 0 to 2") as caught:
        npz(tmp_path / "b.npz", {**arrays(), "classes": names[:3]})
    check_bad_data(caught.value, "b.npz")


LABELS = np.arange(20) % 5
DAMAGES: dict[str, tuple[Arrays, str]] = {
    "objects": (
        {"train_labels": np.array([None] * 20, dtype=object)},
        "train_labels holds Python objects, which are never unpickled",
    ),
    "too few labels": ({"train_labels": LABELS[:19]}, "it holds 19 labels for 20 images"),
    "a negative label": ({"train_labels": LABELS - 1}, "label -1 is out of range 0 to 4"),
    "an absurd label": (
        {"train_labels": LABELS + 10**6},
        "label 1000004 is out of range 0 to 9,999",
    ),
    "labels one-hot": ({"train_labels": np.eye(20)}, r"are float64 \(20, 20\), not whole numbers"),
    "labels of floats": ({"train_labels": LABELS / 1.0}, "train_labels are float64"),
    "no images": (
        {"train_images": COLOUR[:0], "train_labels": LABELS[:0]},
        r"shape \(0, 3, 4, 6\), with",
    ),
    "no pixels": ({"train_images": np.zeros((20, 0, 6), np.uint8)}, r"with a side outside 1 to"),
    "huge": ({"train_images": np.zeros((20, 1, 4097), np.uint8)}, "with a side outside 1 to 4,096"),
    "flat": ({"train_images": np.zeros((20, 12), np.uint8)}, r"have the shape \(20, 12\), not"),
    "five channels": ({"train_images": np.zeros((20, 5, 4, 6), np.uint8)}, r"\(20, 5, 4, 6\), not"),
    "other sizes": ({"train_images": COLOUR[:20, :3]}, r"train_images are uint8 \(3, 3, 6\) and"),
    "other types": ({"train_images": COLOUR[:20] / 255}, "are float32 .* and test_images uint8"),
    "not a number": ({"train_images": COLOUR[:20] * np.nan}, "neither uint8 nor floats in"),
    "above 1": ({"train_images": COLOUR[:20] / 1.0}, "neither uint8 nor floats in"),
    "whole numbers": ({"train_images": COLOUR[:20].astype(np.int64)}, "int64, neither uint8 nor"),
    "classes of numbers": ({"classes": np.arange(5)}, "classes are int64, not strings"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_fault_is_named(tmp_path: Path, damage: str) -> None:
    changed, message = DAMAGES[damage]
    with pytest.raises(LotteryError, match=message) as caught:
        npz(tmp_path / "mine.npz", {**arrays(), **changed})
    check_bad_data(caught.value, "mine.npz")


@pytest.mark.parametrize("name", sorted(arrays()))
def test_a_missing_array_is_named(tmp_path: Path, name: str) -> None:
    held = arrays()
    del held[name]
    with pytest.raises(LotteryError, match=f"it holds no {name}") as caught:
        npz(tmp_path / "mine.npz", held)
    check_bad_data(caught.value, "mine.npz")


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path, header = tmp_path / "mine.npz", io.BytesIO()
    wanted = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 4000, 4000, 3)}
    np.lib.format.write_array_header_1_0(header, wanted)
    np.savez(path, **{k: v for k, v in arrays().items() if k != "train_images"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", header.getvalue() + b"short")
    with pytest.raises(LotteryError, match="train_images has 5 bytes, not 48,000,000,000,000"):
        read_npz(path)


def test_the_file_itself_must_be_named(tmp_path: Path) -> None:
    for root in (None, tmp_path, tmp_path / "none.npz"):
        with pytest.raises(LotteryError, match=r"--data-root images\.npz") as caught:
            read_npz(root)
        check_bad_data(caught.value, "npz")


def npy(header: str, body: bytes = b"", length: int | None = None) -> bytes:
    """An array's file of version 1 whose header is any text."""
    count = len(header) if length is None else length
    return b"\x93NUMPY\x01\x00" + count.to_bytes(2, "little") + header.encode() + body


def described(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


HEADERS = {
    "truth": npy(described("'<i8'", "(True,)"), bytes(8)),
    "absurd": npy(described("'<i8'", "(0, 10**20, 8)".replace("10**20", "1" + "0" * 20))),
    "negative": npy(described("'<i8'", "(-1, -8)"), bytes(64)),
    "empty text": npy(described("'<U0'", "(20,)")),
    "no bytes": npy(described("'|V0'", "(20,)")),
    "no bytes, absurdly often": npy(described("'|V0'", "(1000000000000,)")),
    "fields": npy(described("[('a', '<i8')]", "(1,)"), bytes(8)),
    "objects in fields": npy(described("[('a', '|O')]", "(1,)"), bytes(8)),
    "brackets": npy("(" * 3000),
    "signs": npy(described("'<i8'", f"({'-' * 3000}1,)")),
    "no dictionary": npy("5"),
    "cut": npy(described("'<i8'", "(20,)"), length=400),
    "digits": npy(described("'<i8'", f"({'9' * 5000},)")),
    "not a type": npy(described("'<q99'", "(20,)")),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("array", ["train_labels", "classes"])
def test_no_header_is_worse_than_a_clear_error(tmp_path: Path, array: str, name: str) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **{key: value for key, value in arrays().items() if key != array})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{array}.npy", HEADERS[name])
    with pytest.raises(LotteryError) as caught:
        read_npz(path)
    check_bad_data(caught.value, "mine.npz")
    assert len(str(caught.value)) < 700


def test_names_of_no_class_or_of_absurdly_many_are_refused(tmp_path: Path) -> None:
    for count, told in ((0, "0 classes"), (10_001, "10,001 classes")):
        names = np.array(["a"] * count, dtype="<U1")
        with pytest.raises(LotteryError, match=f"it names {told}, not 1 to 10,000") as caught:
            npz(tmp_path / "mine.npz", {**arrays(), "classes": names})
        check_bad_data(caught.value, "mine.npz")


def test_what_unpacks_to_more_than_the_memory_is_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a few kilobytes that would fill gigabytes is refused before it is unpacked."""
    monkeypatch.setattr(raw_images, "physical_memory", lambda: 10**6)
    bomb = np.zeros((20, 1000, 1000), np.uint8)
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **{**arrays(), "train_images": bomb, "test_images": bomb[:10]})
    assert path.stat().st_size < 10**5
    with pytest.raises(LotteryError, match="it holds 30,0.* bytes once it is read, and") as caught:
        read_npz(path)
    check_bad_data(caught.value, "mine.npz")


def test_a_decompressor_that_finds_no_memory_is_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file may ask for a dictionary of gigabytes."""

    def load(path: Path, allow_pickle: bool) -> None:
        raise MemoryError

    path = tmp_path / "mine.npz"
    np.savez(path, **arrays())
    monkeypatch.setattr(np, "load", load)
    with pytest.raises(LotteryError, match="it can't be read as an .npz file") as caught:
        read_npz(path)
    check_bad_data(caught.value, "mine.npz")


def whole_file(packing: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", packing) as archive:
        for name, array in arrays().items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.save(stream, array)
    return held.getvalue()


PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
WHOLE = [whole_file(packing) for packing in PACKINGS]
files, places = st.sampled_from(WHOLE), st.floats(0, 1, exclude_max=True)


@given(files, places, st.integers(1, 255))
def test_no_flipped_byte_is_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, place: float, flip: int
) -> None:
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= flip
    path = tmp_path_factory.mktemp("npz") / "mine.npz"
    path.write_bytes(damaged)
    try:
        raw = read_npz(path)
    except LotteryError as error:
        check_bad_data(error, "mine.npz")
    else:
        # Some bytes of a zip file don't matter.
        assert np.array_equal(raw.test.images, COLOUR[20:].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("whole", WHOLE, ids=["stored", "deflate", "bzip2", "lzma"])
def test_damaged_members_are_named(tmp_path: Path, whole: bytes) -> None:
    """Each tenth byte of the packed data, so that every decompressor meets damage."""
    path = tmp_path / "mine.npz"
    for place in range(40, len(whole) // 2, max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(LotteryError) as caught:
            read_npz(path)
        check_bad_data(caught.value, "mine.npz")


@given(files, places)
def test_no_cut_is_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, place: float
) -> None:
    path = tmp_path_factory.mktemp("npz") / "mine.npz"
    path.write_bytes(whole[: int(place * len(whole))])
    with pytest.raises(LotteryError) as caught:
        read_npz(path)
    check_bad_data(caught.value, "mine.npz")
