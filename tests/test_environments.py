"""Every environment that was at work in a folder is kept, and a decisive difference is said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.search.records import ARCHITECTURES
from tests.commands import lottery
from tests.tiny_runs import TOML
from tests.tiny_searches import RANDOM
from training.configs import DataConfig
from training.environments import ENVIRONMENT, note_environment, read_environments
from training.errors import LotteryError
from training.folders import Folder
from training.toml_text import to_toml

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


def told(*words: str) -> list[str]:
    """What a command that succeeds says of another environment, line ends aside."""
    result = lottery(*words)
    assert result.exit_code == 0, result.output
    notes = " ".join(result.stderr.split()).split("Note: ")[1:]
    return [note for note in notes if "environment" in note]


def threads_of(folder: Path) -> list[int]:
    return [held["threads"] for held in json.loads((folder / ENVIRONMENT).read_text())]


def test_a_run_that_goes_on_says_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TOML)
    # The library that multiplies would be measured, each time anew.
    words = ("prune", "tiny.toml", "--seeds", "0", "--out", "run", "--products", "mkl")
    one = torch.get_num_threads()
    assert told(*words, "--levels", "1") == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: one + 6)
    # Nothing is computed.
    assert told(*words, "--levels", "1") == []
    differs = (
        f"run goes on in another environment (threads was {one} and is {one + 6}): from here on"
    )
    (note,) = told(*words, "--levels", "2")
    assert note.startswith(differs)
    monkeypatch.setattr(torch, "get_num_threads", lambda: one)
    (note,) = told("control", "run", "shuffled-mask", "--products", "mkl")
    assert f"threads was {one + 6} and is {one}" in note
    assert threads_of(tmp_path / "run") == [one, one + 6, one]


def test_a_search_that_goes_on_says_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(RANDOM, data=DataConfig(name="digits"))
    (tmp_path / "search.toml").write_text(to_toml(config))
    words = ("search", "search.toml", "--out", "found", "--products", "mkl")
    one = torch.get_num_threads()
    assert told(*words) == []
    monkeypatch.setattr(torch, "get_num_threads", lambda: one + 6)
    assert told(*words) == []
    Folder(tmp_path / "found").remove(ARCHITECTURES)
    (note,) = told(*words)
    assert f"another environment (threads was {one} and is {one + 6})" in note
    assert threads_of(tmp_path / "found") == [one, one + 6]
