"""What recurrent cells do between their products, each way, as operations of torch that launch one kernel each.

Everything is in fp32 but products, which may be in bf16, and their gradients, which are in a `precision` that is asked
for. Tensors are `[..., B, width]`. `outside` is the gradient of a time step's output by what reads it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from nas.recurrent import triton_highways, triton_kernels

# The units that a program takes, where each is computed by itself.
_MOST_UNITS = 256
# The elements of a tile that a warp of 32 threads takes, and the most warps of a program.
_WARP_ELEMENTS, _MOST_WARPS = 256, 16
_library = torch.library.Library("nas", "DEF")


def _operator(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a function an operation of torch, for tensors wherever Triton's kernels run."""

    def register(function: Callable[..., Any]) -> Any:
        name = function.__name__
        _library.define(name + signature)
        _library.impl(name, function, "CompositeExplicitAutograd")
        return getattr(torch.ops.nas, name).default

    return register


@_operator("(Tensor product, Tensor added, Tensor c) -> (Tensor, Tensor, Tensor)")
def lstm_step(product: Tensor, added: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gates `[..., B, 4H]`, and h and c after a time step."""
    added, c = _rows(added), c.contiguous()
    gates = torch.empty(product.shape, dtype=c.dtype, device=c.device)
    h_after, c_after = torch.empty_like(c), torch.empty_like(c)
    with _device_of(c):
        triton_kernels.lstm_step[_grid(c)](
            *(product.contiguous(), added, c, gates, h_after, c_after),
            *(_count(added), *_strides(added)),
            **_blocks(c),
        )
    return gates, h_after, c_after


@_operator(
    "(Tensor outside, Tensor into_h, Tensor into_c, Tensor gates, Tensor c, Tensor c_after,"
    " ScalarType precision) -> (Tensor, Tensor)"
)
def lstm_step_back(
    outside: Tensor,
    into_h: Tensor,
    into_c: Tensor,
    gates: Tensor,
    c: Tensor,
    c_after: Tensor,
    precision: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The gradients of the product, and of c before the time step."""
    outside, c = _rows(outside), c.contiguous()
    into_product, into_before = torch.empty_like(gates, dtype=precision), torch.empty_like(c)
    with _device_of(c):
        triton_kernels.lstm_step_back[_grid(c)](
            *(outside, into_h.contiguous(), into_c.contiguous()),
            *(gates, c, c_after, into_product, into_before),
            *(_count(outside), *_strides(outside)),
            **_blocks(c),
        )
    return into_product, into_before


@_operator(
    "(Tensor product, Tensor added, Tensor c, int chunks)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
def ordered_step(product: Tensor, added: Tensor, c: Tensor, chunks: int) -> tuple[Tensor, ...]:
    """Master gates and their softmax `[..., B, 2, n]`, gates `[..., B, 4H]`, and h and c after a time step."""
    added, c = _rows(added), c.contiguous()
    *leading, hidden = c.shape
    masters, shares = c.new_empty((*leading, 2, chunks)), c.new_empty((*leading, 2, chunks))
    gates = c.new_empty((*leading, 4 * hidden))
    h_after, c_after = torch.empty_like(c), torch.empty_like(c)
    with _device_of(c):
        triton_kernels.ordered_step[(c.numel() // hidden,)](
            *(product.contiguous(), added, c, masters, shares, gates, h_after, c_after),
            *(_count(added), *_strides(added)),
            **_tile(chunks, hidden // chunks),
        )
    return masters, shares, gates, h_after, c_after


@_operator(
    "(Tensor outside, Tensor into_h, Tensor into_c, Tensor masters, Tensor shares, Tensor gates,"
    " Tensor c, Tensor c_after, ScalarType precision) -> (Tensor, Tensor)"
)
def ordered_step_back(
    outside: Tensor,
    into_h: Tensor,
    into_c: Tensor,
    masters: Tensor,
    shares: Tensor,
    gates: Tensor,
    c: Tensor,
    c_after: Tensor,
    precision: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The gradients of the product, and of c before the time step."""
    outside, c = _rows(outside), c.contiguous()
    hidden, chunks = c.shape[-1], masters.shape[-1]
    wide = (*c.shape[:-1], 4 * hidden + 2 * chunks)
    into_product, into_before = c.new_empty(wide, dtype=precision), torch.empty_like(c)
    with _device_of(c):
        triton_kernels.ordered_step_back[(c.numel() // hidden,)](
            *(outside, into_h.contiguous(), into_c.contiguous()),
            *(masters, shares, gates, c, c_after, into_product, into_before),
            *(_count(outside), *_strides(outside)),
            **_tile(chunks, hidden // chunks),
        )
    return into_product, into_before


@_operator(
    "(Tensor(a!) states, Tensor(b!)? reads, Tensor product, Tensor? added, Tensor before,"
    " Tensor? mask, int first, int codes) -> Tensor"
)
def highway_step(
    states: Tensor,
    reads: Tensor | None,
    product: Tensor,
    added: Tensor | None,
    before: Tensor,
    mask: Tensor | None,
    first: int,
    codes: int,
) -> Tensor:
    """Make states `[states, ..., B, H]` from the one before, and what matrices read of them.

    Returns:
        The candidates and the gates, `[..., B, 2kH]`.
    """
    before = before.contiguous()
    added = None if added is None else _rows(added)
    mask = None if mask is None else _rows(mask)
    values = torch.empty(product.shape, dtype=before.dtype, device=before.device)
    rows, units = _grid(before)
    made = product.shape[-1] // before.shape[-1] // 2
    with _device_of(before):
        triton_highways.highway_step[rows, made, units](
            *(product.contiguous(), added, before, mask, states, reads, values),
            *(before.shape[-2], *_strides(added), *_strides(mask)),
            *(codes, first),
            **_blocks(before),
        )
    return values


@_operator(
    "(Tensor(a!) into, Tensor values, Tensor before, int first, int source, int codes,"
    " ScalarType precision) -> Tensor"
)
def highway_step_back(
    into: Tensor,
    values: Tensor,
    before: Tensor,
    first: int,
    source: int,
    codes: int,
    precision: torch.dtype,
) -> Tensor:
    """The gradient of the product; past it, that of the state before is added to, in `into`."""
    before = before.contiguous()
    into_product = torch.empty_like(values, dtype=precision)
    made = values.shape[-1] // before.shape[-1] // 2
    with _device_of(before):
        triton_highways.highway_step_back[_grid(before)](
            *(into, values, before, into_product, made, codes, first, source),
            **_blocks(before),
        )
    return into_product


@_operator("(Tensor states, int chosen) -> Tensor")
def highway_output(states: Tensor, chosen: int) -> Tensor:
    """The mean of the states whose bits are set, `[..., B, H]` of `[states, ..., B, H]`."""
    h = torch.empty_like(states[0])
    with _device_of(h):
        triton_highways.highway_output[_grid(h)](
            *(states, h, len(states), chosen, chosen.bit_count()), **_blocks(h)
        )
    return h


@_operator("(Tensor outside, Tensor into_h, int count, int chosen) -> Tensor")
def highway_output_back(outside: Tensor, into_h: Tensor, count: int, chosen: int) -> Tensor:
    """The states' gradients `[count, ..., B, H]` from that of their mean."""
    outside, into_h = _rows(outside), into_h.contiguous()
    into = outside.new_empty((count, *into_h.shape))
    with _device_of(into):
        triton_highways.highway_output_back[_grid(into_h)](
            *(outside, into_h, into, _count(outside), *_strides(outside)),
            *(count, chosen, chosen.bit_count()),
            **_blocks(into_h),
        )
    return into


def _rows(tensor: Tensor) -> Tensor:
    """As `[R, B, width]`, every row without gaps: a time step of a longer tensor as it lies there."""
    three = tensor.reshape(-1, *tensor.shape[-2:])
    return three if three.stride(-1) == 1 else three.contiguous()


def _count(rows: Tensor) -> int:
    return rows.shape[-2]


def _strides(rows: Tensor | None) -> tuple[int, int]:
    """From a replicate to the next, and from a row to the next."""
    return (0, 0) if rows is None else (rows.stride(0), rows.stride(1))


def _grid(tensor: Tensor) -> tuple[int, int]:
    """A program for each row and block of its units."""
    hidden = tensor.shape[-1]
    return tensor.numel() // hidden, triton.cdiv(hidden, _blocks(tensor)["BLOCK"])


def _blocks(tensor: Tensor) -> dict[str, int]:
    hidden = tensor.shape[-1]
    return {"H": hidden, "BLOCK": min(triton.next_power_of_2(hidden), _MOST_UNITS)}


def _tile(chunks: int, units: int) -> dict[str, int]:
    """A whole row in one program, as its chunks are summed over."""
    high, wide = triton.next_power_of_2(chunks), triton.next_power_of_2(units)
    warps = min(max(high * wide // _WARP_ELEMENTS, 1), _MOST_WARPS)
    return {"N": chunks, "C": units, "CHUNKS": high, "UNITS": wide, "num_warps": warps}


def _device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the device that is current."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
