"""Whole files or none, hashes that notice a flipped bit, and the lock."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from training.errors import ExitCode, LotteryError
from training.storage import (
    MANIFEST,
    Folder,
    damaged,
    disk_error,
    locked,
    parse_json,
    read_file,
    sha256,
    to_json,
    to_json_lines,
    write_file,
)


def failing(number: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def folder(path: Path) -> Folder:
    """Two files, `a` and `b`, written through a manifest."""
    made = Folder(path)
    made.write("a", b"first file")
    made.write("b", b"file two..")
    return made


def refusal(call: Any, *arguments: Any) -> LotteryError:
    """The error that a call ends with; one sentence."""
    with pytest.raises(LotteryError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


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
    (line,) = to_json_lines([value]).splitlines()
    assert json.loads(line) == nulls
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


def test_a_folder_lists_what_it_holds(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert made.names() == ["a", "b"]
    assert made.read("a") == b"first file"
    assert made.holds("b")
    assert not made.holds("c")
    content = json.loads((tmp_path / MANIFEST).read_bytes())
    assert content["files"]["a"] == [{"bytes": 10, "sha256": sha256(b"first file")}]
    assert content["sha256"] == sha256(to_json(content["files"]))


def test_the_hash_is_sha_256() -> None:
    # FIPS 180-2, appendix B.1.
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_removed_file_is_gone_from_disk_and_manifest(tmp_path: Path) -> None:
    made = folder(tmp_path)
    made.remove("a")
    assert made.names() == ["b"]
    assert not (tmp_path / "a").exists()
    made.remove("a")
    assert made.names() == ["b"]


def test_every_flipped_byte_of_a_file_is_noticed(tmp_path: Path) -> None:
    made = folder(tmp_path)
    data = made.read("a")
    for place in range(len(data)):
        for bit in (1, 128):
            flipped = bytes(b ^ bit if i == place else b for i, b in enumerate(data))
            (tmp_path / "a").write_bytes(flipped)
            error = refusal(made.read, "a")
            assert error.exit_code is ExitCode.BAD_DATA
            assert "SHA-256" in str(error)
    (tmp_path / "a").write_bytes(data)
    assert made.read("a") == data


def test_every_flipped_byte_of_the_manifest_is_noticed(tmp_path: Path) -> None:
    made = folder(tmp_path)
    manifest = (tmp_path / MANIFEST).read_bytes()
    for place in range(len(manifest) - 1):
        # Of the bits that make a letter or digit another one.
        flipped = bytes(b ^ 1 if i == place else b for i, b in enumerate(manifest))
        if flipped.split() == manifest.split():
            continue
        (tmp_path / MANIFEST).write_bytes(flipped)
        for look in (made.names, lambda: made.holds("a"), lambda: made.read("b"), made.tidy):
            assert refusal(look).exit_code is ExitCode.BAD_DATA


def manifest_of(files: object) -> bytes:
    """A manifest whose own hash is right."""
    return to_json({"files": files, "sha256": sha256(to_json(files))})


@pytest.mark.parametrize(
    "data",
    [
        *(b"[]", b"{", b"", b'{"a": 1}', b'{"files": []}', b'{"files": {}}'),
        *map(manifest_of, ({"a": 1}, {"a": []}, {"a": [{"bytes": 10}]}, [])),
        # A stranger's run may not have files outside of it removed.
        *(manifest_of({name: [None]}) for name in ("../a", "b/../../a", "/tmp/a")),
    ],
)
def test_a_manifest_of_another_form_is_damaged(tmp_path: Path, data: bytes) -> None:
    made = folder(tmp_path)
    (tmp_path / MANIFEST).write_bytes(data)
    for look in (lambda: made.read("a"), made.tidy):
        error = refusal(look)
        assert error.exit_code is ExitCode.BAD_DATA
        assert f"{MANIFEST} is damaged" in str(error)


@pytest.mark.parametrize("data", [b"", b"first fil", b"first file."])
def test_a_file_of_another_length_is_noticed(tmp_path: Path, data: bytes) -> None:
    made = folder(tmp_path)
    (tmp_path / "a").write_bytes(data)
    error = refusal(made.read, "a")
    assert error.exit_code is ExitCode.BAD_DATA
    assert f"it has {len(data)} bytes, not the 10 written" in str(error)


def test_swapped_files_are_noticed(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    for name in ("a", "b"):
        assert "SHA-256" in str(refusal(made.read, name))


def test_a_file_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (tmp_path / "c").write_bytes(b"stray")
    assert not made.holds("c")
    assert "does not list it" in str(refusal(made.read, "c"))


def test_the_lock_keeps_a_second_process_out(tmp_path: Path) -> None:
    root = tmp_path / "run"
    program = (
        "import sys, pathlib\n"
        "from training.errors import LotteryError\n"
        "from training.storage import locked\n"
        "try:\n"
        "    with locked(pathlib.Path(sys.argv[1])):\n"
        "        print('in')\n"
        "except LotteryError as error:\n"
        "    print(int(error.exit_code), error)\n"
    )

    def second() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with locked(root):
        told = second()
    assert told == (f"1 Another process is at work in {root}; wait for it or choose another --out.")
    assert second() == "in"


def test_a_lock_is_given_back_after_an_error_which_passes_through(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="mine"), locked(tmp_path):
            raise FileNotFoundError("mine")


def test_a_lock_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    def enter() -> None:
        with locked(tmp_path / "file" / "run"):
            pass

    assert refusal(enter).exit_code is ExitCode.DISK


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(LotteryError, match="is a folder or a device") as raised:
            write_file(path, b"x")
        assert raised.value.exit_code == ExitCode.DISK
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [folder, pipe]
