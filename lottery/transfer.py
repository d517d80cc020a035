"""Masks found elsewhere: the tickets of another run are trained in this one.

Of a ticket found on other data the classifier is new (Morcos et al. 2019, arXiv 1906.02773); masks found on corrupted
data tell what they owe to it (Su et al. 2020, arXiv 2009.11094).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch

from lottery.experiments import RUN_FOLDER, Experiment
from lottery.identity import ReplicateId
from lottery.pruning.masks import Mask, Tensors, dense_mask, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.runs import Run
from lottery.session import Session
from lottery.ticket_files import read_start, read_ticket_masks
from training.errors import LotteryError
from training.storage import damaged
from training.work_folders import require_there, stored_config

# Of the parameters that have no mask a sentence names so many.
NAMED = 3


def with_source(experiment: Experiment, source: Path | None) -> Experiment:
    """The experiment with the run that its masks are taken from, and the SHA-256 of what is taken.

    That is of the masks of every level that the run has, so that a run may be extended as far, and of what its tickets
    start from where the weights are taken too.

    Args:
        experiment: whose seeds are taken.
        source: folder of the run; None leaves the experiment as it is.

    Raises:
        LotteryError: the folder is no run, lacks a seed or a level, or a file of it is damaged.
    """
    if source is None:
        return experiment
    require_there(source, RUN_FOLDER)
    run, found = Run(source), stored_config(source, RUN_FOLDER)
    lacking = [seed for seed in experiment.seeds if seed not in found.seeds]
    if lacking:
        raise LotteryError(
            f"{source} has no seed {lacking[0]}, whose masks --masks-from takes; it has {[*found.seeds]}: choose some "
            "of these with --seeds."
        )
    levels = _levels(run, found)
    if len(levels) < experiment.levels:
        has = f"levels 1 to {len(levels)}" if levels else "none"
        raise LotteryError(
            f"{source} has no tickets of level {len(levels) + 1}, whose masks --masks-from takes; it has {has}: "
            "choose fewer --levels, or extend it first."
        )
    digest = hashlib.sha256()
    for level in levels:
        masks = _masks(run, experiment, level)
        for one in experiment.originals:
            _add(digest, f"{level}/{one.seed}", masks[one])
    if experiment.transfer.weights == "source":
        for one in experiment.originals:
            _add(digest, f"{one.seed}", read_start(run, one))
    taken = dataclasses.replace(experiment.transfer, run=run.name, sha256=digest.hexdigest())
    return dataclasses.replace(experiment, transfer=taken)


def require_source(experiment: Experiment, source: Path | None) -> None:
    """Refuse to train tickets without the run that their masks are taken from.

    Raises:
        LotteryError: the command line does not name it.
    """
    if source is None and experiment.transfer.run:
        raise _without_source(experiment)
    if source is None and experiment.transfer.weights == "source":
        raise LotteryError(
            "transfer.weights = source takes the weights of another run; name its folder with --masks-from."
        )


def _without_source(experiment: Experiment) -> LotteryError:
    return LotteryError(
        f"The masks of this experiment are those of the run {experiment.transfer.run}; name its folder with "
        "--masks-from."
    )


def check_source(session: Session) -> None:
    """Refuse a source of which nothing fits the network, and tell which parameters stay whole.

    Raises:
        LotteryError: nothing fits.
    """
    source, experiment = session.source, session.experiment
    if source is None or not experiment.levels:
        return
    shapes = _shapes(session)
    masks = _masks(source, experiment, 1)[experiment.originals[0]]
    whole = [name for name in shapes if not _fits(masks, name, shapes)]
    if len(whole) == len(shapes):
        theirs = stored_config(source.root, RUN_FOLDER).network.name
        raise LotteryError(
            f"No mask of {source.root}, a run of {theirs}, fits {experiment.network.name}: no parameter that is pruned "
            "has the same name and shape; choose the same network and sizes."
        )
    if whole:
        more = f" and {len(whole) - NAMED} more" if len(whole) > NAMED else ""
        session.watcher.notice(
            f"{len(whole)} of {len(shapes)} prunable parameters have no mask of their name and shape in {source.root}, "
            f"stay whole and start anew: {', '.join(whole[:NAMED])}{more}."
        )


def taken_masks(session: Session, level: int) -> dict[ReplicateId, Mask]:
    """The originals' masks of a level above 0, those of the same seeds and level in the source.

    Parameters that the source has no mask of, or one of another shape, stay whole.

    Raises:
        LotteryError: a file of the source is damaged.
    """
    source = _source(session)
    shapes, found = _shapes(session), {}
    for one, masks in _masks(source, session.experiment, level).items():
        whole = dense_mask({name: torch.empty(shape) for name, shape in shapes.items()})
        found[one] = {n: masks[n] if _fits(masks, n, shapes) else m for n, m in whole.items()}
    return found


def taken_weights(session: Session) -> dict[ReplicateId, Tensors]:
    """What of the originals' tensors begins as the source's tickets do: those of the same name, shape and type."""
    source, own, found = _source(session), tensors_of(session.network), {}
    for one in session.experiment.originals:
        theirs = read_start(source, one)
        found[one] = {
            name: tensor
            for name, tensor in theirs.items()
            if name in own and (own[name].shape, own[name].dtype) == (tensor.shape, tensor.dtype)
        }
    return found


def taken_density(session: Session, level: int) -> float:
    """The kept share of the prunable weights that the first seed's ticket of a level will have."""
    if not level:
        return 1.0
    mask = taken_masks(session, level)[session.experiment.originals[0]]
    return sum(int(m.sum()) for m in mask.values()) / sum(m.numel() for m in mask.values())


def _source(session: Session) -> Run:
    if session.source is None:
        raise _without_source(session.experiment)
    return session.source


def _levels(run: Run, experiment: Experiment) -> list[int]:
    """The levels from 1 on whose tickets a run has."""
    levels = range(1, experiment.levels + 1)
    return [*takewhile(lambda level: run.folder.holds(run.level(level).tickets), levels)]


def _masks(run: Run, experiment: Experiment, level: int) -> dict[ReplicateId, Mask]:
    masks = read_ticket_masks(run, level)
    lacking = [one for one in experiment.originals if one not in masks]
    if lacking:
        path = run.root / run.level(level).tickets
        raise damaged(path, f"it has no ticket of seed {lacking[0].seed}")
    return {one: masks[one] for one in experiment.originals}


def _shapes(session: Session) -> dict[str, torch.Size]:
    weights = dict(session.network.named_parameters())
    names = prunable_names(session.network, session.experiment.pruning.embeddings)
    return {name: weights[name].shape for name in names}


def _fits(masks: Mask, name: str, shapes: Mapping[str, torch.Size]) -> bool:
    return name in masks and masks[name].shape == shapes[name]


def _add(digest: hashlib._Hash, where: str, tensors: Tensors) -> None:
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{where}/{name}{[*tensor.shape]}{tensor.dtype}".encode())
        if tensor.dtype == torch.bool:
            digest.update(np.packbits(tensor.numpy(), axis=None).tobytes())
        else:
            digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
