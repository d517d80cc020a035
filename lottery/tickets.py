"""Tickets: what pruning leaves of each network, and the weights that it starts from again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from lottery.batching import new_replicates
from lottery.experiments import Experiment
from lottery.identity import ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.memory import choose_cut, in_chunks
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Evidence
from lottery.pruning.gradients import mean_gradients
from lottery.pruning.masks import Mask, Tensors, dense_mask, row, stack_tensors, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.scopes import groups_at
from lottery.pruning.selection import select
from lottery.runs import LevelFiles
from lottery.session import Session, new_network
from lottery.ticket_files import Ticket, read_start, read_tickets, tickets_to_bytes
from training.errors import chosen
from training.noise import generator
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
    """A level above 0: the networks that the level before it trained lose weights, and the rest is rewound.

    The tickets are written before they are trained, and taken from disk where they are there.

    Raises:
        LotteryError: a file of the run is damaged, or the trained weights that this needs were removed.
    """
    experiment, run = session.experiment, session.run
    files = run.level(level)
    if not run.folder.holds(files.tickets):
        finals = trained_weights(session, level - 1)
        masks = pruned_masks(session, level, finals)
        # Rewound tickets start from what the run has of the rewind step, whatever the level.
        kept = finals if experiment.rewinding.weights == "keep" else {}
        run.folder.write(files.tickets, tickets_to_bytes(masks, kept))
    return read_tickets(experiment, run, level)


def trained_weights(session: Session, level: int) -> dict[ReplicateId, Tensors]:
    """What a level trained its tickets to, read where pruning or rewinding asks for it; else nothing of each ticket.

    Raises:
        LotteryError: the file is damaged, or was removed.
    """
    experiment, files = session.experiment, session.run.level(level)
    needs = chosen("criterion", experiment.pruning.criterion, CRITERIA).needs
    if "final" in needs or experiment.rewinding.weights == "keep":
        return _of_tickets(read_weights(files), experiment, files)
    return {one: {} for one in experiment.tickets}


def pruned_masks(
    session: Session, level: int, finals: Mapping[ReplicateId, Tensors]
) -> dict[ReplicateId, Mask]:
    """The masks of a level above 0, from those of the level before and what criterion, scope and schedule say.

    Args:
        session: whose run holds the level before.
        level: above 0.
        finals: what the level before trained, see `trained_weights`.
    """
    experiment, before = session.experiment, session.run.level(level - 1)
    needs = chosen("criterion", experiment.pruning.criterion, CRITERIA).needs
    masks = _of_tickets(read_masks(before), experiment, before)
    if "final" not in needs:
        finals = {one: {} for one in masks}

    def work(chunk: range, _: object) -> dict[ReplicateId, Mask]:
        ids = experiment.tickets[chunk.start : chunk.stop]
        evidence = _evidence(session, ids, level, masks, finals)
        return dict(zip(ids, _pruned(session, ids, level, evidence), strict=True))

    found: dict[ReplicateId, Mask] = {}
    for part in in_chunks(session, choose_cut(session), len(experiment.tickets), work):
        found |= part
    return found


def _evidence(
    session: Session,
    ids: Sequence[ReplicateId],
    level: int,
    masks: Mapping[ReplicateId, Mask],
    finals: Mapping[ReplicateId, Tensors],
) -> Evidence:
    """What a criterion may look at, of some replicates."""
    task, config = session.task, session.experiment.training
    starts = [read_start(session.run, one) for one in ids]

    def gradients(weights: Mapping[str, torch.Tensor], batches: int) -> Tensors:
        replicates = new_replicates(session, ids, starts)
        return mean_gradients(replicates, task, config, weights, batches)

    def stacked(tensors: Sequence[Tensors]) -> Tensors:
        return {name: t.to(task.device) for name, t in stack_tensors(tensors).items()}

    sources = [generator(one.seed, "criterion", level) for one in ids]

    def uniform(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.stack([torch.rand(shape, generator=source) for source in sources])

    return Evidence(
        start=stacked(starts),
        final=stacked([finals[one] for one in ids]),
        mask=stacked([masks[one] for one in ids]),
        uniform=uniform,
        gradients=gradients,
    )


def _pruned(
    session: Session, ids: Sequence[ReplicateId], level: int, evidence: Evidence
) -> list[Mask]:
    """The mask of each replicate after the criterion's rounds, of which the last ends at the level's density."""
    config, kinds = session.experiment.pruning, session.forward_pass.kinds
    criterion = chosen("criterion", config.criterion, CRITERIA)
    shapes = {name: tuple(mask.shape[1:]) for name, mask in evidence.mask.items()}
    masks = [_on_cpu(row(evidence.mask, r)) for r in range(len(ids))]
    for done in range(1, criterion.rounds + 1):
        ends = done == criterion.rounds
        groups = groups_at(
            shapes, level if ends else level - 1 + done / criterion.rounds, config, kinds
        )
        scores = _on_cpu(criterion.scores(evidence))
        masks = [select(row(scores, r), mask, groups) for r, mask in enumerate(masks)]
        if not ends:
            stacked = stack_tensors(masks)
            device = session.task.device
            evidence = replace(evidence, mask={n: m.to(device) for n, m in stacked.items()})
    return masks


def _on_cpu(tensors: Tensors) -> Tensors:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def _of_tickets(
    tensors: Mapping[ReplicateId, T], experiment: Experiment, files: LevelFiles
) -> dict[ReplicateId, T]:
    """The tickets' part of what a level has of each replicate."""
    missing = [one for one in experiment.tickets if one not in tensors]
    if missing:
        path = files.run.root / files.name
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return {one: tensors[one] for one in experiment.tickets}
