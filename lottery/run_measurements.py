"""Carrying out a measurement on a run, from Python as from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lottery.experiments import Experiment
from lottery.machine import DEFAULT_MACHINE, Machine
from lottery.measurements.catalog import MEASUREMENTS
from lottery.measurements.measuring import levels_with_weights, measure_levels
from lottery.own_pieces import NOTHING_OWN, OwnPieces
from lottery.progress import Watcher
from lottery.readings import Reading
from lottery.records import read_records
from lottery.runs import Run
from lottery.sessions import opened
from nas.catalog.outside_networks import Factory
from training.errors import LotteryError, chosen


def carry_out_measurement(
    experiment: Experiment,
    root: Path,
    name: str,
    settings: Any = None,
    levels: Sequence[int] | None = None,
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
    own: OwnPieces = NOTHING_OWN,
) -> list[Reading]:
    """Measure the trained networks of a run; what was measured before with the same settings is not measured again.

    Args:
        experiment: of the run.
        root: the run's folder.
        name: of the measurement.
        settings: of its class; None for its defaults.
        levels: finished ones; None for every one whose trained weights are there.
        machine: where and how.
        watcher: is told how it goes, and may ask to stop.
        factory: makes the network, where that is the user's own.
        own: the user's own criteria and controls that the command line names.

    Returns:
        The readings of those levels.

    Raises:
        LotteryError: there is no such measurement, or no such finished level, or it can't be made of this run; or as
            `lottery.sessions.carry_out`.
    """
    measurement = chosen("measurement", name, MEASUREMENTS, "lottery measure")
    if settings is None:
        settings = measurement.settings()
    wanted = _finished(root, levels)
    with opened(experiment, root, machine, watcher, factory, own) as session:
        return measure_levels(session, name, measurement, settings, wanted)


def _finished(root: Path, asked: Sequence[int] | None) -> list[int]:
    """The levels to measure.

    Raises:
        LotteryError: the run has not finished one of them, or none.
    """
    levels = sorted({record.level for record in read_records(root)})
    wanted = levels_with_weights(Run(root)) if asked is None else [*asked]
    missing = [level for level in wanted if level not in levels]
    if missing or not wanted:
        finished = ", ".join(map(str, levels)) or "none"
        what = f"level {missing[0]}" if missing else "level with trained weights"
        raise LotteryError(f"{root} has no finished {what}; finished: {finished}.")
    return wanted
