"""Outputs that lack letters, that are full, or that nobody reads any longer."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import IO

import pytest

from lottery.cli import terminal
from tests.fake_runs import write_run
from training.errors import ExitCode

FULL = Path("/dev/full")


def process(
    *words: str | Path,
    encoding: str = "utf-8",
    out: int | IO[str] = PIPE,
    err: int | IO[str] = PIPE,
) -> CompletedProcess[bytes]:
    """Run a command as a process of its own, in which every warning is an error."""
    code = "from lottery.cli.main import cli; cli()"
    return python(code, *words, encoding=encoding, out=out, err=err)


def python(
    code: str,
    *words: str | Path,
    encoding: str = "utf-8",
    out: int | IO[str] = PIPE,
    err: int | IO[str] = PIPE,
) -> CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stdout=out,
        stderr=err,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_an_output_lacks_are_replaced(tmp_path: Path, encoding: str) -> None:
    run = write_run(tmp_path / "naïve-名", levels=0, seeds=(0,))
    found = process("show", run, encoding=encoding)
    assert (found.returncode, found.stderr) == (0, b"")
    text = found.stdout.decode(encoding)
    assert text.splitlines()[-1].split() == [
        "0",
        "100",
        "%",
        "ticket",
        "97.96",
        "%",
        "[-,",
        "-]",
        "1",
        "-",
    ]
    assert ("naïve" if encoding == "latin-1" else "na\\u00efve") + "-\\u540d" in text
    message = process("show", "名", encoding=encoding).stderr.decode(encoding)
    assert message.startswith("Error: ")
    assert "\\u540d is not a run" in message


def test_the_examples_hold() -> None:
    found = doctest.testmod(terminal)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("words", [("--help",), ("recipes",), ("recipes", "--json")])
def test_a_full_output_is_4_in_one_sentence(words: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        found = process(*words, out=full)
    assert found.returncode == ExitCode.DISK
    lines = found.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: The output can't be written (No space left on device)")


def test_a_message_that_can_not_be_written_keeps_its_exit_code() -> None:
    """Not 1, which Python ends with after an exception of any kind."""
    with FULL.open("w") as full:
        assert process("prune", "no.toml", err=full).returncode == ExitCode.BAD_DATA
        assert process("prune", "no.toml", err=full, out=full).returncode == ExitCode.BAD_DATA


@pytest.mark.parametrize("words", [("--help",), ("recipes",), ("recipes", "--json")])
def test_a_reader_that_left_is_no_news(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = process(*words, out=writing)
    finally:
        os.close(writing)
    assert (found.returncode, found.stderr) == (ExitCode.ERROR, b"")


def test_what_is_left_to_a_reader_that_left_is_dropped() -> None:
    """Nothing of it is written before the end, when the interpreter would complain."""
    code = "from lottery.cli.terminal import output\nwith output():\n    print('late')"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        found = python(code, out=writing)
    finally:
        os.close(writing)
    assert (found.returncode, found.stderr) == (ExitCode.ERROR, b"")
