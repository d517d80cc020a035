"""Tickets: what pruning leaves of each network, and the weights that it starts from again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from lottery.batching import chunks
from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.mask_files import pack_masks, unpack_masks
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.masks import Mask, Tensors, dense_mask, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.schedules import source_level
from lottery.rewinding import rewind
from lottery.runs import LevelFiles, Run
from lottery.scoring import gathered, pruned
from lottery.session import Session, new_network
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.errors import chosen
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
        source = run.level(source_level(experiment.pruning, level))
        finals = _finals(experiment, source) if from_final else {}
        run.folder.write(files.tickets, _tickets_to_bytes(masks, finals))
    return read_tickets(experiment, run, level)


def pruned_masks(session: Session, level: int) -> dict[ReplicateId, Mask]:
    """The originals' masks of a level above 0, from the level that the schedule names, by criterion and scope."""
    experiment, run = session.experiment, session.run
    before = run.level(source_level(experiment.pruning, level))
    needs = chosen("criterion", experiment.pruning.criterion, CRITERIA).needs
    masks = _of_tickets(read_masks(before), experiment, before)
    finals = _finals(experiment, before) if "final" in needs else {one: {} for one in masks}
    found: dict[ReplicateId, Mask] = {}
    for chunk in chunks(session, len(experiment.originals)):
        ids = experiment.originals[chunk.start : chunk.stop]
        starts = [read_start(run, one) for one in ids]
        own = [finals[one] for one in ids], [masks[one] for one in ids]
        evidence = gathered(session, ids, level, starts, *own)
        found |= zip(ids, pruned(session, level, evidence), strict=True)
    return found


def read_tickets(experiment: Experiment, run: Run, level: int) -> list[Ticket]:
    """The tickets of a level above 0 that has begun.

    Raises:
        LotteryError: a file of the run is damaged.
    """
    name = run.level(level).tickets
    path = run.root / name
    masks, finals = _tickets_from_bytes(run.folder.read(name), path)
    missing = [one for one in experiment.originals if one not in masks]
    if missing:
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return [
        Ticket(
            id=one,
            mask=masks[one.original],
            whole=rewind(read_start(run, one), finals.get(one.original, {}), experiment.rewinding),
        )
        for one in experiment.tickets
    ]


def _tickets_to_bytes(
    masks: Mapping[ReplicateId, Mask], finals: Mapping[ReplicateId, Tensors]
) -> bytes:
    """Masks, one bit a weight, and the trained tensors that tickets start from where they are not rewound."""
    bits = {f"{one.seed}/{n}": m for one in masks for n, m in masks[one].items()}
    tensors = {f"{one.seed}/{n}": t for one in finals for n, t in finals[one].items()}
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


def _by_ticket(tensors: Mapping[str, torch.Tensor]) -> dict[ReplicateId, Tensors]:
    found: dict[ReplicateId, Tensors] = {}
    for key, tensor in tensors.items():
        seed, name = key.split("/", 1)
        found.setdefault(ReplicateId(TICKET, int(seed)), {})[name] = tensor
    return found


def _finals(experiment: Experiment, files: LevelFiles) -> dict[ReplicateId, Tensors]:
    """What a level trained its tickets to."""
    return _of_tickets(read_weights(files), experiment, files)


def _of_tickets(
    tensors: Mapping[ReplicateId, T], experiment: Experiment, files: LevelFiles
) -> dict[ReplicateId, T]:
    """The original tickets' part of what a level has of each replicate."""
    missing = [one for one in experiment.originals if one not in tensors]
    if missing:
        path = files.run.root / files.name
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return {one: tensors[one] for one in experiment.originals}


def read_start(run: Run, ticket: ReplicateId) -> Tensors:
    """A ticket's tensors at the rewind step."""
    name = run.start(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def read_start_optimizer(run: Run, ticket: ReplicateId) -> Tensors:
    """What a ticket's optimizer remembered at the rewind step."""
    name = run.start_optimizer(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]
