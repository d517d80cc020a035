"""How the tensors of replicates lie in memory: together as `[R, ...]`, every row as that of a replicate alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# Bytes, torch's own alignment of new tensors on a CPU. Products sum in an order that depends on where they begin.
ALIGNMENT = 64


def joined(tables: Sequence[Mapping[str, Tensor]], aligned: bool) -> dict[str, Tensor]:
    """The networks' tensors by name as `[R, ...]`."""
    return {name: in_rows([table[name] for table in tables], aligned) for name in tables[0]}


def in_rows(rows: Sequence[Tensor], aligned: bool) -> Tensor:
    """A tensor `[R, ...]` of rows that lie alike for every R; where asked, each begins at an aligned address too.

    A convolution takes its layout from its kernel, and what follows from its input, so that a whole network runs in
    the layout that is fastest on its device and nothing is converted inside a step.
    """
    first = rows[0]
    layout = torch.channels_last if channels_last(first) else torch.contiguous_format
    strides = torch.empty(first.shape, device="meta", memory_format=layout).stride()
    apart = first.numel()
    if aligned:
        line = ALIGNMENT // first.element_size()
        apart = -(-apart // line) * line
    stacked = torch.empty_strided(
        (len(rows), *first.shape), (apart, *strides), dtype=first.dtype, device=first.device
    )
    for to, row in zip(stacked, rows, strict=True):
        to.copy_(row)
    return stacked


def channels_last(tensor: Tensor) -> bool:
    """Whether images `[B, C, H, W]` or kernels are to lie with their channels last: on a CPU, where that is fastest."""
    return tensor.dim() == 4 and tensor.device.type == "cpu"


def row_of(value: Any, r: int) -> Any:
    """One replicate's part of tensors that lead with R, aligned in memory as that of a replicate alone.

    Whether it is copied for that follows from shapes and strides, which a captured step has in common with those that
    are replayed, and neither from addresses nor from which part of a batch this is.
    """
    if isinstance(value, tuple):
        return tuple(row_of(item, r) for item in value)
    row: Tensor = value[r]
    whole = value.untyped_storage().nbytes() == value.nbytes
    apart = value.stride(0) * value.element_size()
    return row if whole and (r == 0 or apart % ALIGNMENT == 0) else row.clone()


def stacked_results(results: Sequence[Any]) -> Any:
    """What a function gave for each replicate, tensors in tuples of any depth, with every tensor leading with R."""
    if isinstance(results[0], tuple):
        return tuple(stacked_results(items) for items in zip(*results, strict=True))
    return torch.stack(list(results))
