"""A run on disk: every file name, what is finished, and the refusal to mix two experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery.experiments import Experiment
from lottery.history import HistoryRow, history_to_lines, read_history
from lottery.run_folder import DATA, EXPERIMENT, HISTORY, RECORDS, is_run, require_run
from training.errors import LotteryError
from training.folders import Folder
from training.plain import from_plain, to_plain
from training.reopening import require_free, require_same, require_same_data
from training.storage import parse_json, to_json, write_file

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


def open_run(root: Path, experiment: Experiment, data_facts: dict[str, Any]) -> Run:
    """Begin a run, or take up the one that is there when it is of the same experiment.

    More levels than the stored experiment has extend it. What killed processes left there is cleared up.

    Args:
        root: the run's directory, which the caller has locked.
        experiment: with its steps resolved.
        data_facts: fingerprint and counts.

    Raises:
        LotteryError: the directory holds another experiment (each differing field is shown), or something else.
    """
    run = Run(root)
    if is_run(root):
        run.folder.tidy()
        stored = stored_experiment(run)
        # The text of the source may be mended without making another experiment.
        levels = min(stored.levels, experiment.levels)
        before = dataclasses.replace(stored, levels=levels)
        given = dataclasses.replace(experiment, levels=levels, source=stored.source)
        require_same(root, "experiment", before, given)
        held = parse_json(run.folder.read(DATA), root / DATA)
        require_same_data(root, held["fingerprint"], data_facts["fingerprint"])
        if experiment.levels > stored.levels:
            run.folder.write(EXPERIMENT, to_json(to_plain(experiment)))
        return run
    require_free(root, "run", [DATA])
    run.folder.tidy()
    run.folder.write(DATA, to_json(data_facts))
    run.folder.write(EXPERIMENT, to_json(to_plain(experiment)))
    return run


def stored_experiment(run: Run) -> Experiment:
    """The experiment that a run was begun with.

    Raises:
        LotteryError: not a run, or the file is damaged.
    """
    require_run(run.root)
    path = run.root / EXPERIMENT
    plain = parse_json(run.folder.read(EXPERIMENT), path)
    plain.pop("format", None)
    try:
        return from_plain(Experiment, plain)
    except LotteryError as error:
        raise LotteryError(f"{path}: {error}", error.exit_code) from None


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
    new = {(row.level, row.replicate) for row in rows}
    before = [row for row in read_history(run.root) if (row.level, row.replicate) not in new]
    run.folder.write(HISTORY, history_to_lines([*before, *rows]))
