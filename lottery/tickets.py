"""Tickets: what pruning leaves of each network, and the weights that it starts from again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from lottery.batching import chunks, new_replicates
from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.mask_files import pack_masks, unpack_masks
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Evidence
from lottery.pruning.gradients import mean_gradients
from lottery.pruning.masks import Mask, Tensors, dense_mask, on_cpu, row, stack_tensors, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.scopes import groups_at
from lottery.pruning.selection import select
from lottery.rewinding import rewind
from lottery.runs import LevelFiles, Run
from lottery.session import Session, new_network
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.errors import chosen
from training.noise import generator
from training.storage import damaged

T = TypeVar("T")
# No parameter has a name with nothing before a dot.
MASKS = ".masks"


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A network before a level's training.

    Attributes:
        id: of the replicate that trains it.
        mask: which weights are kept.
        whole: the network that it is taken from, with values for what the mask prunes too.
    """

    id: ReplicateId
    mask: Mask
    whole: Tensors


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
        masks = pruned_masks(session, level)
        # Rewound tickets start from what the run has of the rewind step, whatever the level.
        from_final = experiment.rewinding.weights == "keep"
        finals = _finals(experiment, run.level(level - 1)) if from_final else {}
        run.folder.write(files.tickets, _tickets_to_bytes(masks, finals))
    return read_tickets(experiment, run, level)


def pruned_masks(session: Session, level: int) -> dict[ReplicateId, Mask]:
    """The masks of a level above 0, from those of the level before and what criterion, scope and schedule say."""
    experiment, before = session.experiment, session.run.level(level - 1)
    needs = chosen("criterion", experiment.pruning.criterion, CRITERIA).needs
    masks = _of_tickets(read_masks(before), experiment, before)
    finals = _finals(experiment, before) if "final" in needs else {one: {} for one in masks}
    found: dict[ReplicateId, Mask] = {}
    for chunk in chunks(session, len(experiment.tickets)):
        ids = experiment.tickets[chunk.start : chunk.stop]
        evidence = _evidence(session, ids, level, masks, finals)
        found |= zip(ids, _pruned(session, ids, level, evidence), strict=True)
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
    present = on_cpu(evidence.mask)
    masks = [row(present, r) for r in range(len(ids))]
    for done in range(1, criterion.rounds + 1):
        ends = done == criterion.rounds
        groups = groups_at(
            shapes, level if ends else level - 1 + done / criterion.rounds, config, kinds
        )
        scores = on_cpu(criterion.scores(evidence))
        masks = [select(row(scores, r), mask, groups) for r, mask in enumerate(masks)]
        if not ends:
            stacked = stack_tensors(masks)
            device = session.task.device
            evidence = replace(evidence, mask={n: m.to(device) for n, m in stacked.items()})
    return masks


def read_tickets(experiment: Experiment, run: Run, level: int) -> list[Ticket]:
    """The tickets of a level above 0 that has begun.

    Raises:
        LotteryError: a file of the run is damaged.
    """
    name, ids = run.level(level).tickets, experiment.tickets
    path = run.root / name
    masks, finals = _tickets_from_bytes(run.folder.read(name), path)
    missing = [one for one in ids if one not in masks]
    if missing:
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return [
        Ticket(
            id=one,
            mask=masks[one],
            whole=rewind(read_start(run, one), finals.get(one, {}), experiment.rewinding),
        )
        for one in ids
    ]


def _tickets_to_bytes(
    masks: Mapping[ReplicateId, Mask], finals: Mapping[ReplicateId, Tensors]
) -> bytes:
    """Masks, one bit a weight, and the trained tensors that tickets start from where they are not rewound."""
    bits = {f"{_key(one)}/{n}": m for one in masks for n, m in masks[one].items()}
    tensors = {f"{_key(one)}/{n}": t for one in finals for n, t in finals[one].items()}
    return tensors_to_bytes({**tensors, MASKS: masks_to_tensor(bits)})


def masks_to_tensor(masks: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Masks as one tensor of bytes, to stand in a file among tensors, under `MASKS`; one bit a weight."""
    packed = pack_masks({name: np.asarray(mask) for name, mask in masks.items()})
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8)


def masks_from_tensor(packed: torch.Tensor, path: Path) -> Mask:
    """The masks in such a tensor.

    Raises:
        LotteryError: there are none in it; `path` is named.
    """
    bits = unpack_masks(packed.numpy().tobytes(), path)
    return {name: torch.from_numpy(mask) for name, mask in bits.items()}


def _tickets_from_bytes(
    data: bytes, path: Path
) -> tuple[dict[ReplicateId, Mask], dict[ReplicateId, Tensors]]:
    tensors, _ = tensors_from_bytes(data, path)
    if MASKS not in tensors:
        raise damaged(path, "it holds no masks")
    masks = masks_from_tensor(tensors.pop(MASKS), path)
    return _by_ticket(masks), _by_ticket(tensors)


def _key(one: ReplicateId) -> str:
    return f"{one.seed}/{one.copy}"


def _by_ticket(tensors: Mapping[str, torch.Tensor]) -> dict[ReplicateId, Tensors]:
    found: dict[ReplicateId, Tensors] = {}
    for key, tensor in tensors.items():
        seed, copy, name = key.split("/", 2)
        one = ReplicateId(TICKET, int(seed), int(copy))
        found.setdefault(one, {})[name] = tensor
    return found


def _finals(experiment: Experiment, files: LevelFiles) -> dict[ReplicateId, Tensors]:
    """What a level trained its tickets to."""
    return _of_tickets(read_weights(files), experiment, files)


def _of_tickets(
    tensors: Mapping[ReplicateId, T], experiment: Experiment, files: LevelFiles
) -> dict[ReplicateId, T]:
    """The tickets' part of what a level has of each replicate."""
    missing = [one for one in experiment.tickets if one not in tensors]
    if missing:
        path = files.run.root / files.name
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return {one: tensors[one] for one in experiment.tickets}


def read_start(run: Run, ticket: ReplicateId) -> Tensors:
    """A ticket's tensors at the rewind step."""
    name = run.start(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def read_start_optimizer(run: Run, ticket: ReplicateId) -> Tensors:
    """What a ticket's optimizer remembered at the rewind step."""
    name = run.start_optimizer(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]
