"""Writers that are cut short at every file operation, any number of times, and readers beside them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lottery.experiments import RUN_FOLDER
from lottery.history import read_history
from lottery.records import read_records
from lottery.run_folder import HISTORY, RECORDS, read_description
from tests.fake_runs import write_run
from tests.file_faults import Killed, counted, full_at, killed_at
from training.errors import ExitCode, LotteryError
from training.folders import MANIFEST, Folder

NAME = "a"
OTHER = "other"
NAMES = (RUN_FOLDER.file, HISTORY, MANIFEST)
FIRST, SECOND = b"first content", b"second"
TAIL = b"added since"

Disk = tuple[tuple[str, bytes], ...]
Action = Callable[[Folder], None]
Fault = Callable[[int], Callable[[int], None]]


def write_first(folder: Folder) -> None:
    folder.write(NAME, FIRST)


def write_second(folder: Folder) -> None:
    folder.write(NAME, SECOND)


def remove(folder: Folder) -> None:
    folder.remove(NAME)


def restart(folder: Folder) -> None:
    folder.tidy()


def restart_and_append(folder: Folder) -> None:
    """Add to what is there, once."""
    folder.tidy()
    path = folder.path(NAME)
    if (path.read_bytes() if path.exists() else None) == content(folder):
        folder.append(NAME, TAIL)


# What is done, and the content of the file after it, given that before it.
ACTIONS: dict[Action, Callable[[bytes | None], bytes | None]] = {
    write_first: lambda before: FIRST,
    write_second: lambda before: SECOND,
    remove: lambda before: None,
    restart: lambda before: before,
    restart_and_append: lambda before: before,
}


def disk(root: Path) -> Disk:
    """Every file, but for temporary ones, which never count."""
    paths = [path for path in sorted(root.iterdir()) if not path.name.endswith(".tmp")]
    return tuple((path.name, path.read_bytes()) for path in paths)


def put(root: Path, files: Disk) -> None:
    """Have these files there, and no others."""
    wanted = dict(files)
    for path in root.iterdir():
        if path.name not in wanted:
            path.unlink()
        elif path.read_bytes() == wanted[path.name]:
            del wanted[path.name]
    for name, data in wanted.items():
        (root / name).write_bytes(data)


def content(folder: Folder) -> bytes | None:
    """What counts; the other file counts always."""
    assert folder.read(OTHER) == b"other"
    return folder.read(NAME, appended=True) if folder.holds(NAME) else None


def cut_short(
    folder: Folder, files: Disk, action: Action, patch: pytest.MonkeyPatch, fault: Fault
) -> Iterator[Disk]:
    """What is on the disk after an action that ends before its first operation, its second, ..., and after all."""
    before = content(folder)
    after = ACTIONS[action](before)
    number = operations = 1
    while number <= operations + 1:
        put(folder.root, files)
        with counted(patch) as faults:
            faults.before, done = fault(number), False
            try:
                action(folder)
                done = True
            except Killed:
                pass
            except LotteryError as error:
                assert error.exit_code is ExitCode.DISK
                assert not list(folder.root.glob(".*"))
        assert content(folder) in ((after,) if done else (before, after))
        yield disk(folder.root)
        number, operations = number + 1, max(operations, faults.count)


def test_wherever_and_however_often_a_writer_is_killed_the_old_or_the_new_content_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every state of the disk that any sequence of kills can lead to is visited.

    From each of them each action is cut short at each of its operations, and carried out.
    """
    folder = Folder(tmp_path)
    folder.write(OTHER, b"other")
    seen, left = {disk(tmp_path)}, [disk(tmp_path)]
    restarted: set[Disk] = set()
    while left:
        files = left.pop()
        for action in ACTIONS:
            put(tmp_path, files)
            reached = list(cut_short(folder, files, action, monkeypatch, killed_at))
            left += {*reached} - seen
            seen |= {*reached}
            if action is restart:
                restarted.add(reached[-1])
    assert len(seen) > 20
    # A restart leaves what an uninterrupted process would have left.
    assert {dict(files).get(NAME) for files in restarted} >= {FIRST, SECOND, FIRST + TAIL, None}
    for files in restarted:
        listed = json.loads(dict(files)[MANIFEST])["files"]
        assert listed.keys() <= dict(files).keys()
        assert all(len(each) == 1 and each != [None] for each in listed.values())


def test_a_full_disk_is_told_and_leaves_the_old_or_the_new_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    folder.write(OTHER, b"other")
    starts = [disk(tmp_path)]
    write_first(folder)
    starts.append(disk(tmp_path))
    for files in starts:
        for action in (write_first, write_second, remove):
            put(tmp_path, files)
            for reached in {*cut_short(folder, files, action, monkeypatch, full_at)}:
                for again in (write_first, write_second, remove):
                    put(tmp_path, reached)
                    list(cut_short(folder, reached, again, monkeypatch, full_at))


def meeting(
    write: Callable[[], None],
    read: Callable[[], object],
    patch: pytest.MonkeyPatch,
    start: int,
    turn: int,
) -> tuple[object, int, int]:
    """What a reader finds that starts before a writer's operation of number `start`.

    From its look at a file of number `turn` on it sees the disk as the writer leaves it in the end.

    Returns:
        What was found, and how many operations and looks there were.
    """
    waits, goes = threading.Event(), threading.Event()
    looks, read_bytes = [0], Path.read_bytes

    def before(number: int) -> None:
        if number == start:
            waits.set()
            assert goes.wait(timeout=60)

    def look(path: Path) -> bytes:
        if threading.current_thread() is not writer:
            looks[0] += 1
            if looks[0] == turn:
                goes.set()
                writer.join()
        return read_bytes(path)

    def whole() -> None:
        write()
        waits.set()

    writer = threading.Thread(target=whole)
    with counted(patch) as faults, patch.context() as inner:
        faults.before = before
        inner.setattr(Path, "read_bytes", look)
        writer.start()
        assert waits.wait(timeout=60)
        found = read()
        goes.set()
        writer.join()
    return found, faults.count, looks[0]


READERS: dict[str, Callable[[Path], object]] = {
    RUN_FOLDER.file: lambda run: read_description(run)["experiment"]["levels"],
    HISTORY: lambda run: len(read_history(run)),
    f"level-01/{RECORDS}": lambda run: len(read_records(run)),
}


@pytest.mark.parametrize(
    ("name", "before", "after"), [*zip(READERS, (0, 21, 1), (1, 42, 2), strict=True)]
)
def test_a_reader_beside_a_writer_finds_what_was_there_or_what_is_there_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: int, after: int
) -> None:
    run = write_run(tmp_path / "run", levels=0, seeds=(0,))
    more = Folder(write_run(tmp_path / "more", levels=1, seeds=(0,), arms=("ticket",)))
    folder, old, new = Folder(run), {n: (run / n).read_bytes() for n in NAMES}, more.read(name)
    found, start, operations = [], 1, 1
    while start <= operations + 1:
        turn = looks = 1
        while turn <= looks + 1:
            one, operations, looks = meeting(
                lambda: folder.write(name, new),
                lambda: READERS[name](run),
                monkeypatch,
                start,
                turn,
            )
            found.append(one)
            assert READERS[name](run) == after
            (run / f"level-01/{RECORDS}").unlink(missing_ok=True)
            for path, data in old.items():
                (run / path).write_bytes(data)
            turn += 1
        start += 1
    assert {*found} == {before, after}
    assert len(found) > 20
