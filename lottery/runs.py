"""A run on disk: every file name, what is finished, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery.history import HistoryRow
from lottery.identity import ReplicateId
from lottery.run_folder import HISTORY, RECORDS
from training.folders import Folder
from training.lines import from_lines, to_lines
from training.storage import to_json, write_file

PROGRESS = "progress.json"
EXECUTION = "execution.json"


@dataclass(frozen=True)
class Run:
    """A directory in which one experiment was or is being carried out.

    Attributes:
        root: where it is.
    """

    root: Path

    @property
    def folder(self) -> Folder:
        """The directory with its manifest."""
        return Folder(self.root)

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.root.resolve().name

    def start(self, ticket: ReplicateId) -> str:
        """The file of a ticket's tensors at the rewind step, the same for all its copies."""
        return f"start/seed-{ticket.seed}.safetensors"

    def start_optimizer(self, ticket: ReplicateId) -> str:
        """The file of what a ticket's optimizer remembers at the rewind step, where that is rewound too."""
        return f"start/seed-{ticket.seed}-optimizer.safetensors"

    def level(self, number: int, added_arm: str = "") -> LevelFiles:
        """The files of a level, or of an arm that was added to it later."""
        return LevelFiles(run=self, number=number, added_arm=added_arm)

    def finished(self, number: int) -> list[LevelFiles]:
        """What of a level is done: its own files, then those of arms that were added to it."""
        start = f"{self.level(number).name}/"
        inside = [n.removeprefix(start) for n in self.folder.names() if n.startswith(start)]
        arms = sorted(n.removesuffix(RECORDS).rstrip("/") for n in inside if n.endswith(RECORDS))
        return [files for arm in arms if (files := self.level(number, arm)).is_done()]


@dataclass(frozen=True, kw_only=True)
class LevelFiles:
    """The files of a level, by their names in the run.

    Attributes:
        run: that they are in.
        number: of the level.
        added_arm: the arm whose they are, where it was added to the level later; "" for the level's own.
    """

    run: Run
    number: int
    added_arm: str = ""

    @property
    def name(self) -> str:
        """Their folder."""
        return f"level-{self.number:02d}/{self.added_arm}".rstrip("/")

    @property
    def tickets(self) -> str:
        """The file of the tickets, written before they are trained."""
        return f"{self.name}/tickets.safetensors"

    @property
    def masks(self) -> str:
        """The file of the masks of all arms."""
        return f"{self.name}/masks.safetensors"

    @property
    def weights(self) -> str:
        """The file of the trained tensors."""
        return f"{self.name}/weights.safetensors"

    @property
    def predictions(self) -> str:
        """The file of what each replicate gets right on the test split."""
        return f"{self.name}/predictions.safetensors"

    @property
    def execution(self) -> str:
        """The file of how the replicates were trained together: what rounding follows from."""
        return f"{self.name}/{EXECUTION}"

    @property
    def records(self) -> str:
        """The file that says that the level is done."""
        return f"{self.name}/{RECORDS}"

    def checkpoint(self, chunk: range, step: int) -> str:
        """The file of a training in progress; `chunk` says which of the level's replicates.

        The name tells apart what was cut otherwise, so that a run may go on with other chunks.
        """
        return f"{self.name}/checkpoint-{chunk.start}-{chunk.stop}-{step:09d}.safetensors"

    def checkpoints(self, chunk: range | None = None) -> list[str]:
        """The complete checkpoints, oldest first."""
        which = "" if chunk is None else f"{chunk.start}-{chunk.stop}-"
        start = f"{self.name}/checkpoint-{which}"
        return [name for name in self.run.folder.names() if name.startswith(start)]

    def is_done(self) -> bool:
        """Whether the records exist."""
        return self.run.folder.holds(self.records)


def write_progress(run: Run, **progress: Any) -> None:
    """Say in `progress.json` how far the run is; it is for watching, nothing reads it back."""
    write_file(run.root / PROGRESS, to_json(progress))


def end_level(files: LevelFiles) -> None:
    """Remove what only a level in progress needs, once its records are there, and say that it is finished."""
    for name in files.checkpoints():
        files.run.folder.remove(name)
    write_progress(files.run, level=files.number, finished=True)


def begin_history(run: Run) -> None:
    """Leave in the history what finished levels wrote: what was appended since is written again as it is trained again.

    The first level's begins empty, so that the manifest lists it before anything is appended; so does one that someone
    removed.
    """
    there = (run.root / HISTORY).is_file()
    run.folder.write(HISTORY, run.folder.read(HISTORY, appended=True) if there else b"")


def finish_history(run: Run, rows: Sequence[HistoryRow]) -> None:
    """Write the history with a level's rows, from where they can be read and are checked.

    Lines of other levels stay as they stand and are not parsed, so that a level costs no more the more came before it.
    """
    new, path = {(row.level, row.replicate) for row in rows}, run.folder.path(HISTORY)
    of_level = {f'"level": {row.level},'.encode() for row in rows}
    text = run.folder.read(HISTORY, appended=True) if path.is_file() else b""

    def stays(line: bytes) -> bool:
        if not any(mark in line for mark in of_level):
            return True
        (row,) = from_lines(HistoryRow, line, path)
        return (row.level, row.replicate) not in new

    before = b"".join(line for line in text.splitlines(keepends=True) if stays(line))
    run.folder.write(HISTORY, before + to_lines(rows))
