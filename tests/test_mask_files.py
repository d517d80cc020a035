"""Mask files: what is packed comes back, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from lottery.mask_files import pack_masks, unpack_masks
from training.errors import ExitCode, LotteryError

PATH = Path("masks.safetensors")
MASKS = {
    "layer.10": np.array([[True, False, True], [False, False, True]]),
    "layer.2": np.array([True] * 9),
}
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, max_side=5, min_side=0)


@given(st.dictionaries(st.text(max_size=8), arrays.arrays(np.bool_, SHAPES), max_size=4))
def test_what_is_packed_comes_back(
    masks: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]],
) -> None:
    masks.pop("__metadata__", None)
    found = unpack_masks(pack_masks(masks), PATH)
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert found[name].dtype == np.bool_
        assert found[name].shape == mask.shape
        assert np.array_equal(found[name], mask)


def test_one_bit_per_weight() -> None:
    few, many = (len(pack_masks({"w": np.ones(n, np.bool_)})) for n in (8_000, 80_000))
    assert abs((many - few) - 9_000) < 16


def test_the_order_of_the_names_is_kept() -> None:
    assert list(unpack_masks(pack_masks(MASKS), PATH)) == ["layer.10", "layer.2"]


def test_a_flipped_byte_is_refused_or_changes_bits_only() -> None:
    data = pack_masks(MASKS)
    refused = 0
    for place in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            broken = bytearray(data)
            broken[place] ^= flip
            try:
                found = unpack_masks(bytes(broken), PATH)
            except LotteryError as error:
                assert error.exit_code == ExitCode.BAD_DATA
                assert str(error).startswith("masks.safetensors is damaged")
                refused += 1
            else:
                assert all(mask.dtype == np.bool_ for mask in found.values())
    assert refused > len(data)


@pytest.mark.parametrize("length", [0, 4, 8, 40, -1])
def test_a_file_cut_short_is_refused(length: int) -> None:
    with pytest.raises(LotteryError, match="is damaged"):
        unpack_masks(pack_masks(MASKS)[:length], PATH)


SHAPES_OF_NO_MASK = (
    *("[2]", '{"w": [17]}', '{"w": "a"}', '{"v": [8]}', "{}", "7", "[" * 100_000, '{"w": 8}'),
    *('{"w": [-8]}', '{"w": [true]}', '{"w": [8.0]}', '{"w": [4294967296, 4294967296]}'),
    *('{"w": [0, 1' + "0" * 30 + "]}", '{"w": [1' + "0" * 5000 + "]}"),
)


@pytest.mark.parametrize("shapes", SHAPES_OF_NO_MASK)
def test_shapes_that_do_not_fit_are_refused(shapes: str) -> None:
    data = save({"w": np.zeros(1, np.uint8)}, {"shapes": shapes})
    with pytest.raises(LotteryError, match="is damaged"):
        unpack_masks(data, PATH)


def test_another_file_of_tensors_is_refused() -> None:
    shapes = {"shapes": json.dumps({"w": [8]})}
    for data in (save({"w": np.zeros(1, np.float32)}, shapes), save({"w": np.zeros(1, np.uint8)})):
        with pytest.raises(LotteryError, match="is not a mask file"):
            unpack_masks(data, PATH)
