"""A run on disk: every file name, what is finished, and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery.experiments import RUN_FOLDER, Experiment
from lottery.records import HISTORY, RECORDS, HistoryRow, read_history
from training.folders import Folder
from training.lines import to_lines
from training.storage import to_json, write_file
from training.work_folders import open_folder

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

    def start(self, seed: int) -> str:
        """The file of a seed's tensors at the rewind step."""
        return f"start/seed-{seed}.safetensors"

    def start_optimizer(self, seed: int) -> str:
        """The file of what a seed's optimizer remembers at the rewind step, where that is rewound too."""
        return f"start/seed-{seed}-optimizer.safetensors"

    def level(self, level: int, added: str = "") -> str:
        """The folder of a level, or of an arm that was added to it later."""
        return f"level-{level:02d}/{added}".rstrip("/")

    def masks(self, place: str) -> str:
        """The file of a level's masks."""
        return f"{place}/masks.safetensors"

    def weights(self, place: str) -> str:
        """The file of a level's trained tensors."""
        return f"{place}/weights.safetensors"

    def predictions(self, place: str) -> str:
        """The file of what each replicate gets right on the test split."""
        return f"{place}/predictions.safetensors"

    def execution(self, place: str) -> str:
        """The file of how a level's replicates were trained together: what rounding follows from."""
        return f"{place}/{EXECUTION}"

    def records(self, place: str) -> str:
        """The file that says that a level is done."""
        return f"{place}/{RECORDS}"

    def measurement(self, kind: str, level: int) -> str:
        """The file of what was measured on a finished level's networks."""
        return f"measurements/{kind}-level-{level:02d}.json"

    def checkpoint(self, place: str, chunk: range, step: int) -> str:
        """The file of a training in progress; `chunk` are the places of its replicates in the level.

        The name tells apart what was cut otherwise, so that a run may go on with other chunks.
        """
        return f"{place}/checkpoint-{chunk.start}-{chunk.stop}-{step:09d}.safetensors"

    def checkpoints(self, place: str, chunk: range | None = None) -> list[str]:
        """A level's complete checkpoints, oldest first."""
        which = "" if chunk is None else f"{chunk.start}-{chunk.stop}-"
        start = f"{place}/checkpoint-{which}"
        return [name for name in self.folder.names() if name.startswith(start)]

    def is_done(self, place: str) -> bool:
        """Whether a level's records exist."""
        return self.folder.holds(self.records(place))

    def finished(self, level: int) -> list[str]:
        """The folders of a level that are done: its own, then those of arms that were added to it."""
        names = [name for name in self.folder.names() if name.startswith(f"{self.level(level)}/")]
        places = [
            name.removesuffix(f"/{RECORDS}") for name in names if name.endswith(f"/{RECORDS}")
        ]
        return sorted(filter(self.is_done, places))


def open_run(root: Path, experiment: Experiment, data: Mapping[str, Any]) -> Run:
    """Begin a run, or take up the one that is there when it is of the same experiment; more levels extend it.

    Args:
        root: the run's directory, which the caller has locked.
        experiment: with its steps resolved.
        data: fingerprint and counts.

    Raises:
        LotteryError: see `training.work_folders.open_folder`.
    """
    return Run(open_folder(root, RUN_FOLDER, experiment, data).root)


def write_progress(run: Run, **facts: Any) -> None:
    """Say in `progress.json` how far the run is; it is for watching, nothing reads it back."""
    write_file(run.root / PROGRESS, to_json(facts))


def end_level(run: Run, level: int, place: str) -> None:
    """Remove what only a level in progress needs, once its records are there, and say that it is finished."""
    for name in run.checkpoints(place):
        run.folder.remove(name)
    write_progress(run, level=level, finished=True)


def begin_history(run: Run) -> None:
    """Leave in the history what finished levels wrote: what was appended since is written again as it is trained again.

    The first level's begins empty, so that the manifest lists it before anything is appended; so does one that someone
    removed.
    """
    there = (run.root / HISTORY).is_file()
    run.folder.write(HISTORY, run.folder.read(HISTORY, appended=True) if there else b"")


def finish_history(run: Run, rows: Sequence[HistoryRow]) -> None:
    """Write the history with a level's rows, from where they can be read and are checked."""
    new = {(row.level, row.arm, row.seed) for row in rows}
    before = [row for row in read_history(run.root) if (row.level, row.arm, row.seed) not in new]
    run.folder.write(HISTORY, to_lines([*before, *rows]))
