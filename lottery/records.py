"""Records: what came of one replicate at one level. The border between training and analysis; torch-free."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lottery.experiments import RUN_FOLDER
from lottery.identity import TICKET, ReplicateId
from lottery.run_folder import RECORDS, names_of
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.metrics import Metric
from training.storage import damaged, parse_json, to_json
from training.work_folders import require_there

SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class Value:
    """One number that was read off a replicate.

    Attributes:
        at: "best" (the step of least validation loss) or "end" (the last step).
        split: "validation" or "test".
        metric: "loss" or the name of the task's metric.
        value: the number, in the metric's unit. None where it is not finite, which counts as worst: where the
            replicate had diverged, or where its loss on that split is not finite, which its metric is lost with.
    """

    at: str
    split: str
    metric: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class GateCount:
    """How many weights one gate keeps of a recurrent layer's matrix: of the rows that compute it."""

    name: str
    kept: int
    total: int


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """How many weights one prunable parameter keeps.

    Attributes:
        name: of the parameter.
        kept: weights that the mask keeps.
        total: all of its weights.
        gates: the same of each gate of a recurrent layer, whose rows make up the matrix; none of other layers.
    """

    name: str
    kept: int
    total: int
    gates: tuple[GateCount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One replicate's outcome at one level.

    Attributes:
        run: name of the run directory.
        network: the network's name, such as `enas-micro`.
        origin: "searched", "designed" or "own".
        recipe: the recipe's name, or the TOML file's.
        data: the data set's name.
        arm: `ticket` or a control's name.
        seed: of the initial weights and all else that is drawn before training.
        copy: 0 unless the experiment has several copies of each seed, which differ in noise alone.
        noise_seed: of data order, augmentation and dropout; the seed itself for copy 0.
        level: 0 is dense.
        kept: weights that the mask keeps.
        prunable: weights that a mask covers.
        parameters: all parameters of the dense network.
        multiply_adds: per example (per token for language), of kept weights only.
        bytes: of the stored ticket: kept weights and other parameters at 4 bytes, and one bit per prunable weight
            once something is pruned.
        steps: training steps from the rewind step to the end.
        best_step: the step of least validation loss (the early-stop step).
        diverged_at: the first step whose loss was not finite, or None.
        metric: what the task is judged by.
        values: every number read off.
        layers: kept weights per prunable parameter.
        embeddings: whether embeddings are among the prunable weights; one that is tied to an output layer counts once.
    """

    run: str
    network: str
    origin: str
    recipe: str
    data: str
    arm: str
    seed: int
    copy: int
    noise_seed: int
    level: int
    kept: int
    prunable: int
    parameters: int
    multiply_adds: int
    bytes: int
    steps: int
    best_step: int
    diverged_at: int | None
    metric: Metric
    values: tuple[Value, ...]
    layers: tuple[LayerCount, ...]
    embeddings: bool

    @property
    def replicate(self) -> ReplicateId:
        """Whose outcome it is."""
        return ReplicateId(self.arm, self.seed, self.copy)

    @property
    def lost(self) -> bool:
        """Whether the replicate diverged, or any number that was read off it is not finite."""
        return self.diverged_at is not None or any(value.value is None for value in self.values)

    @property
    def density(self) -> float:
        """Kept share of the prunable weights."""
        return self.kept / self.prunable

    @property
    def remaining(self) -> int:
        """Parameters that are left: kept weights and everything that can't be pruned."""
        return self.parameters - self.prunable + self.kept


def records_to_json(records: Iterable[Record]) -> bytes:
    """The text of a `records.json`."""
    return to_json({"schema": SCHEMA, "records": [asdict(record) for record in records]})


def records_from_json(data: bytes, path: Path) -> list[Record]:
    """Read the text of a `records.json` back.

    Raises:
        LotteryError: it is damaged or of another schema.
    """
    value = parse_json(data, path)
    try:
        schema = value["schema"]
        if schema != SCHEMA:
            raise LotteryError(
                f"{path} has record schema {schema}; this version reads schema {SCHEMA}: "
                "use the version that wrote it, or train anew.",
                ExitCode.BAD_DATA,
            )
        return [_record(fields) for fields in value["records"]]
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"a record can't be read ({error})") from None


def _record(fields: Mapping[str, Any]) -> Record:
    nested = {
        "metric": Metric(**fields["metric"]),
        "values": tuple(Value(**value) for value in fields["values"]),
        "layers": tuple(map(_layer, fields["layers"])),
    }
    record = Record(**{**fields, **nested})
    if not 0 <= record.kept <= record.prunable <= record.parameters:
        raise ValueError(f"counts out of order: {record.kept}, {record.prunable}")
    if any(value.value is not None and not math.isfinite(value.value) for value in record.values):
        raise ValueError("a value is not finite")
    return record


def _layer(fields: Mapping[str, Any]) -> LayerCount:
    gates = tuple(GateCount(**gate) for gate in fields["gates"])
    layer = LayerCount(**{**fields, "gates": gates})
    sums = sum(gate.kept for gate in gates), sum(gate.total for gate in gates)
    if gates and sums != (layer.kept, layer.total):
        raise ValueError(f"the gates of {layer.name} sum up to {sums[0]} of {sums[1]}")
    return layer


def read_records(run: Path) -> list[Record]:
    """Every record of a run's finished levels, sorted by level, arm (the ticket first), seed and copy.

    They bear the name that the run's folder has now, whatever it was called when they were written.

    Raises:
        LotteryError: not a run, or a file of it is damaged.
    """
    require_there(run, RUN_FOLDER)
    folder = Folder(run)
    found: list[Record] = []
    for name in names_of(run, f"level-*/{RECORDS}", f"level-*/*/{RECORDS}"):
        found += records_from_json(folder.read(name), folder.path(name))
    named = [dataclasses.replace(record, run=run.resolve().name) for record in found]
    return sorted(named, key=lambda r: (r.level, r.arm != TICKET, r.replicate))
