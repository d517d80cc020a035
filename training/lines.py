"""Rows as lines of JSON, one line each: the one way to write them and to read them back; torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from training.errors import LotteryError
from training.folders import Folder
from training.plain import from_plain
from training.storage import damaged, to_json_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R")


def to_lines(rows: Iterable[DataclassInstance]) -> bytes:
    """Rows as text; null stands for every number that is not finite."""
    return b"".join(to_json_line(asdict(row)) for row in rows)


def from_lines(kind: type[R], text: bytes, path: Path) -> list[R]:
    """The rows that lines of text stand for.

    Args:
        kind: the dataclass of a row.
        text: as `to_lines` gives it.
        path: that it was read from.

    Raises:
        LotteryError: a line is no such row, with other fields or ill-typed ones; it and `path` are named.
    """
    rows: list[R] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            rows.append(from_plain(kind, json.loads(line)))
        except (LotteryError, RecursionError, ValueError):
            raise damaged(path, f"line {number} can't be read") from None
    return rows


def read_lines(folder: Folder, name: str, kind: type[R], *, appended: bool = False) -> list[R]:
    """The rows of a file; none where there is no file.

    Args:
        folder: that holds it.
        name: of the file.
        kind: the dataclass of a row.
        appended: whether lines are appended to it, which are left out until the file is written with them.

    Raises:
        LotteryError: it is damaged, or not the one that was written.
    """
    path = folder.path(name)
    return from_lines(kind, folder.read(name, appended=appended), path) if path.is_file() else []
