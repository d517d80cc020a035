"""Masks: which weights are kept, as bool tensors by parameter name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

Mask = dict[str, Tensor]
Tensors = dict[str, Tensor]


def dense_mask(weights: Mapping[str, Tensor]) -> Mask:
    """The mask that keeps everything."""
    return {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}


def apply_mask(mask: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors with their pruned weights exactly 0; those without a mask as they are."""
    return {
        name: torch.where(mask[name], tensor, torch.zeros_like(tensor)) if name in mask else tensor
        for name, tensor in tensors.items()
    }


def count(mask: Mapping[str, Tensor]) -> int:
    """How many weights a mask covers."""
    return sum(m.numel() for m in mask.values())


def kept(mask: Mapping[str, Tensor]) -> int:
    """How many weights a mask keeps."""
    return sum(int(m.sum()) for m in mask.values())


def stack_tensors(tensors: Iterable[Mapping[str, Tensor]]) -> Tensors:
    """One dict per replicate to one dict of `[R, ...]`."""
    tables = list(tensors)
    return {name: torch.stack([table[name] for table in tables]) for name in tables[0]}


def row(tensors: Mapping[str, Tensor], r: int) -> Tensors:
    """Replicate r's part of a dict of `[R, ...]`."""
    return {name: tensor[r] for name, tensor in tensors.items()}


def on_cpu(tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors where files are written from; as they are, if they are there."""
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def tensors_of(network: nn.Module) -> Tensors:
    """Parameters and persistent buffers by name, as `Replicates.tensors` names them."""
    parameters = dict(network.named_parameters())
    persistent = network.state_dict().keys()
    buffers = {name: b for name, b in network.named_buffers() if name in persistent}
    return {name: tensor.detach().clone() for name, tensor in (parameters | buffers).items()}
