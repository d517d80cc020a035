"""The portable ticket: one file with a mask, the weights that it starts from, and the network that they are for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lottery.experiments import RUN_FOLDER, NetworkConfig
from lottery.identity import TICKET, ReplicateId
from lottery.pruning.masks import Mask, Tensors, apply_mask
from lottery.runs import Run
from lottery.ticket_files import MASKS, masks_from_tensor, masks_to_tensor, read_tickets
from nas.catalog.building import build
from nas.catalog.outside_networks import Factory
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.errors import LotteryError
from training.plain import from_plain, to_plain
from training.specs import Spec
from training.storage import damaged, read_file, write_file
from training.work_folders import stored_config


@dataclass(frozen=True, kw_only=True)
class PortableTicket:
    """A sparse network before its training.

    Attributes:
        network: name and sizes.
        mask: which weights are kept.
        start: parameters and buffers that it starts from; pruned weights are 0.
        origin: where it comes from, in words.
    """

    network: NetworkConfig
    mask: Mask
    start: Tensors
    origin: str


def ticket_of(run: Run, level: int, seed: int, copy: int = 0) -> PortableTicket:
    """A ticket that a run found.

    Raises:
        LotteryError: the run has no such finished level or no such seed, or a file of it is damaged.
    """
    experiment = stored_config(run.root, RUN_FOLDER)
    if not 1 <= level <= experiment.levels or not run.level(level).is_done():
        raise LotteryError(
            f"{run.root} has no finished level {level} with a ticket; levels count from 1."
        )
    if seed not in experiment.seeds:
        raise LotteryError(f"{run.root} has no seed {seed}; it has {list(experiment.seeds)}.")
    wanted, ids = ReplicateId(TICKET, seed, copy), experiment.tickets
    if wanted not in ids:
        raise LotteryError(
            f"{run.root} has no copy {copy} of its seeds; it has {experiment.copies}."
        )
    ticket = read_tickets(experiment, run, level)[ids.index(wanted)]
    return PortableTicket(
        network=experiment.network,
        mask=ticket.mask,
        start=apply_mask(ticket.mask, ticket.whole),
        origin=f"{experiment.name}, level {level}, seed {seed}"
        + (f", copy {copy}" if copy else ""),
    )


def save_ticket(ticket: PortableTicket, path: Path) -> None:
    """Write a ticket to a file, whole or not at all.

    Raises:
        LotteryError: the disk is full, or the folder may not be written to.
    """
    tensors = {**ticket.start, MASKS: masks_to_tensor(ticket.mask)}
    description = {"network": to_plain(ticket.network), "origin": ticket.origin}
    metadata = {"ticket": description, "sha256": _digest(tensors, description)}
    write_file(path, tensors_to_bytes(tensors, metadata))


def load_ticket(path: Path) -> PortableTicket:
    """Read a ticket back.

    Raises:
        LotteryError: the file is missing, damaged, or not a ticket.
    """
    tensors, metadata = tensors_from_bytes(read_file(path), path)
    description = metadata.get("ticket")
    if not isinstance(description, dict) or not isinstance(description.get("origin"), str):
        raise damaged(path, "it is not a ticket")
    if MASKS not in tensors or metadata.get("sha256") != _digest(tensors, description):
        raise damaged(path, "it is not a ticket, or its SHA-256 differs from the one inside")
    masks = masks_from_tensor(tensors.pop(MASKS), path)
    for name, mask in masks.items():
        if name not in tensors or tensors[name].shape != mask.shape:
            raise damaged(path, f"its mask of {name} is of no weights")
    return PortableTicket(
        network=from_plain(NetworkConfig, description.get("network"), "network"),
        mask=masks,
        start=tensors,
        origin=description["origin"],
    )


def build_ticket(ticket: PortableTicket, spec: Spec, factory: Factory | None = None) -> nn.Module:
    """The ticket's network with its starting weights, for a task of the given shape.

    Args:
        ticket: of any network.
        spec: of the task.
        factory: makes the network, where that is the user's own, as `nas.catalog.building.build` takes it.

    Raises:
        LotteryError: the network of that task has other parameters.
    """
    config = ticket.network
    network = build(config.name, config.size, spec, torch.Generator(), factory, config.genotype)
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    for name, tensor in ticket.start.items():
        if name not in own or own[name].shape != tensor.shape:
            shape = tuple(own[name].shape) if name in own else "missing"
            raise LotteryError(
                f"The ticket does not fit: its {name} is {tuple(tensor.shape)} and the network's "
                f"is {shape}; build it for data of the shape that it was found on."
            )
        own[name].data.copy_(tensor)
    return network


def _digest(tensors: Mapping[str, torch.Tensor], description: object) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
