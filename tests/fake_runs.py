"""Runs on disk as the training code leaves them, with invented numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lottery.exemplars import Exemplar, Exemplars, write_exemplars
from lottery.experiments import RUN_FOLDER
from lottery.history import HistoryRow
from lottery.readings import Reading, write_readings
from lottery.records import GateCount, LayerCount, Record, Value, read_records, records_to_json
from lottery.run_folder import HISTORY
from training.folders import Folder
from training.lines import to_lines
from training.metrics import ACCURACY, PERPLEXITY, Metric
from training.specs import ImageSpec, TextSpec
from training.storage import to_json
from training.work_folders import DATA

IMAGES = ImageSpec(channels=1, height=28, width=28, classes=10)
TEXT = TextSpec(vocabulary=10_000)
PRUNABLE = 266_200
OTHER = 410
LAYERS = {"fc1.weight": 235_200, "fc2.weight": 30_000, "output.weight": 1_000}
Curve = Callable[[str, int, int], float | None]


def accuracy_curve(arm: str, level: int, seed: int) -> float | None:
    """Test accuracy: tickets rise a little, then fall; controls fall from the start."""
    noise = np.random.default_rng([level, seed, len(arm)]).normal(0, 0.06) + 0.05 * (seed % 3)
    fall = {"ticket": -0.12 * min(level, 5), "reinitialised": 0.09 * level}.get(arm, 0.14 * level)
    late = 0.06 * max(0, level - 8) ** 2
    return 98.0 - fall - late + float(noise)


def perplexity_curve(arm: str, level: int, seed: int) -> float | None:
    """Test perplexity: the mirror image, upwards."""
    value = accuracy_curve(arm, level, seed)
    return None if value is None else 100 * math.exp(0.25 * (98.0 - value))


def write_run(
    path: Path,
    curve: Curve = accuracy_curve,
    *,
    network: str = "lenet-300-100",
    origin: str = "designed",
    data: str = "mnist",
    metric: Metric = ACCURACY,
    arms: Sequence[str] = ("ticket", "reinitialised", "random-mask"),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    levels: int = 10,
    scale: float = 1.0,
    history: bool = True,
    density: Callable[[int], float] = lambda level: 0.8**level,
    copies: Sequence[float | None] = (0.0,),
    readings: bool = False,
) -> Path:
    """Write a run; `curve(arm, level, seed)` is the test metric, None where the replicate diverged.

    Level n keeps `density(n)` of the weights. `copies` is what each copy of a seed adds to the metric, None where that
    copy diverged. With `readings` a sharpness was measured, see `write_sharpness`.
    The validation metric is the test metric; `scale` multiplies all sizes. Where it is perplexity the first layer has
    two gates, of which the second loses whatever is lost.
    """
    folder = Folder(path)
    experiment = {"format": 2, "name": "demo", "levels": levels, "training": {"steps": 1000}}
    folder.write(RUN_FOLDER.file, to_json(experiment))
    baselines = []
    if metric is PERPLEXITY:
        baselines = [{"name": "unigram", "split": "test", "metric": "perplexity", "value": 740.25}]
    spec = TEXT if metric is PERPLEXITY else IMAGES
    described = {"name": data, "fingerprint": "d41d8cd9", "baselines": baselines}
    folder.write(DATA, to_json({**described, **spec.description()}))
    identity = {"run": path.name, "network": network, "origin": origin, "data": data}
    lines = []
    for level in range(levels + 1):
        for arm in arms if level else arms[:1]:
            records = [
                _record(
                    _sum(curve(arm, level, seed), added),
                    {**identity, "arm": arm, "seed": seed, "copy": copy, "noise_seed": seed},
                    level=level,
                    metric=metric,
                    scale=scale,
                    density=density(level),
                )
                for seed in seeds
                for copy, added in enumerate(copies)
            ]
            inside = f"level-{level:02d}" if arm == "ticket" else f"level-{level:02d}/{arm}"
            folder.write(f"{inside}/records.json", records_to_json(records))
            lines += [line for record in records for line in _history(record)]
    if history:
        folder.write(HISTORY, to_lines(lines))
    if readings:
        write_sharpness(path)
        write_forgotten(path, "words" if metric is PERPLEXITY else "images", levels)
    return path


def write_sharpness(run: Path) -> None:
    """Write invented readings of every replicate: an eigenvalue 0.1 per level less than 5 + seed, and a curve of it."""
    for level in {record.level for record in read_records(run)}:
        found = [
            Reading(
                level=level,
                arm=one.arm,
                seed=one.seed,
                copy=one.copy,
                other="training",
                at="end",
                metric=metric,
                x=x,
                value=None if one.lost else 5 + one.seed + one.copy - 0.1 * level,
            )
            for one in read_records(run)
            if one.level == level
            for metric, x in (("eigenvalue", None), ("share", 0.0), ("share", 1.0))
        ]
        write_readings(Folder(run), "sharpness", level, {"batches": 4, "split": "test"}, found)


def write_forgotten(run: Path, unit: str, level: int) -> None:
    """Write two invented examples that a level forgot: images of 2 x 3 pixels, or words."""
    pixels = base64.b64encode(bytes([0, 50, 100, 150, 200, 255])).decode()
    of_images = unit == "images"
    shown = tuple(
        Exemplar(
            index=index,
            label=label,
            dense=1.0,
            pruned=0.25 if of_images else 1.5,
            pixels=pixels if of_images else "",
        )
        for index, label in ((7, "3" if of_images else "the"), (9, "5" if of_images else "of"))
    )
    shape = (2, 3, 1) if of_images else ()
    found = Exemplars(
        level=level, unit=unit, networks=3, found=4, among=500, shape=shape, shown=shown
    )
    write_exemplars(Folder(run), found)


def _sum(value: float | None, added: float | None) -> float | None:
    return None if value is None or added is None else value + added


def _record(
    value: float | None,
    fields: dict[str, Any],
    *,
    level: int,
    metric: Metric,
    scale: float,
    density: float,
) -> Record:
    kept = {layer: round(scale * total * density) for layer, total in LAYERS.items()}
    total = {layer: round(scale * size) for layer, size in LAYERS.items()}
    numbers = tuple(
        Value(at=at, split=split, metric=metric.name, value=value)
        for at in ("best", "end")
        for split in ("validation", "test")
    )
    loss = Value(at="best", split="validation", metric="loss", value=None if value is None else 0.1)
    return Record(
        **fields,
        metric=metric,
        recipe="demo",
        level=level,
        kept=sum(kept.values()),
        prunable=sum(total.values()),
        parameters=sum(total.values()) + OTHER,
        multiply_adds=sum(kept.values()),
        bytes=4 * (sum(kept.values()) + OTHER) + sum(total.values()) // 8,
        steps=1000,
        best_step=500 - 20 * level if fields["arm"] == "ticket" else 500 + 40 * level,
        diverged_at=7 if value is None else None,
        values=(*numbers, loss),
        embeddings=False,
        layers=tuple(
            LayerCount(
                name=n,
                kept=kept[n],
                total=total[n],
                gates=_gates(kept[n], total[n])
                if metric is PERPLEXITY and n == "fc1.weight"
                else (),
            )
            for n in LAYERS
        ),
    )


def _gates(kept: int, total: int) -> tuple[GateCount, ...]:
    whole = min(total // 10, kept)
    return (
        GateCount(name="candidate", kept=whole, total=total // 10),
        GateCount(name="gate", kept=kept - whole, total=total - total // 10),
    )


def _history(record: Record) -> list[HistoryRow]:
    final = record.values[0].value
    rows: list[HistoryRow] = []
    for step in range(0, 1001, 50):
        start = 10.0 if record.metric.higher_is_better else 5000.0
        value = None if final is None else final + (start - final) * math.exp(-step / 60)
        rows.append(
            HistoryRow(
                level=record.level,
                arm=record.arm,
                seed=record.seed,
                copy=record.copy,
                step=step,
                metric=record.metric.name,
                value=value,
            )
        )
    return rows
