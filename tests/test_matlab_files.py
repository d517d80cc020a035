"""MATLAB files: what scipy writes is read back, and damage is named."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from tests.bad_data import check_bad_data
from training.datasets import raw_images
from training.datasets.matlab_files import read_mat
from training.errors import LotteryError

KINDS = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")


@given(st.data(), st.sampled_from(KINDS), st.booleans())
def test_what_scipy_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    shapes = st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple)
    shape = data.draw(shapes)
    held = {name: data.draw(arrays(kind, shape)) for name in ("X", "a_long_name")}
    savemat(path, {**held, "words": "left out", "complex": 1j}, do_compression=packed)
    assert read_mat(path, ["X"]).keys() == {"X"}
    found = read_mat(path, [*held, "words", "complex"])
    assert found.keys() == held.keys()
    for name, array in held.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("packed", [False, True])
@given(data=st.data())
def test_no_damage_is_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, packed: bool, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    savemat(path, {"X": np.arange(6.0).reshape(2, 3), "y": [1]}, do_compression=packed)
    whole = path.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        assert set(map(type, read_mat(path, ["X", "y"]).values())) <= {np.ndarray}
    except LotteryError as error:
        check_bad_data(error, "a.mat")


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": [1]}, format="4")
    with pytest.raises(LotteryError, match="does not begin like a MATLAB file of") as caught:
        read_mat(path, ["X"])
    check_bad_data(caught.value, "a.mat")


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content


def file_of(*elements: bytes) -> bytes:
    """A file of version 5 with some elements behind its header."""
    return bytes(124) + b"\x00\x01IM" + b"".join(elements)


def test_what_grows_without_end_is_refused_at_once(tmp_path: Path) -> None:
    """Millions of empty elements in a few kilobytes, and archives within archives."""
    path = tmp_path / "a.mat"
    nested = b""
    for _ in range(2000):
        nested = element(15, zlib.compress(nested, 0))
    empty = element(15, zlib.compress(bytes(10**6)))
    for content in (file_of(empty), file_of(*[element(1, b"")] * 10**5)):
        path.write_bytes(content)
        with pytest.raises(LotteryError, match="it has more than 1,000 elements") as caught:
            read_mat(path, ["X"])
        check_bad_data(caught.value, "a.mat")
    path.write_bytes(file_of(nested))
    assert read_mat(path, ["X"]) == {}


def test_a_file_that_is_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.zeros(1000)})
    monkeypatch.setattr(raw_images, "physical_memory", lambda: 1000)
    with pytest.raises(LotteryError, match="bytes once it is read, and this machine") as caught:
        read_mat(path, ["X"])
    check_bad_data(caught.value, "a.mat")
