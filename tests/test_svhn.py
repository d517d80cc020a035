"""SVHN: MATLAB files that are checked, and the label 10 that is the digit 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets.catalog import load_data
from training.datasets.images import ImageData
from training.datasets.svhn import FILES, read_svhn
from training.errors import LotteryError

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
LABELS = (np.arange(12, dtype=np.uint8) % 10 + 1)[:, None]


def write(root: Path, **changed: npt.NDArray[Any]) -> Path:
    """Both files, the one to train on with changes."""
    root.mkdir(parents=True, exist_ok=True)
    # One as it is and one compressed, as the published ones are.
    savemat(root / FILES[0], {"X": PIXELS, "y": LABELS, **changed})
    savemat(root / FILES[1], {"X": PIXELS[..., :5], "y": LABELS[:5]}, do_compression=True)
    return root


@pytest.mark.parametrize("folder", [".", "svhn"])
def test_svhn_is_read(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder)
    data = load_data(DataConfig(name="svhn", options={"validation": 2}), tmp_path)
    assert isinstance(data, ImageData)
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 2, 5)
    assert (data.spec.channels, data.spec.height, data.spec.classes) == (3, 32, 10)
    assert data.test.labels.tolist() == [1, 2, 3, 4, 5]
    # Row 7, column 3 of the blue channel of the fourth image.
    wanted = (PIXELS[7, 3, 2, 3] / 255 - data.mean[2]) / data.deviation[2]
    assert float(data.test.images[3, 2, 7, 3]) == pytest.approx(wanted, rel=1e-5)


def test_label_10_is_the_digit_0(tmp_path: Path) -> None:
    raw = read_svhn(write(tmp_path))
    assert raw.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]


DAMAGES: dict[str, tuple[dict[str, npt.NDArray[Any]], str]] = {
    "label 0": ({"y": LABELS - 1}, "label 0 is out of range 1 to 10"),
    "label 11": ({"y": LABELS + 1}, "label 11 is out of range 1 to 10"),
    "too few": ({"y": LABELS[:11]}, "it holds 11 labels for 12 images"),
    "in a row": ({"y": LABELS.T}, r"y is uint8 \(1, 12\), not whole numbers"),
    "floats": ({"y": LABELS / 1.0}, "y is float64"),
    "images of floats": ({"X": PIXELS / 255}, "X is float64"),
    "images in other order": ({"X": PIXELS.transpose(3, 0, 1, 2)}, r"X is uint8 \(12, 32, 32, 3\)"),
    "words": ({"X": np.array("words")}, "it holds no numbers X"),
    "nothing": ({"X": PIXELS[..., :0], "y": LABELS[:0]}, "it holds no images"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_fault_is_named(tmp_path: Path, damage: str) -> None:
    changed, message = DAMAGES[damage]
    with pytest.raises(LotteryError, match=message) as caught:
        read_svhn(write(tmp_path, **changed))
    check_bad_data(caught.value, FILES[0])


def test_a_missing_variable_or_file_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    savemat(tmp_path / FILES[1], {"X": PIXELS})
    with pytest.raises(LotteryError, match="it holds no numbers y") as caught:
        read_svhn(tmp_path)
    check_bad_data(caught.value, FILES[1])
    (tmp_path / FILES[1]).unlink()
    with pytest.raises(LotteryError, match="was not found; .* --data-root") as caught:
        read_svhn(tmp_path)
    check_bad_data(caught.value, FILES[1])
    with pytest.raises(LotteryError, match="--data-root, or set LOTTERY_DATA"):
        read_svhn(None)


@given(st.data())
def test_no_damage_is_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = write(tmp_path_factory.mktemp("svhn"), X=PIXELS[..., :1], y=LABELS[:1])
    path = root / FILES[0]
    whole = path.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    # What is not in a pixel is in the first few bytes or the last.
    places = st.integers(0, len(damaged) - 1).map(lambda n: n if n < 250 else len(damaged) - 1)
    if damaged:
        damaged[data.draw(places)] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        raw = read_svhn(root)
    except LotteryError as error:
        check_bad_data(error, FILES[0])
    else:
        assert raw.train.images.shape == (1, 3, 32, 32)
