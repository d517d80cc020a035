"""The tensors of a network: which it has, where they stand in its modules, and copies of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


def own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, detached; tied ones stand once."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return {name: tensor.detach() for name, tensor in named}


@torch.no_grad()
def copy_tensors(to: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    """Copy tensors by name, in place.

    Raises:
        ValueError: a name or a shape differs.
    """
    if to.keys() != source.keys():
        raise ValueError(f"names differ: {sorted(to.keys() ^ source.keys())}")
    for name, tensor in to.items():
        if tensor.shape != source[name].shape:
            raise ValueError(f"{name} is {list(source[name].shape)}, not {list(tensor.shape)}")
        tensor.copy_(source[name])


@torch.no_grad()
def copied(network: nn.Module) -> nn.Module:
    """A copy of a network, also where a recurrent layer of torch remembers weights that were computed from others."""
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            # Without a gradient now, as nothing that has one can be copied.
            module._update_flat_weights()
    return copy.deepcopy(network)


def owners(network: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Where each parameter and buffer stands, tied ones everywhere: name, module, name in the module.

    Found once: walking a network at every step takes a small one's time.
    """
    named = [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]
    split = [(name, *name.rpartition(".")) for name, _ in named]
    return [(name, network.get_submodule(path), own) for name, path, _, own in split]


class BufferSlot(NamedTuple):
    """A buffer as a module has it: the module, the name there, and what was put there last."""

    module: nn.Module
    name: str
    buffer: Tensor


def buffer_slots(networks: Iterable[nn.Module]) -> dict[str, list[BufferSlot]]:
    """By the name of a buffer in a network, tied ones under each of theirs: its slot in every network."""
    slots: dict[str, list[BufferSlot]] = {}
    for network in networks:
        for name, buffer in network.named_buffers(remove_duplicate=False):
            path, _, own = name.rpartition(".")
            slots.setdefault(name, []).append(BufferSlot(network.get_submodule(path), own, buffer))
    return slots
