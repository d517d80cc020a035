"""Measuring trained networks: what a measurement is, and reading it off the levels of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lottery.identity import ReplicateId
from lottery.levels import read_weights
from lottery.memory import chunks
from lottery.pruning.masks import Tensors
from lottery.readings import Reading, read_readings, write_readings
from lottery.records import Record, read_records
from lottery.runs import Run
from lottery.session import Session
from training.errors import ExitCode, LotteryError
from training.plain import to_plain


@dataclass(frozen=True, kw_only=True)
class TrainedLevel:
    """The trained networks of a finished level, of the arms that were added to it too.

    Attributes:
        level: of pruning.
        tensors: parameters and buffers at the last step, on the CPU.
        diverged: those whose tensors mean nothing.
    """

    level: int
    tensors: Mapping[ReplicateId, Tensors]
    diverged: frozenset[ReplicateId]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Something that is read off trained networks.

    Attributes:
        summary: in one line.
        settings: a frozen dataclass of what may be set, each field with a default.
        words: what each setting is, by its name, in a few words.
        check: refuses a session or settings that it can't be made with.
        steps: of the progress display, for one network of a level.
        measure: its readings of the networks of a level; it tells of its steps, see `tell`.
    """

    summary: str
    settings: type[Any]
    words: Mapping[str, str]
    check: Callable[[Session, Any], None]
    steps: Callable[[Session, Any], int]
    measure: Callable[[Session, TrainedLevel, Any], list[Reading]]


def levels_with_weights(run: Run) -> list[int]:
    """The finished levels of which every arm's trained weights are on disk, the added arms' too."""
    levels = sorted({record.level for record in read_records(run.root)})
    return [n for n in levels if all(run.folder.holds(files.weights) for files in run.finished(n))]


def measure_levels(
    session: Session, name: str, measurement: Measurement, settings: Any, levels: Sequence[int]
) -> list[Reading]:
    """Measure levels of a run, those whose readings are not there yet, and write what was read after each.

    Args:
        session: whose run is open.
        name: of the measurement.
        measurement: what to do.
        settings: of its class.
        levels: finished ones.

    Raises:
        LotteryError: it can't be made, a level is not finished, its weights were removed, or it was stopped.
    """
    run, found = session.run, list[Reading]()
    measurement.check(session, settings)
    records, steps = read_records(run.root), measurement.steps(session, settings)
    before = _known(session, name, settings)
    session.watcher.begin(
        f"{run.name}, {name}", steps * sum(record.level in levels for record in records)
    )
    for level in levels:
        here = [record for record in records if record.level == level]
        readings = [reading for reading in before if reading.level == level]
        wanted = {record.replicate for record in here}
        if not wanted or wanted - {reading.replicate for reading in readings}:
            trained = trained_level(session, level, here)
            readings = measurement.measure(session, trained, settings)
            write_readings(run.folder, name, level, to_plain(settings), readings)
        else:
            session.watcher.steps(steps * len(here))
        found += readings
    return found


def in_parts(session: Session, trained: TrainedLevel) -> Iterator[TrainedLevel]:
    """The networks of a level, as many at once as fit."""
    ids = [*trained.tensors]
    for chunk in chunks(session, len(ids)):
        part = {one: trained.tensors[one] for one in ids[chunk.start : chunk.stop]}
        yield replace(trained, tensors=part)


def tell(session: Session, steps: int) -> None:
    """Tell the watcher of so many steps.

    Raises:
        LotteryError: it asks to stop.
    """
    session.watcher.steps(steps)
    if session.watcher.stop_requested():
        raise LotteryError(
            "Stopped; finished levels are written, and the same command goes on from there.",
            ExitCode.RESUMABLE,
        )


def trained_level(session: Session, level: int, records: Sequence[Record]) -> TrainedLevel:
    """The trained networks of a level.

    Args:
        session: whose run is open.
        level: of pruning.
        records: of that level.

    Raises:
        LotteryError: it is not finished, or its weights were removed.
    """
    run, tensors = session.run, dict[ReplicateId, Tensors]()
    for files in run.finished(level):
        tensors |= read_weights(files)
    if not tensors:
        raise LotteryError(
            f"{run.root} has no finished level {level}; lottery show {run.root} lists those that it has."
        )
    lost = frozenset(record.replicate for record in records if record.diverged_at is not None)
    return TrainedLevel(level=level, tensors=tensors, diverged=lost)


def _known(session: Session, name: str, settings: Any) -> list[Reading]:
    """What was measured before with the same settings."""
    return [
        reading
        for measurement, how, reading in read_readings(session.run.root)
        if measurement == name and how == to_plain(settings)
    ]
