"""Runs on disk -> tidy tables. The only module of the analysis that reads files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.rows import visible_names, visible_values
from analysis.wording import data_in_words, settings_in_words, short_names
from lottery.exemplars import read_exemplars
from lottery.history import read_history
from lottery.identity import TICKET
from lottery.readings import read_readings
from lottery.records import Record, read_records
from lottery.run_folder import read_description
from training.errors import LotteryError, visible

TABLE = (
    *("run", "network", "origin", "recipe", "data", "arm", "seed", "copy", "level", "density"),
    *("embeddings", "parameters", "multiply_adds", "bytes", "early_stop_step", "diverged"),
    *("at", "split", "metric", "value"),
    *("unit", "higher_is_better", "margin", "margin_is_relative"),
)
HISTORIES = (
    *("run", "network", "arm", "seed", "copy", "level", "density", "step", "metric", "value"),
    *("unit", "higher_is_better"),
)
LAYERS = ("run", "network", "arm", "seed", "copy", "level", "name", "kept", "total", "density")
GATES = (*LAYERS[:7], "gate", *LAYERS[7:])
READINGS = (
    *("run", "network", "measurement", "settings", "level", "density", "arm", "seed", "copy"),
    *("other", "at", "metric", "x", "value"),
)
EXAMPLES = (
    *("run", "network", "level", "density", "unit", "networks", "found", "among"),
    *("index", "label", "dense", "pruned", "height", "width", "channels", "pixels"),
)
BASELINES = ("run", "name", "split", "metric", "value")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that figures and reports are made from.

    Attributes:
        table: one row per number read off a replicate (`TABLE`).
        histories: one row per evaluation during training, of finished levels (`HISTORIES`).
        layers: one row per prunable parameter of a replicate, in the network's order (`LAYERS`).
        gates: one row per gate of each matrix of a recurrent layer (`GATES`).
        readings: one row per number that a measurement read off trained networks (`READINGS`).
        examples: one row per image or word that pruned networks forget (`EXAMPLES`), see `lottery.exemplars`.
        baselines: reference values of the data sets, such as the unigram perplexity (`BASELINES`).
        descriptions: per run, what it says of itself: `{"experiment": ..., "data": ...}`.
        published: reference figures to draw over ours: arm, density, value, source.
    """

    table: pd.DataFrame
    histories: pd.DataFrame
    layers: pd.DataFrame
    gates: pd.DataFrame
    readings: pd.DataFrame
    examples: pd.DataFrame
    baselines: pd.DataFrame
    descriptions: dict[str, dict[str, Any]]
    published: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class _Run:
    name: str
    path: Path
    description: dict[str, Any]
    records: list[Record]


def read_study(runs: Sequence[Path]) -> Study:
    """Read all that some runs hold.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    loaded = _load(runs)
    descriptions = {run.name: run.description for run in loaded}
    return Study(
        table=_table(loaded),
        histories=_histories(loaded),
        layers=_layers(loaded),
        gates=_gates(loaded),
        readings=_readings(loaded),
        examples=_examples(loaded),
        baselines=_baselines(descriptions),
        descriptions=descriptions,
    )


def read_table(runs: Sequence[Path]) -> pd.DataFrame:
    """One row per number read off a replicate, with the columns `TABLE`.

    `density` is kept / prunable weights, `parameters` are those that are left, `value` is NaN where
    a number is not finite; there the replicate counts as diverged even if it trained to its end, but not on a split
    where its numbers are finite. Rows of the loss have no margin. `embeddings` says whether they are pruned.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    return _table(_load(runs))


def _load(runs: Sequence[Path]) -> list[_Run]:
    if not runs:
        raise LotteryError("No run was given; name one or more folders that `lottery prune` made.")
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    names, found = short_names(paths), []
    for path in paths:
        description, records = visible_values(read_description(path)), read_records(path)
        if not records:
            raise LotteryError(
                f"{path} has no finished level yet; run its `lottery prune` command again "
                "to resume it, or leave it out."
            )
        named = _with_data_in_words(records, description)
        found.append(
            _Run(name=visible(names[path]), path=path, description=description, records=named)
        )
    return found


def _with_data_in_words(records: Sequence[Record], description: dict[str, Any]) -> list[Record]:
    """Records whose data set is named as a part where the experiment cuts it short."""
    options = description["experiment"].get("data", {}).get("options", {})
    data = description["data"]
    # Where a run has lost what it says of its data, what cuts every kind short does.
    unit, limits = data.get("counted in", "examples"), data.get("limits", ["train", "test"])
    return [
        replace(one, data=data_in_words(one.data, options, unit=unit, limits=limits))
        for one in records
    ]


def _table(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = [row for run in runs for record in run.records for row in _rows(run.name, record)]
    table = visible_names(pd.DataFrame(rows, columns=list(TABLE)))
    return table.astype({"value": float, "margin": float})


def _rows(run: str, record: Record) -> list[dict[str, object]]:
    replicate = {
        **{"run": run, "network": record.network, "origin": record.origin},
        **{"recipe": record.recipe, "data": record.data, "arm": record.arm},
        **{"seed": record.seed, "copy": record.copy, "level": record.level},
        "density": record.density,
        **{"embeddings": record.embeddings, "parameters": record.remaining},
        **{"multiply_adds": record.multiply_adds, "bytes": record.bytes},
        "early_stop_step": record.best_step,
    }
    rows = []
    for value in record.values:
        of_task = value.metric == record.metric.name
        kind = {
            "unit": record.metric.unit if of_task else "",
            "higher_is_better": of_task and record.metric.higher_is_better,
            "margin": record.metric.margin if of_task else None,
            "margin_is_relative": of_task and record.metric.margin_is_relative,
        }
        number = {
            "diverged": record.diverged_at is not None or value.value is None,
            **{"at": value.at, "split": value.split, "metric": value.metric},
        }
        rows.append({**replicate, **number, "value": value.value, **kind})
    return rows


def _histories(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = []
    for run in runs:
        finished = {(record.level, record.replicate): record for record in run.records}
        for row in read_history(run.path):
            record = finished.get((row.level, row.replicate))
            if record is None:
                continue
            of_task = row.metric == record.metric.name
            replicate = (run.name, *_replicate(record), record.density)
            unit = record.metric.unit if of_task else ""
            better = of_task and record.metric.higher_is_better
            rows.append((*replicate, row.step, row.metric, row.value, unit, better))
    return visible_names(pd.DataFrame(rows, columns=list(HISTORIES))).astype({"value": float})


def _replicate(record: Record) -> tuple[str, str, int, int, int]:
    """The columns network, arm, seed, copy and level."""
    return record.network, record.arm, record.seed, record.copy, record.level


def _layers(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = [
        (
            *(run.name, *_replicate(record)),
            *(layer.name, layer.kept, layer.total, layer.kept / layer.total),
        )
        for run in runs
        for record in run.records
        for layer in record.layers
    ]
    return visible_names(pd.DataFrame(rows, columns=list(LAYERS)))


def _gates(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = [
        (
            *(run.name, *_replicate(record), layer.name),
            *(gate.name, gate.kept, gate.total, gate.kept / gate.total),
        )
        for run in runs
        for record in run.records
        for layer in record.layers
        for gate in layer.gates
    ]
    return visible_names(pd.DataFrame(rows, columns=list(GATES)))


def _readings(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = []
    for run in runs:
        density = {(record.level, record.replicate): record.density for record in run.records}
        for name, settings, one in read_readings(run.path):
            told = (run.name, run.records[0].network, name, settings_in_words(settings), one.level)
            which = (density.get((one.level, one.replicate)), one.arm, one.seed, one.copy)
            rows.append((*told, *which, one.other, one.at, one.metric, one.x, one.value))
    table = visible_names(pd.DataFrame(rows, columns=list(READINGS)))
    return table.astype(dict.fromkeys(("density", "x", "value"), float))


def _examples(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = []
    for run in runs:
        density = {r.level: r.density for r in run.records if r.arm == TICKET}
        for found in read_exemplars(run.path):
            told = (run.name, run.records[0].network, found.level, density.get(found.level))
            counts = (found.unit, found.networks, found.found, found.among)
            for one in found.shown:
                own = (one.index, one.label, one.dense, one.pruned)
                rows.append((*told, *counts, *own, *(found.shape or (0, 0, 0)), one.pixels))
    table = visible_names(pd.DataFrame(rows, columns=list(EXAMPLES)))
    return table.astype({"density": float})


def _baselines(descriptions: dict[str, dict[str, Any]]) -> pd.DataFrame:
    rows = [
        (run, *(baseline[column] for column in BASELINES[1:]))
        for run, description in descriptions.items()
        for baseline in description["data"].get("baselines", [])
    ]
    return pd.DataFrame(rows, columns=list(BASELINES))
