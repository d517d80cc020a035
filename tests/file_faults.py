"""A process that is killed, or a disk that is full, at a chosen one of its file operations."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# What changes the files that are there; writing does so too.
OPERATIONS = ("replace", "unlink")


class Killed(BaseException):
    """Ends a process without its cleaning up: from here on no file operation is carried out."""


class Faults:
    """Counts the operations that change files, and does something before one of them.

    Attributes:
        count: of the operations so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self.before: Callable[[int], None] = lambda number: None

    def operation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that is counted."""

        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            self.before(self.count)
            return function(*arguments, **options)

        return counted

    def writer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same for one that opens a file, whose `write` is an operation that may be cut short."""

        def opened(*arguments: Any, **options: Any) -> Any:
            file = function(*arguments, **options)
            if "b" in file.mode and file.writable():
                return _HalfWriter(file, self)
            return file

        return opened


class _HalfWriter:
    """A file that has written half when its process ends."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self.file, self.faults = file, faults

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        self.file.write(data[:half])
        self.file.flush()
        self.faults.operation(self.file.write)(data[half:])
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> _HalfWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@contextmanager
def counted(patch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Every operation inside that changes a file is counted; nothing is synced, which takes long."""
    faults = Faults()
    with patch.context() as inner:
        inner.setattr(os, "fsync", lambda handle: None)
        for name in OPERATIONS:
            inner.setattr(os, name, faults.operation(getattr(os, name)))
        inner.setattr(os, "fdopen", faults.writer(os.fdopen))
        inner.setattr(Path, "open", faults.writer(Path.open))
        yield faults


def killed_at(number: int) -> Callable[[int], None]:
    """The process ends before its operation of this number."""

    def before(count: int) -> None:
        if count >= number:
            raise Killed

    return before


def full_at(number: int) -> Callable[[int], None]:
    """The disk is full at the operation of this number; the ones after it, which clean up, succeed."""

    def before(count: int) -> None:
        if count == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return before
