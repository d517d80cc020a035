"""MATLAB files: what scipy writes is read back, and damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from tests.bad_data import check_bad_data
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
    found = read_mat(path)
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
        assert set(map(type, read_mat(path).values())) <= {np.ndarray}
    except LotteryError as error:
        check_bad_data(error, "a.mat")


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": [1]}, format="4")
    with pytest.raises(LotteryError, match="does not begin like a MATLAB file of") as caught:
        read_mat(path)
    check_bad_data(caught.value, "a.mat")
