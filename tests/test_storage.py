"""Files are written whole or not at all, and what goes wrong is one sentence."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tests.refusals import refusal
from training.errors import ExitCode, LotteryError
from training.storage import (
    damaged,
    disk_error,
    parse_json,
    read_file,
    sha256,
    to_json,
    to_json_line,
    write_file,
)


def failing(number: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_is_written_with_its_folders_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x" / "y" / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert read_file(path) == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("function", ["replace", "fsync", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int
) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr(os, function, failing(number))
    error = refusal(write_file, path, b"new")
    monkeypatch.undo()
    assert error.exit_code is ExitCode.DISK
    assert str(path) in str(error)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_can_not_be_synced_is_told_and_holds_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    sync, calls = os.fsync, []

    def second_fails(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.EIO, "input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", second_fails)
    assert refusal(write_file, path, b"new").exit_code is ExitCode.DISK
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_whoever_may_read_a_new_file_may_read_ours(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_file(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_says_what_was_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    message = str(refusal(write_file, tmp_path / "new" / "file", b"x" * 1234))
    assert "disk is full" in message
    assert "1,234 bytes were needed" in message
    assert "run the same command again" in message


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_no_permission_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Path, "mkdir", failing(number))
    error = refusal(write_file, tmp_path / "file", b"")
    assert error.exit_code is ExitCode.DISK
    assert "No permission for" in str(error)
    assert "--out" in str(error)


def test_other_faults_keep_their_own_words(tmp_path: Path) -> None:
    error = disk_error(OSError(errno.EIO, "Input/output error"), tmp_path / "f")
    assert str(error) == f"{tmp_path / 'f'}: Input/output error."
    assert error.exit_code is ExitCode.DISK


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    missing = refusal(read_file, tmp_path / "nowhere")
    assert missing.exit_code is ExitCode.BAD_DATA
    assert str(missing) == f"{tmp_path / 'nowhere'} does not exist."
    assert refusal(read_file, tmp_path).exit_code is ExitCode.DISK


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float64("inf")])
def test_a_number_that_is_not_finite_is_written_as_null(number: float) -> None:
    value = {"a": number, "b": [1.5, (number,)], "c": {"d": {"e": number}}}
    nulls = {"a": None, "b": [1.5, [None]], "c": {"d": {"e": None}}}
    assert json.loads(to_json(value)) == nulls
    line = to_json_line(value)
    assert (json.loads(line), line.count(b"\n")) == (nulls, 1)
    assert to_json(number) == b"null\n"


def test_json_is_canonical() -> None:
    assert to_json({"b": 1, "a": [True, None]}) == b'{\n "a": [\n  true,\n  null\n ],\n "b": 1\n}\n'
    assert to_json({"a": 1, "b": 2}) == to_json({"b": 2, "a": 1})


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000])
def test_damaged_json_is_named(tmp_path: Path, data: bytes) -> None:
    error = refusal(parse_json, data, tmp_path / "x.json")
    assert error.exit_code is ExitCode.BAD_DATA
    assert "x.json is damaged" in str(error)


def test_damage_says_what_and_what_to_do() -> None:
    assert str(damaged(Path("a"), "it is short")) == (
        "a is damaged: it is short; restore it from a copy or remove the run and start again."
    )


def test_the_hash_is_sha_256() -> None:
    # FIPS 180-2, appendix B.1.
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(
            LotteryError, match="is a folder or a device and is left as it is; name"
        ) as raised:
            write_file(path, b"x")
        assert raised.value.exit_code == ExitCode.DISK
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [folder, pipe]
