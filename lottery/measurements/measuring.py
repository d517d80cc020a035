"""Measuring trained networks: what a measurement is, and reading it off the levels of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery.identity import ReplicateId
from lottery.levels import read_weights
from lottery.pruning.masks import Tensors
from lottery.readings import Reading, read_readings, write_readings
from lottery.records import Record, read_records
from lottery.session import Session
from training.errors import LotteryError
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
        check: refuses a session or settings that it can't be made with.
        measure: its readings of a level.
    """

    summary: str
    settings: type[Any]
    check: Callable[[Session, Any], None]
    measure: Callable[[Session, TrainedLevel, Any], list[Reading]]


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
    session.watcher.begin(f"{run.name}, {name}", len(levels))
    for level in levels:
        records = [record for record in read_records(run.root) if record.level == level]
        known = _known(session, name, settings, level)
        wanted = {record.replicate for record in records}
        if not wanted or wanted - {reading.replicate for reading in known}:
            trained = trained_level(session, level, records)
            known = measurement.measure(session, trained, settings)
            write_readings(run.folder, name, level, to_plain(settings), known)
        found += known
        session.watcher.steps(1)
    return found


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


def _known(session: Session, name: str, settings: Any, level: int) -> list[Reading]:
    """What was measured before with the same settings."""
    return [
        reading
        for measurement, how, reading in read_readings(session.run.root)
        if measurement == name and how == to_plain(settings) and reading.level == level
    ]
