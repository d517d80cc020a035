"""Triton's kernels for searched cells of highway nodes; see `nas.recurrent.triton_kernels`.

They take every genotype without being compiled anew. The states of a time step are one tensor, `[states, rows, H]`, in
which those that are made from the same one stand one after the other, from `first` on. `codes` holds their activations,
two bits each: tanh, relu, sigmoid, identity. Of the states' gradients there is one more, the last: of the state before
the time step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nas.recurrent.triton_kernels import GENERAL, load, sigmoid, start, tanh

_GENERAL = ["count", "codes", "first", "source", "chosen", "number"]


@triton.jit(do_not_specialize=[*GENERAL, *_GENERAL, "mask_replicate", "mask_row"])
def highway_step(
    product,
    added,
    before,
    mask,
    states,
    reads,
    values,
    rows,
    added_replicate,
    added_row,
    mask_replicate,
    mask_row,
    codes,
    first,
    H: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program takes a block of a row's units, of one of the states that are made."""
    row, count = tl.program_id(0).to(tl.int64), tl.num_programs(1)
    node = tl.program_id(1)
    unit = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    wide = (row * 2 * count + node) * H + unit
    x, gate = load(product, wide, inside), load(product, wide + count * H, inside)
    if added is not None:
        outside = start(row, rows, added_replicate, added_row) + node * H + unit
        x += load(added, outside, inside)
        gate += load(added, outside + count * H, inside)
    gate = sigmoid(gate)
    code = (codes >> (2 * node)) & 3
    x = tl.where(code == 0, tanh(x), tl.where(code == 1, tl.where(x < 0.0, 0.0, x), x))
    x = tl.where(code == 2, sigmoid(x), x)
    tl.store(values + wide, x, mask=inside)
    tl.store(values + wide + count * H, gate, mask=inside)
    stays = load(before, row * H + unit, inside)
    after = stays + gate * (x - stays)
    own = ((first + node) * tl.num_programs(0) + row) * H + unit
    tl.store(states + own, after, mask=inside)
    if reads is not None:
        if mask is not None:
            after *= load(mask, start(row, rows, mask_replicate, mask_row) + unit, inside)
        tl.store(reads + own, after, mask=inside)


@triton.jit(do_not_specialize=_GENERAL)
def highway_step_back(
    into,
    values,
    before,
    into_product,
    count,
    codes,
    first,
    source,
    H: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program takes a block of a row's units, and adds to the gradient of the state that was read."""
    row, size = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    stays = load(before, row * H + unit, inside)
    straight = load(into, (source * size + row) * H + unit, inside)
    for node in range(count):
        grad = load(into, ((first + node) * size + row) * H + unit, inside)
        wide = (row * 2 * count + node) * H + unit
        x, gate = load(values, wide, inside), load(values, wide + count * H, inside)
        code = (codes >> (2 * node)) & 3
        into_x = grad * gate
        straight += grad - into_x
        through = tl.where(code == 0, 1.0 - x * x, tl.where(code == 2, (1.0 - x) * x, 1.0))
        through = tl.where((code == 1) & (x <= 0.0), 0.0, through)
        tl.store(into_product + wide, into_x * through, mask=inside)
        into_gate = grad * (x - stays) * (1.0 - gate) * gate
        tl.store(into_product + wide + count * H, into_gate, mask=inside)
    tl.store(into + (source * size + row) * H + unit, straight, mask=inside)


@triton.jit(do_not_specialize=_GENERAL)
def highway_output(states, h, count, chosen, number, H: tl.constexpr, BLOCK: tl.constexpr):
    """The mean of the states whose bits are set in `chosen`, which are so many."""
    row, size = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    total = tl.zeros([BLOCK], tl.float32)
    for state in range(count):
        is_chosen = inside & (((chosen >> state) & 1) == 1)
        total += load(states, (state * size + row) * H + unit, is_chosen)
    tl.store(h + row * H + unit, total / number, mask=inside)


@triton.jit(do_not_specialize=[*GENERAL, *_GENERAL])
def highway_output_back(
    outside,
    into_h,
    into,
    rows,
    outside_replicate,
    outside_row,
    count,
    chosen,
    number,
    H: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Every state's gradient from the output's, 0 where it is not chosen."""
    row, size = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    at = start(row, rows, outside_replicate, outside_row) + unit
    grad = (load(into_h, row * H + unit, inside) + load(outside, at, inside)) / number
    for state in range(count):
        own = tl.where(((chosen >> state) & 1) == 1, grad, 0.0)
        tl.store(into + (state * size + row) * H + unit, own, mask=inside)
