"""A level: the replicates that it trains, what came of them, and its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lottery.experiments import Experiment
from lottery.forward_pass import effective
from lottery.history import HistoryRow
from lottery.mask_files import pack_masks, unpack_masks
from lottery.progress import Watcher
from lottery.pruning.masks import Mask, Tensors, count, kept, row, stack_tensors
from lottery.records import (
    GateCount,
    LayerCount,
    Record,
    ReplicateId,
    Value,
    records_to_json,
)
from lottery.runs import EXECUTION, Run, finish_history
from nas.catalog.catalog import entry
from nas.recurrent.gates import Rows, gate_rows
from training.batching import Batching
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.errors import LotteryError
from training.matrix_libraries import library_in_use
from training.metrics import Metric
from training.storage import parse_json, to_json
from training.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """One network of one arm with one seed, before its training."""

    arm: str
    seed: int
    mask: Mask
    start: Tensors

    @property
    def identity(self) -> ReplicateId:
        """Which one it is."""
        return ReplicateId(self.arm, self.seed)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The replicates that a level trains, and all that this takes.

    Attributes:
        experiment: with its steps resolved.
        run: where the files go.
        task: what is learned.
        watcher: is told how it goes.
        batching: stacked, looped or None for the default.
        at_once: how many are trained together, or None for as many as fit.
        level: of pruning.
        place: the level's folder in the run.
        replicates: in the order of the files.
        network: one network, on the device; gives the structure, not the weights.
        multiply_adds: per example, dense, by parameter.
        parameters: of the dense network.
    """

    experiment: Experiment
    run: Run
    task: Task
    watcher: Watcher
    batching: Batching | None
    at_once: int | None
    level: int
    place: str
    replicates: tuple[Replicate, ...]
    network: nn.Module
    multiply_adds: Mapping[str, int]
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one replicate."""

    replicate: Replicate
    final: Tensors
    best_step: int
    diverged_at: int | None
    values: tuple[Value, ...]
    scores: Tensor


def write_level(stack: Stack, outcomes: Sequence[Outcome], history: Sequence[HistoryRow]) -> None:
    """Write masks, trained tensors, predictions and the history, and the records last."""
    run, place = stack.run, stack.place
    order = [list(astuple(o.replicate.identity)) for o in outcomes]
    masks = {
        "/".join(map(str, [*astuple(o.replicate.identity), name])): np.asarray(mask)
        for o in outcomes
        for name, mask in o.replicate.mask.items()
    }
    finals = stack_tensors(o.final for o in outcomes)
    scores = {"scores": torch.stack([o.scores for o in outcomes])}
    run.folder.write(run.masks(place), pack_masks(masks))
    run.folder.write(run.weights(place), tensors_to_bytes(finals, {"replicates": order}))
    run.folder.write(run.predictions(place), tensors_to_bytes(scores, {"replicates": order}))
    records = [_record(stack, outcome) for outcome in outcomes]
    finish_history(run, history)
    run.folder.write(run.records(place), records_to_json(records))
    stack.watcher.records(records)


def note_execution(stack: Stack, chunk: range, batching: Batching, step: int) -> None:
    """Write down how a chunk of a level's replicates is trained from a step on; a resumed one adds what has changed.

    The watcher is told where it goes on stacked that was looped, or the other way round.
    """
    run, name = stack.run, stack.run.execution(stack.place)
    held = parse_json(run.folder.read(name), run.root / name) if run.folder.holds(name) else []
    now = {
        "replicates": [chunk.start, chunk.stop],
        "batching": batching,
        "threads": torch.get_num_threads(),
        "products": library_in_use(),
    }
    # What was cut otherwise, or came to nothing after the checkpoint, is no part of the result.
    mine = [
        one for one in held if one["replicates"] == now["replicates"] and one["from_step"] < step
    ]
    if mine and mine[-1]["batching"] != batching:
        stack.watcher.notice(
            f"Level {stack.level} goes on {batching} from step {step}, and was {mine[-1]['batching']} before: its "
            "numbers may differ in rounding, and by what training makes of that, from those of an uninterrupted run."
        )
    others = [one for one in held if not {*range(*one["replicates"])} & {*chunk}]
    if not mine or mine[-1] != {**now, "from_step": mine[-1]["from_step"]}:
        mine.append({**now, "from_step": step})
    run.folder.write(name, to_json([*others, *mine]))


def noted_batching(run: Run) -> Batching | None:
    """How a run's replicates were batched in its last level; None before any were trained."""
    names = [name for name in run.folder.names() if name.endswith(f"/{EXECUTION}")]
    noted = [one for name in names for one in parse_json(run.folder.read(name), run.root / name)]
    return noted[-1]["batching"] if noted else None


def _record(stack: Stack, outcome: Outcome) -> Record:
    experiment, mask = stack.experiment, outcome.replicate.mask
    left, total = kept(mask), count(mask)
    gates = gate_rows(stack.network)
    layers = tuple(count_layer(name, m, gates.get(name, {})) for name, m in mask.items())
    density = {layer.name: layer.kept / layer.total for layer in layers}
    first = experiment.rewinding.step.iterations if stack.level > 0 else 0
    return Record(
        run=stack.run.name,
        network=experiment.network.name,
        origin=entry(experiment.network.name).origin,
        recipe=experiment.name,
        data=experiment.data.name,
        arm=outcome.replicate.arm,
        seed=outcome.replicate.seed,
        copy=0,
        noise_seed=outcome.replicate.seed,
        level=stack.level,
        kept=left,
        prunable=total,
        parameters=stack.parameters,
        multiply_adds=effective(stack.multiply_adds, density),
        bytes=4 * (stack.parameters - total + left) + (-(-total // 8) if left < total else 0),
        steps=experiment.training.steps.iterations - first,
        best_step=outcome.best_step,
        diverged_at=outcome.diverged_at,
        metric=_judged_by(stack),
        values=outcome.values,
        layers=layers,
        embeddings=experiment.pruning.embeddings,
    )


def count_layer(name: str, mask: Tensor, gates: Rows) -> LayerCount:
    """What a mask keeps of one parameter, and of each of its gates, whose rows are given."""
    return LayerCount(
        name=name,
        kept=int(mask.sum()),
        total=mask.numel(),
        gates=tuple(
            GateCount(name=gate, kept=int(mask[rows].sum()), total=mask[rows].numel())
            for gate, rows in gates.items()
        ),
    )


def _judged_by(stack: Stack) -> Metric:
    metric, margin = stack.task.metric, stack.experiment.margin
    return metric if margin is None else dataclasses.replace(metric, margin=margin)


def read_masks(run: Run, place: str) -> dict[ReplicateId, Mask]:
    """A level's masks by replicate."""
    name = run.masks(place)
    masks: dict[ReplicateId, Mask] = {}
    for key, bits in unpack_masks(run.folder.read(name), run.root / name).items():
        arm, seed, copy, parameter = key.split("/", 3)
        replicate = ReplicateId(arm, int(seed), int(copy))
        masks.setdefault(replicate, {})[parameter] = torch.from_numpy(bits)
    return masks


def read_weights(run: Run, place: str) -> dict[ReplicateId, Tensors]:
    """A level's trained tensors by replicate.

    Raises:
        LotteryError: they were removed since a newer level was done, or the file is damaged.
    """
    name = run.weights(place)
    if run.is_done(place) and name not in run.folder.names():
        raise LotteryError(
            f"{run.root / name} was removed, as only the newest level's trained weights were to be kept; "
            "a run with --keep-weights all keeps those of every level."
        )
    tensors, facts = tensors_from_bytes(run.folder.read(name), run.root / name)
    return {ReplicateId(*one): row(tensors, r) for r, one in enumerate(facts["replicates"])}
