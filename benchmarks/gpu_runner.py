"""Parts of a measurement one after the other, each in a process of its own, within a budget; torch-free."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

ROOT = Path(__file__).parents[1]
POLL = 0.1
# A part whose process ended in the middle of an item is begun again after it, so often at most.
MOST_STARTS = 6
# Characters of the end of what a part prints.
LOGGED = 3000
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a measurement.

    Attributes:
        name: of the part.
        command: of its process, to which the path of its result is appended; see `gpu_rows.Rows` for what it holds.
        limit: seconds that it may take at most.
        needed: whether nothing after it makes sense where it fails.
    """

    name: str
    command: tuple[str, ...]
    limit: float
    needed: bool = False


def run_parts(
    parts: Sequence[Part], budget: float, note: Callable[[list[Record]], None]
) -> list[Record]:
    """Run parts within a budget of seconds in all.

    Args:
        parts: in the order in which they are begun.
        budget: seconds, from now on.
        note: is given the records so far whenever one of them has changed.

    Returns:
        A record per part: name, state (`done`, `failed`, `out of time`, `not begun`, `running` or `stopped`), why,
        seconds, starts, log, rows.
    """
    ends = time.monotonic() + budget
    records = [_record(part) for part in parts]
    with tempfile.TemporaryDirectory() as folder, _interrupted_by_signals():
        for part, record in zip(parts, records, strict=True):
            seconds = min(part.limit, ends - time.monotonic())
            if seconds <= 0:
                record["why"] = "no time was left"
            else:
                _run(part, record, seconds, Path(folder), lambda: note(records))
            note(records)
            if record["state"] == "stopped":
                raise KeyboardInterrupt
            if part.needed and record["state"] != "done":
                break
    return records


def _record(part: Part) -> Record:
    return {
        "name": part.name,
        "state": "not begun",
        "why": "",
        "seconds": 0.0,
        "starts": 0,
        "log": "",
        "rows": [],
    }


def _run(
    part: Part, record: Record, seconds: float, folder: Path, note: Callable[[], None]
) -> None:
    """Run a part, again after an item that ended its process, and keep its record up to date."""
    began, result = time.monotonic(), folder / f"{part.name}.json"
    while True:
        before = _progress(result)
        record["state"] = "running"
        record["starts"] += 1
        with tempfile.TemporaryFile() as log:
            code = _wait(part, result, log, began + seconds, record, note)
            record["log"] = _end_of(log)
        record["seconds"] = round(time.monotonic() - began, 1)
        _take_rows(record, result)
        _judge(record, code, result)
        goes_on = _progress(result) != before and record["starts"] < MOST_STARTS
        if record["state"] != "failed" or not goes_on:
            return
        note()


def _wait(
    part: Part,
    result: Path,
    log: IO[bytes],
    ends: float,
    record: Record,
    note: Callable[[], None],
) -> int | None:
    """The exit code of a part's process; None where it was ended at its limit."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*part.command, str(result)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    seen = _progress(result)
    try:
        while time.monotonic() < ends:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(POLL)
            if _progress(result) != seen:
                seen = _progress(result)
                _take_rows(record, result)
                note()
    except KeyboardInterrupt:
        record["state"] = "stopped"
    finally:
        # Also what it has started and left behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return None


def _judge(record: Record, code: int | None, result: Path) -> None:
    """Say in a record how its process ended."""
    if record["state"] == "stopped":
        record["why"] = "a signal ended everything"
    elif code is None:
        record["state"], record["why"] = "out of time", "it was ended at its limit"
    elif code != 0:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        record["state"], record["why"] = "failed", f"its process ended with {how}"
    elif _read(result) is None:
        record["state"], record["why"] = "failed", "it left no result that is JSON"
    else:
        record["state"], record["why"] = "done", ""


def _take_rows(record: Record, result: Path) -> None:
    found = _read(result)
    if found is not None:
        record["rows"] = found["rows"]


def _read(result: Path) -> Record | None:
    """What a part has left so far; None where that is nothing, or no rows in JSON."""
    try:
        found = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("rows"), list) else None


def _progress(result: Path) -> bytes:
    """What tells one state of a result from another one."""
    try:
        return result.read_bytes()
    except OSError:
        return b""


def _end_of(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")[-LOGGED:]


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Have what schedulers send do what Ctrl-C does, so that the part at work is ended and recorded."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
