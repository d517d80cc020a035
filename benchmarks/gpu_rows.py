"""What a part of a measurement has found so far, item by item, in a file that its runner reads at any time."""

from __future__ import annotations

import contextlib
import faulthandler
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.errors import in_one_line, is_out_of_memory
from training.storage import to_json, write_file

Row = dict[str, Any]
# After such an error a process's CUDA context is of no more use.
_LOST = "CUDA error"


class Rows:
    """Rows in a file: `{"rows": [...], "at": row}`, where `at` is the item at work.

    A process that ends in the middle of an item leaves it there; the next one writes down that it did, and goes on.

    Args:
        path: of the file, which may be there already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Row] = []
        if path.exists():
            left = json.loads(path.read_bytes())
            self._rows = left["rows"]
            if left["at"] is not None:
                self._rows.append({**left["at"], "error": "its process ended here, see the log"})
        self._save(None)

    def has(self, key: Row) -> bool:
        """Whether there is a row of an item."""
        return any(all(row.get(name) == value for name, value in key.items()) for row in self._rows)

    @contextlib.contextmanager
    def item(self, key: Row, limit: float) -> Iterator[Row]:
        """Work on an item, and write down what was found or what went wrong.

        Args:
            key: what tells it from the others.
            limit: seconds, after which the process is ended.

        Yields:
            What is found, to be filled in.

        Raises:
            RuntimeError: the device can't be used any more.
        """
        self._save(key)
        found: Row = {}
        faulthandler.dump_traceback_later(limit, exit=True)
        try:
            yield found
        except Exception as error:
            short = "out of memory" if is_out_of_memory(error) else ""
            found["error"] = short or in_one_line(error)
            if _LOST in str(error) and not short:
                raise
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.add({**key, **found})

    def add(self, row: Row) -> None:
        """Write a whole row."""
        self._rows.append(row)
        self._save(None)

    def begin(self, key: Row) -> None:
        """Write down which item is at work, of one that `add` will end."""
        self._save(key)

    def _save(self, at: Row | None) -> None:
        write_file(self._path, to_json({"rows": self._rows, "at": at}))
