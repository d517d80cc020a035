"""Runs on disk -> tidy tables. The only module of the analysis that reads files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.rows import visible_facts, visible_names
from analysis.wording import short_names
from lottery.records import Record, data_in_words, read_facts, read_history, read_records
from training.errors import ExitCode, LotteryError, visible

TABLE = (
    *("run", "network", "origin", "recipe", "data", "arm", "seed", "level", "density"),
    *("embeddings", "parameters", "multiply_adds", "bytes", "early_stop_step", "diverged"),
    *("at", "split", "metric", "value"),
    *("unit", "higher_is_better", "margin", "margin_is_relative"),
)
HISTORIES = (
    *("run", "network", "arm", "seed", "level", "density", "step", "metric", "value"),
    *("unit", "higher_is_better"),
)
LAYERS = ("run", "network", "arm", "seed", "level", "name", "kept", "total", "density")
GATES = (*LAYERS[:6], "gate", *LAYERS[6:])
PUBLISHED = ("arm", "density", "value", "source")
BASELINES = ("run", "name", "split", "metric", "value")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that figures and reports are made from.

    Attributes:
        table: one row per number read off a replicate (`TABLE`).
        histories: one row per evaluation during training (`HISTORIES`).
        layers: one row per prunable parameter of a replicate (`LAYERS`).
        gates: one row per gate of each matrix of a recurrent layer (`GATES`).
        baselines: reference values of the data sets, such as the unigram perplexity (`BASELINES`).
        facts: per run, what it says of itself: `{"experiment": ..., "data": ...}`.
        published: reference figures to draw over ours: arm, density, value, source.
    """

    table: pd.DataFrame
    histories: pd.DataFrame
    layers: pd.DataFrame
    gates: pd.DataFrame
    baselines: pd.DataFrame
    facts: dict[str, dict[str, Any]]
    published: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class _Run:
    name: str
    path: Path
    facts: dict[str, Any]
    records: list[Record]


def read_study(runs: Sequence[Path]) -> Study:
    """Read all that some runs hold.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    loaded = _load(runs)
    facts = {run.name: run.facts for run in loaded}
    return Study(
        table=_table(loaded),
        histories=_histories(loaded),
        layers=_layers(loaded),
        gates=_gates(loaded),
        baselines=_baselines(facts),
        facts=facts,
    )


def read_published(path: Path) -> pd.DataFrame:
    """Published figures to draw over ours, from a CSV file with the columns `PUBLISHED`.

    Raises:
        LotteryError: it can't be read, a column is missing, or a row has no density from 0 to 1 or no value.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise LotteryError(f"{path} can't be read as CSV ({error}).", ExitCode.BAD_DATA) from None
    table = visible_names(table)
    missing = [name for name in PUBLISHED if name not in table.columns]
    if missing:
        raise LotteryError(
            f"{path} has no column {missing[0]}; it needs {', '.join(PUBLISHED)}.",
            ExitCode.BAD_DATA,
        )
    numbers = table[["density", "value"]].apply(pd.to_numeric, errors="coerce").astype(float)
    fits = numbers["density"].between(0, 1) & np.isfinite(numbers["value"])
    bad = ~fits | table[["arm", "source"]].isna().any(axis=1)
    if bad.any():
        raise LotteryError(
            f"{path}, row {int(bad.to_numpy().argmax()) + 1}: it needs an arm, a density from 0 to 1, a value and a "
            "source.",
            ExitCode.BAD_DATA,
        )
    return table.assign(**numbers, **table[["arm", "source"]].astype(str))


def read_table(runs: Sequence[Path]) -> pd.DataFrame:
    """One row per number read off a replicate, with the columns `TABLE`.

    `density` is kept / prunable weights, `parameters` are those that are left, `value` is NaN where
    a number is not finite; there the replicate counts as diverged even if it trained to its end, but not on a split
    where its numbers are finite. Rows of the loss have no margin. `embeddings` says whether they are pruned.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    return _table(_load(runs))


def read_histories(runs: Sequence[Path]) -> pd.DataFrame:
    """One row per evaluation during training, of finished levels; columns `HISTORIES`.

    Raises:
        LotteryError: as `read_table`.
    """
    return _histories(_load(runs))


def read_layers(runs: Sequence[Path]) -> pd.DataFrame:
    """One row per prunable parameter of a replicate, in the network's order; columns `LAYERS`.

    Raises:
        LotteryError: as `read_table`.
    """
    return _layers(_load(runs))


def _load(runs: Sequence[Path]) -> list[_Run]:
    if not runs:
        raise LotteryError("No run was given; name one or more folders that `lottery prune` made.")
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    names, found = short_names(paths), []
    for path in paths:
        facts, records = visible_facts(read_facts(path)), read_records(path)
        if not records:
            raise LotteryError(
                f"{path} has no finished level yet; run its `lottery prune` command again "
                "to resume it, or leave it out."
            )
        named = _with_data_in_words(records, facts)
        found.append(_Run(name=visible(names[path]), path=path, facts=facts, records=named))
    return found


def _with_data_in_words(records: Sequence[Record], facts: dict[str, Any]) -> list[Record]:
    """Records whose data set is named as a part where the experiment cuts it short."""
    options = facts["experiment"].get("data", {}).get("options", {})
    text = "cut into" in facts["data"]
    return [replace(one, data=data_in_words(one.data, options, text=text)) for one in records]


def _table(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = [row for run in runs for record in run.records for row in _rows(run.name, record)]
    table = visible_names(pd.DataFrame(rows, columns=list(TABLE)))
    return table.astype({"value": float, "margin": float})


def _rows(run: str, record: Record) -> list[dict[str, object]]:
    replicate = {
        **{"run": run, "network": record.network, "origin": record.origin},
        **{"recipe": record.recipe, "data": record.data, "arm": record.arm},
        **{"seed": record.seed, "level": record.level, "density": record.density},
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
        finished = {(record.level, record.arm, record.seed): record for record in run.records}
        for row in read_history(run.path):
            record = finished.get((row.level, row.arm, row.seed))
            if record is None:
                continue
            of_task = row.metric == record.metric.name
            place = (run.name, record.network, row.arm, row.seed, row.level, record.density)
            unit = record.metric.unit if of_task else ""
            better = of_task and record.metric.higher_is_better
            rows.append((*place, row.step, row.metric, row.value, unit, better))
    return visible_names(pd.DataFrame(rows, columns=list(HISTORIES))).astype({"value": float})


def _layers(runs: Sequence[_Run]) -> pd.DataFrame:
    rows = [
        (
            *(run.name, record.network, record.arm, record.seed, record.level),
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
            *(run.name, record.network, record.arm, record.seed, record.level, layer.name),
            *(gate.name, gate.kept, gate.total, gate.kept / gate.total),
        )
        for run in runs
        for record in run.records
        for layer in record.layers
        for gate in layer.gates
    ]
    return visible_names(pd.DataFrame(rows, columns=list(GATES)))


def _baselines(facts: dict[str, dict[str, Any]]) -> pd.DataFrame:
    rows = [
        (run, *(baseline[column] for column in BASELINES[1:]))
        for run, fact in facts.items()
        for baseline in fact["data"].get("baselines", [])
    ]
    return pd.DataFrame(rows, columns=list(BASELINES))
