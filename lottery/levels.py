"""A level: the replicates that it trains, what came of them, and its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from lottery.forward_pass import effective
from lottery.history import HistoryRow
from lottery.identity import ReplicateId
from lottery.mask_files import pack_masks, unpack_masks
from lottery.pruning.masks import Mask, Tensors, count, kept, row, stack_tensors
from lottery.records import GateCount, LayerCount, Record, Value, records_to_json
from lottery.runs import LevelFiles, finish_history
from lottery.session import Session
from nas.catalog.catalog import entry
from nas.recurrent.gates import Rows, gate_rows
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.errors import LotteryError
from training.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """One network of a level, before its training.

    Attributes:
        id: arm, seed and copy.
        mask: which weights are kept.
        start: parameters and buffers that it starts from; pruned weights are 0.
    """

    id: ReplicateId
    mask: Mask
    start: Tensors


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The replicates of a level that are trained side by side.

    Attributes:
        session: that they are trained in.
        files: of the level.
        replicates: in the order of the files.
    """

    session: Session
    files: LevelFiles
    replicates: tuple[Replicate, ...]


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
    files, folder = stack.files, stack.session.run.folder
    order = [list(astuple(o.replicate.id)) for o in outcomes]
    masks = {
        "/".join(map(str, [*astuple(o.replicate.id), name])): np.asarray(mask)
        for o in outcomes
        for name, mask in o.replicate.mask.items()
    }
    finals = stack_tensors(o.final for o in outcomes)
    scores = {"scores": torch.stack([o.scores for o in outcomes])}
    folder.write(files.masks, pack_masks(masks))
    folder.write(files.weights, tensors_to_bytes(finals, {"replicates": order}))
    folder.write(files.predictions, tensors_to_bytes(scores, {"replicates": order}))
    records = [_record(stack, outcome) for outcome in outcomes]
    finish_history(stack.session.run, history)
    folder.write(files.records, records_to_json(records))
    stack.session.watcher.records(records)


def _record(stack: Stack, outcome: Outcome) -> Record:
    session, level, replicate = stack.session, stack.files.number, outcome.replicate
    experiment, mask, parameters = session.experiment, replicate.mask, session.parameters
    left, total = kept(mask), count(mask)
    gates = gate_rows(session.network)
    layers = tuple(count_layer(name, m, gates.get(name, {})) for name, m in mask.items())
    density = {layer.name: layer.kept / layer.total for layer in layers}
    return Record(
        run=session.run.name,
        network=experiment.network.name,
        origin=entry(experiment.network.name).origin,
        recipe=experiment.name,
        data=experiment.data.name,
        arm=replicate.id.arm,
        seed=replicate.id.seed,
        copy=replicate.id.copy,
        noise_seed=replicate.id.noise_seed,
        level=level,
        kept=left,
        prunable=total,
        parameters=parameters,
        multiply_adds=effective(session.forward_pass.multiply_adds, density),
        bytes=4 * (parameters - total + left) + (-(-total // 8) if left < total else 0),
        steps=experiment.level_steps(level),
        best_step=outcome.best_step,
        diverged_at=outcome.diverged_at,
        metric=_judged_by(session),
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


def _judged_by(session: Session) -> Metric:
    metric, margin = session.task.metric, session.experiment.margin
    return metric if margin is None else dataclasses.replace(metric, margin=margin)


def read_masks(files: LevelFiles) -> dict[ReplicateId, Mask]:
    """A level's masks."""
    run, masks = files.run, dict[ReplicateId, Mask]()
    for key, bits in unpack_masks(run.folder.read(files.masks), run.root / files.masks).items():
        arm, seed, copy, parameter = key.split("/", 3)
        one = ReplicateId(arm, int(seed), int(copy))
        masks.setdefault(one, {})[parameter] = torch.from_numpy(bits)
    return masks


def read_weights(files: LevelFiles) -> dict[ReplicateId, Tensors]:
    """A level's trained tensors.

    Raises:
        LotteryError: they were removed since a newer level was done, or the file is damaged.
    """
    run, name = files.run, files.weights
    if files.is_done() and name not in run.folder.names():
        raise LotteryError(
            f"{run.root / name} was removed, as only the newest level's trained weights were to be kept; "
            "a run with --store-weights all keeps those of every level."
        )
    tensors, metadata = tensors_from_bytes(run.folder.read(name), run.root / name)
    return {ReplicateId(*one): row(tensors, r) for r, one in enumerate(metadata["replicates"])}


def read_scores(files: LevelFiles) -> dict[ReplicateId, Tensor]:
    """What each network of a level scored on every test example, `[N]`, with its early-stop weights.

    See `training.tasks.task.Evaluation`.

    Raises:
        LotteryError: the file is damaged.
    """
    run, name = files.run, files.predictions
    tensors, metadata = tensors_from_bytes(run.folder.read(name), run.root / name)
    return {ReplicateId(*one): tensors["scores"][r] for r, one in enumerate(metadata["replicates"])}
