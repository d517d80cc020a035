"""Every environment that was at work in a folder is kept, and a decisive difference is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.environments import ENVIRONMENT, note_environment, read_environments
from training.errors import LotteryError
from training.folders import Folder

ONE: dict[str, Any] = {
    "versions": {"torch": "2.11.0", "scipy": "1.17"},
    "device": "cpu",
    "instructions": "AVX2",
    "threads": 1,
    "command": ["prune", "x"],
}


def test_all_are_kept_and_what_decides_over_bits_is_said(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run")
    assert read_environments(folder) == []
    assert note_environment(folder, ONE) == ""
    written = folder.read(ENVIRONMENT)
    assert note_environment(folder, ONE) == ""
    assert folder.read(ENVIRONMENT) == written
    other = {**ONE, "versions": {"torch": "2.12.0", "scipy": "1.17"}, "threads": 2}
    assert note_environment(folder, other) == (
        f"{tmp_path / 'run'} goes on in another environment (torch was 2.11.0 and is 2.12.0, threads was 1 and is 2): "
        "from here on its numbers may differ in rounding, and by what training makes of that, from those of an "
        "uninterrupted run."
    )
    # With another command or another scipy the bits are the same.
    same = {**other, "command": [], "versions": {"torch": "2.12.0", "scipy": "1.18"}}
    assert note_environment(folder, same) == ""
    assert read_environments(folder) == [ONE, other, same]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("device", "NVIDIA H100", "device was cpu and is NVIDIA H100"),
        ("instructions", "AVX512", "instructions was AVX2 and is AVX512"),
    ],
)
def test_each_of_them_is_said(tmp_path: Path, name: str, value: object, said: str) -> None:
    note_environment(Folder(tmp_path), ONE)
    assert f"({said})" in note_environment(Folder(tmp_path), {**ONE, name: value})


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"["])
def test_another_form_is_damaged(tmp_path: Path, data: bytes) -> None:
    Folder(tmp_path).write(ENVIRONMENT, data)
    with pytest.raises(LotteryError, match="environment.json is damaged"):
        read_environments(Folder(tmp_path))
