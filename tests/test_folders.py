"""Folders whose manifest notices a flipped bit, and their lock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.refusals import refusal
from training.errors import ExitCode
from training.folders import MANIFEST, Folder, locked
from training.storage import sha256, to_json


def folder(path: Path) -> Folder:
    """Two files, `a` and `b`, written through a manifest."""
    made = Folder(path)
    made.write("a", b"first file")
    made.write("b", b"file two..")
    return made


def test_a_folder_lists_what_it_holds(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert made.names() == ["a", "b"]
    assert made.read("a") == b"first file"
    assert made.holds("b")
    assert not made.holds("c")
    content = json.loads((tmp_path / MANIFEST).read_bytes())
    assert content["files"]["a"] == [{"bytes": 10, "sha256": sha256(b"first file")}]
    assert content["sha256"] == sha256(to_json(content["files"]))


def test_a_removed_file_is_gone_from_disk_and_manifest(tmp_path: Path) -> None:
    made = folder(tmp_path)
    made.remove("a")
    assert made.names() == ["b"]
    assert not (tmp_path / "a").exists()
    made.remove("a")
    assert made.names() == ["b"]


def test_what_killed_writers_left_is_cleared_up_and_nothing_else(tmp_path: Path) -> None:
    made = folder(tmp_path)
    made.write("level/c", b"third")
    left = [f".a.{'0f' * 16}.tmp", f"level/.weights.safetensors.{'a1' * 16}.tmp"]
    theirs = [".notes.tmp", "level/draft.tmp", f"level/{'0f' * 16}.tmp"]
    for name in (*left, *theirs):
        (tmp_path / name).write_bytes(b"half")
    made.tidy()
    assert not any((tmp_path / name).exists() for name in left)
    assert all((tmp_path / name).read_bytes() == b"half" for name in theirs)
    assert [made.read(name) for name in made.names()] == [b"first file", b"file two..", b"third"]


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
        "from training.folders import locked\n"
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
