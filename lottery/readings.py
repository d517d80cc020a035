"""Readings: what a measurement read off trained networks of a finished level; torch-free.

A run keeps them in `readings/NAME-level-NN.json`, one part for each choice of settings; measuring again with equal
settings replaces that part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lottery.experiments import RUN_FOLDER
from lottery.identity import ReplicateId
from lottery.run_folder import READINGS, names_of
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.storage import damaged, parse_json, to_json
from training.work_folders import require_there

FORMAT = 1
# Plain JSON values by name.
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One number that was read off a trained replicate.

    Attributes:
        level: of pruning.
        arm: of the replicate.
        seed: of the replicate.
        copy: of the replicate.
        other: what else tells the readings of a measurement apart, such as a split or a layer; "" where nothing does.
        at: "start" (the weights before training), "best" (those of least validation loss) or "end" (of the last step).
        metric: what was read.
        x: where on a curve it was read, such as the coefficient of an interpolation; None of what is no curve.
        value: the number, in the metric's unit; None where it is not finite.
    """

    level: int
    arm: str
    seed: int
    copy: int
    other: str
    at: str
    metric: str
    x: float | None
    value: float | None

    @property
    def replicate(self) -> ReplicateId:
        """Which replicate it was read off."""
        return ReplicateId(self.arm, self.seed, self.copy)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a measurement found on a level with some settings.

    Attributes:
        settings: plain JSON values.
        readings: all of that level.
    """

    settings: Settings
    readings: tuple[Reading, ...]


def readings_to_json(name: str, level: int, measured: Iterable[Measured]) -> bytes:
    """The text of a file of readings.

    Args:
        name: of the measurement.
        level: of every reading.
        measured: a part for each choice of settings.
    """
    parts = [asdict(part) for part in measured]
    return to_json({"format": FORMAT, "measurement": name, "level": level, "measured": parts})


def readings_from_json(data: bytes, path: Path) -> list[Measured]:
    """Read the text of a file of readings back.

    Raises:
        LotteryError: it is damaged, of another format, or is not what its name says.
    """
    value = parse_json(data, path)
    try:
        if value["format"] != FORMAT:
            raise LotteryError(
                f"{path} has readings of format {value['format']}; this version reads format {FORMAT}: "
                "use the version that wrote it, or measure again.",
                ExitCode.BAD_DATA,
            )
        measured, level = [_measured(part) for part in value["measured"]], value["level"]
        if path.name != Path(READINGS.format(measurement=value["measurement"], level=level)).name:
            raise ValueError(f"it is of {value['measurement']} at level {level}")
        if any(reading.level != level for part in measured for reading in part.readings):
            raise ValueError(f"a reading is of another level than {level}")
        return measured
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"a reading can't be read ({error})", "measure again") from None


def _measured(part: Mapping[str, Any]) -> Measured:
    if part.keys() != {field.name for field in fields(Measured)}:
        raise ValueError(f"a part has the fields {', '.join(part)}")
    if not isinstance(part["settings"], dict):
        raise TypeError("settings are no object")
    return Measured(settings=part["settings"], readings=tuple(map(_reading, part["readings"])))


def _reading(values: Mapping[str, Any]) -> Reading:
    reading = Reading(**values)
    whole = (reading.level, reading.seed, reading.copy)
    texts = (reading.arm, reading.other, reading.metric)
    if not all(type(one) is int for one in whole) or reading.level < 0 or reading.copy < 0:
        raise ValueError(f"level, seed and copy are {', '.join(map(str, whole))}")
    if not all(isinstance(text, str) for text in texts) or reading.at not in (
        "start",
        "best",
        "end",
    ):
        raise ValueError(f"a text is none, or at is {reading.at!r}")
    if not all(one is None or _is_finite(one) for one in (reading.x, reading.value)):
        raise ValueError(f"a number is {reading.x!r} or {reading.value!r}")
    return reading


def _is_finite(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return math.isfinite(number)


def write_readings(
    folder: Folder, name: str, level: int, settings: Settings, readings: Iterable[Reading]
) -> None:
    """Put readings into a run, in the place of those of equal settings.

    Args:
        folder: of the run, locked by the caller.
        name: of the measurement.
        level: of every reading.
        settings: plain values; tuples become lists.
        readings: what was found with them.

    Raises:
        LotteryError: the file that is there is damaged, or the folder can't be written to.
    """
    file = READINGS.format(measurement=name, level=level)
    before: list[Measured] = []
    if folder.holds(file):
        before = readings_from_json(folder.read(file), folder.path(file))
    plain = json.loads(to_json(settings))
    others = [part for part in before if part.settings != plain]
    found = Measured(settings=plain, readings=tuple(readings))
    folder.write(file, readings_to_json(name, level, [*others, found]))


def read_readings(run: Path) -> list[tuple[str, Settings, Reading]]:
    """Every reading of a run with the measurement's name and settings, sorted by name and level.

    Raises:
        LotteryError: not a run, or a file of it is damaged.
    """
    require_there(run, RUN_FOLDER)
    folder = Folder(run)
    found: list[tuple[str, Settings, Reading]] = []
    for file in names_of(run, "readings/*-level-*.json"):
        name = Path(file).name.rsplit("-level-", 1)[0]
        for part in readings_from_json(folder.read(file), folder.path(file)):
            found += [(name, part.settings, reading) for reading in part.readings]
    return found
