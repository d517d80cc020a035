"""Tickets: what pruning leaves of each network, and the weights that it starts from again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lottery.experiments import Experiment
from lottery.identity import ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.memory import choose_cut, in_chunks
from lottery.pruning.masks import Mask, Tensors, dense_mask, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.schedules import source_level
from lottery.runs import LevelFiles
from lottery.scoring import gathered, pruned
from lottery.session import Session, new_network
from lottery.ticket_files import Ticket, read_start, read_tickets, tickets_to_bytes
from lottery.transfer import taken_masks, taken_weights
from training.storage import damaged

T = TypeVar("T")


def dense_tickets(session: Session) -> list[Ticket]:
    """Level 0: networks with their initial weights, and masks that keep all of them."""
    found = []
    for one in session.experiment.tickets:
        network = new_network(session, one.seed)
        weights = dict(network.named_parameters())
        names = prunable_names(network, session.experiment.pruning.embeddings)
        mask = dense_mask({name: weights[name] for name in names})
        found.append(Ticket(id=one, mask=mask, whole=tensors_of(network)))
    return found


def prune_and_rewind(session: Session, level: int) -> list[Ticket]:
    """A level above 0: trained networks of an earlier one lose weights, and the rest is rewound.

    The tickets are written before they are trained, and taken from disk where they are there.

    Raises:
        LotteryError: a file of the run is damaged, or the trained weights that this needs were removed.
    """
    experiment, run = session.experiment, session.run
    files = run.level(level)
    if not run.folder.holds(files.tickets):
        run.folder.write(files.tickets, tickets_to_bytes(*_found_tickets(session, level)))
    return read_tickets(experiment, run, level)


def _found_tickets(
    session: Session, level: int
) -> tuple[dict[ReplicateId, Mask], dict[ReplicateId, Tensors]]:
    """The originals' masks, and what they start from where that is not of the run's rewind step, whatever the level."""
    experiment = session.experiment
    finals = trained_weights(session, source_level(experiment.pruning, level))
    taken = bool(experiment.transfer.run)
    masks = taken_masks(session, level) if taken else pruned_masks(session, level, finals)
    if experiment.rewinding.weights == "keep":
        return masks, finals
    return masks, taken_weights(session) if experiment.transfer.weights == "source" else {}


def trained_weights(session: Session, level: int) -> dict[ReplicateId, Tensors]:
    """What a level trained its originals to, read where pruning or rewinding asks for it; else nothing of each.

    Raises:
        LotteryError: the file is damaged, or was removed.
    """
    experiment, files = session.experiment, session.run.level(level)
    ranked = not experiment.transfer.run and "final" in session.criterion.needs
    if ranked or experiment.rewinding.weights == "keep":
        return _of_originals(read_weights(files), experiment, files)
    return {one: {} for one in experiment.originals}


def pruned_masks(
    session: Session, level: int, finals: Mapping[ReplicateId, Tensors]
) -> dict[ReplicateId, Mask]:
    """The originals' masks of a level above 0, from the level that the schedule names, by criterion and scope.

    Args:
        session: whose run holds that level.
        level: above 0.
        finals: what that level trained, see `trained_weights`.
    """
    experiment, run = session.experiment, session.run
    before = run.level(source_level(experiment.pruning, level))
    masks = _of_originals(read_masks(before), experiment, before)
    if "final" not in session.criterion.needs:
        finals = {one: {} for one in masks}

    def work(chunk: range, _: object) -> dict[ReplicateId, Mask]:
        ids = experiment.originals[chunk.start : chunk.stop]
        starts = [read_start(run, one) for one in ids]
        own = [finals[one] for one in ids], [masks[one] for one in ids]
        evidence = gathered(session, ids, level, starts, *own)
        return dict(zip(ids, pruned(session, level, evidence), strict=True))

    found: dict[ReplicateId, Mask] = {}
    for part in in_chunks(session, choose_cut(session), len(experiment.originals), work):
        found |= part
    return found


def _of_originals(
    tensors: Mapping[ReplicateId, T], experiment: Experiment, files: LevelFiles
) -> dict[ReplicateId, T]:
    """The originals' part of what a level has of each replicate."""
    missing = [one for one in experiment.originals if one not in tensors]
    if missing:
        path = files.run.root / files.name
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return {one: tensors[one] for one in experiment.originals}
