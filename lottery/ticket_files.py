"""The files of tickets: masks and what they start from, as tensors; and what a run has of the rewind step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.mask_files import pack_masks, unpack_masks
from lottery.pruning.masks import Mask, Tensors
from lottery.rewinding import rewind
from lottery.runs import Run
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.storage import damaged

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


def read_tickets(experiment: Experiment, run: Run, level: int) -> list[Ticket]:
    """The tickets of a level above 0 that has begun.

    Raises:
        LotteryError: a file of the run is damaged.
    """
    name = run.level(level).tickets
    path = run.root / name
    masks, stored = _tickets_from_bytes(run.folder.read(name), path)
    missing = [one for one in experiment.originals if one not in masks]
    if missing:
        raise damaged(path, f"it has no ticket of seed {missing[0].seed}")
    return [
        Ticket(
            id=one,
            mask=masks[one.original],
            whole=_whole(read_start(run, one), stored.get(one.original, {}), experiment),
        )
        for one in experiment.tickets
    ]


def _whole(start: Tensors, stored: Tensors, experiment: Experiment) -> Tensors:
    """The whole network that a ticket is taken from; what was taken from another run counts over the run's own."""
    return rewind({**start, **stored}, stored, experiment.rewinding)


def read_ticket_masks(run: Run, level: int) -> dict[ReplicateId, Mask]:
    """The masks of a level's tickets, whichever seeds they have.

    Raises:
        LotteryError: the file is missing or damaged.
    """
    name = run.level(level).tickets
    return _tickets_from_bytes(run.folder.read(name), run.root / name)[0]


def tickets_to_bytes(
    masks: Mapping[ReplicateId, Mask], stored: Mapping[ReplicateId, Tensors]
) -> bytes:
    """Masks, one bit a weight, and of the tensors that tickets start from what is not of the run's rewind step."""
    bits = {f"{one.seed}/{n}": m for one in masks for n, m in masks[one].items()}
    tensors = {f"{one.seed}/{n}": t for one in stored for n, t in stored[one].items()}
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


def read_start(run: Run, ticket: ReplicateId) -> Tensors:
    """A ticket's tensors at the rewind step."""
    name = run.start(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def read_start_optimizer(run: Run, ticket: ReplicateId) -> Tensors:
    """What a ticket's optimizer remembered at the rewind step."""
    name = run.start_optimizer(ticket)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]
