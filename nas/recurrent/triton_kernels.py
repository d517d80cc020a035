"""Triton's kernels for `nas.recurrent.triton_cells`: what a recurrent cell does between its products, each way.

A row is a sequence of a replicate: B rows each. What lies in memory as a time step of a longer tensor, or may be the
same for every replicate, has a stride per replicate and one per row; everything else lies row after row. All of it is
computed in fp32, whatever is loaded and stored, sums and scans in one order at every call.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Numbers of one kernel for all of their values: else each value divisible by 16, and 1, would be compiled for.
GENERAL = ["rows", "added_replicate", "added_row", "outside_replicate", "outside_row"]


@triton.jit
def sigmoid(x):
    """The logistic function."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x):
    """Of small arguments by the polynomial of Cephes (tanhf.c), as the exponential's way cancels there."""
    z = x * x
    p = -5.70498872745e-3 * z + 2.06390887954e-2
    p = (p * z - 5.37397155531e-2) * z + 1.33314422036e-1
    small = (p * z - 3.33332819422e-1) * z * x + x
    e = tl.exp(-2.0 * tl.abs(x))
    large = (1.0 - e) / (1.0 + e)
    return tl.where(tl.abs(x) < 0.625, small, tl.where(x < 0.0, -large, large))


@triton.jit
def load(pointer, at, inside):
    """In fp32, 0 outside."""
    return tl.load(pointer + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def start(row, rows, replicate, each):
    """Where a row begins in a tensor with strides."""
    return row // rows * replicate + row % rows * each


@triton.jit(do_not_specialize=GENERAL)
def lstm_step(
    product,
    added,
    c,
    gates,
    h_after,
    c_after,
    rows,
    added_replicate,
    added_row,
    H: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program takes a block of a row's units."""
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    own, wide = row * H + unit, row * 4 * H + unit
    outside = start(row, rows, added_replicate, added_row) + unit
    i = sigmoid(load(product, wide, inside) + load(added, outside, inside))
    f = sigmoid(load(product, wide + H, inside) + load(added, outside + H, inside))
    o = sigmoid(load(product, wide + 2 * H, inside) + load(added, outside + 2 * H, inside))
    g = tanh(load(product, wide + 3 * H, inside) + load(added, outside + 3 * H, inside))
    after = f * load(c, own, inside) + i * g
    tl.store(gates + wide, i, mask=inside)
    tl.store(gates + wide + H, f, mask=inside)
    tl.store(gates + wide + 2 * H, o, mask=inside)
    tl.store(gates + wide + 3 * H, g, mask=inside)
    tl.store(c_after + own, after, mask=inside)
    tl.store(h_after + own, o * tanh(after), mask=inside)


@triton.jit(do_not_specialize=GENERAL)
def lstm_step_back(
    outside,
    into_h,
    into_c,
    gates,
    c,
    c_after,
    into_product,
    into_before,
    rows,
    outside_replicate,
    outside_row,
    H: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program takes a block of a row's units."""
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    own, wide = row * H + unit, row * 4 * H + unit
    at = start(row, rows, outside_replicate, outside_row) + unit
    i, f = load(gates, wide, inside), load(gates, wide + H, inside)
    o, g = load(gates, wide + 2 * H, inside), load(gates, wide + 3 * H, inside)
    bounded = tanh(load(c_after, own, inside))
    from_h = load(into_h, own, inside) + load(outside, at, inside)
    from_c = load(into_c, own, inside) + from_h * o * (1.0 - bounded * bounded)
    into_i, into_f = from_c * g, from_c * load(c, own, inside)
    tl.store(into_product + wide, into_i * (1.0 - i) * i, mask=inside)
    tl.store(into_product + wide + H, into_f * (1.0 - f) * f, mask=inside)
    tl.store(into_product + wide + 2 * H, from_h * bounded * (1.0 - o) * o, mask=inside)
    tl.store(into_product + wide + 3 * H, from_c * i * (1.0 - g * g), mask=inside)
    tl.store(into_before + own, from_c * f, mask=inside)


@triton.jit
def _softmax(x):
    e = tl.exp(x - tl.max(x, 0))
    return e / tl.sum(e, 0)


@triton.jit(do_not_specialize=GENERAL)
def ordered_step(
    product,
    added,
    c,
    masters,
    shares,
    gates,
    h_after,
    c_after,
    rows,
    added_replicate,
    added_row,
    N: tl.constexpr,
    C: tl.constexpr,
    CHUNKS: tl.constexpr,
    UNITS: tl.constexpr,
):
    """A program takes a row: N chunks of C units, as a tile of CHUNKS x UNITS."""
    row = tl.program_id(0).to(tl.int64)
    chunk = tl.arange(0, CHUNKS)
    present = chunk < N
    own = row * (2 * N + 4 * N * C) + chunk
    outside = start(row, rows, added_replicate, added_row) + chunk
    writes = load(product, own, present) + load(added, outside, present)
    forgets = load(product, own + N, present) + load(added, outside + N, present)
    writes = _softmax(tl.where(present, writes, float("-inf")))
    forgets = _softmax(tl.where(present, forgets, float("-inf")))
    write, forget = 1.0 - tl.cumsum(writes, 0), tl.cumsum(forgets, 0)
    master = row * 2 * N + chunk
    tl.store(shares + master, writes, mask=present)
    tl.store(shares + master + N, forgets, mask=present)
    tl.store(masters + master, write, mask=present)
    tl.store(masters + master + N, forget, mask=present)
    in_chunk = tl.arange(0, UNITS)[None, :]
    inside = present[:, None] & (in_chunk < C)
    unit = chunk[:, None] * C + in_chunk
    wide = row * (2 * N + 4 * N * C) + 2 * N + unit
    outside = start(row, rows, added_replicate, added_row) + 2 * N + unit
    i = sigmoid(load(product, wide, inside) + load(added, outside, inside))
    f = sigmoid(load(product, wide + N * C, inside) + load(added, outside + N * C, inside))
    wide += 2 * N * C
    outside += 2 * N * C
    o = sigmoid(load(product, wide, inside) + load(added, outside, inside))
    g = tanh(load(product, wide + N * C, inside) + load(added, outside + N * C, inside))
    wide = row * 4 * N * C + unit
    tl.store(gates + wide, i, mask=inside)
    tl.store(gates + wide + N * C, f, mask=inside)
    tl.store(gates + wide + 2 * N * C, o, mask=inside)
    tl.store(gates + wide + 3 * N * C, g, mask=inside)
    w, r = write[:, None], forget[:, None]
    keep, take = r - r * (w - w * f), w - w * (r - r * i)
    after = keep * load(c, row * N * C + unit, inside) + take * g
    tl.store(c_after + row * N * C + unit, after, mask=inside)
    tl.store(h_after + row * N * C + unit, o * tanh(after), mask=inside)


@triton.jit
def _masters_back(below, share):
    # A sum over the later chunks, less a constant, which a softmax does not see.
    later = below - tl.cumsum(below, 0)
    return share * (later - tl.sum(later * share, 0))


@triton.jit(do_not_specialize=GENERAL)
def ordered_step_back(
    outside,
    into_h,
    into_c,
    masters,
    shares,
    gates,
    c,
    c_after,
    into_product,
    into_before,
    rows,
    outside_replicate,
    outside_row,
    N: tl.constexpr,
    C: tl.constexpr,
    CHUNKS: tl.constexpr,
    UNITS: tl.constexpr,
):
    """A program takes a row: N chunks of C units, as a tile of CHUNKS x UNITS."""
    row = tl.program_id(0).to(tl.int64)
    chunk = tl.arange(0, CHUNKS)
    present = chunk < N
    in_chunk = tl.arange(0, UNITS)[None, :]
    inside = present[:, None] & (in_chunk < C)
    unit = chunk[:, None] * C + in_chunk
    own, wide = row * N * C + unit, row * 4 * N * C + unit
    i, f = load(gates, wide, inside), load(gates, wide + N * C, inside)
    o, g = load(gates, wide + 2 * N * C, inside), load(gates, wide + 3 * N * C, inside)
    master = row * 2 * N + chunk
    w = load(masters, master, present)[:, None]
    r = load(masters, master + N, present)[:, None]
    bounded = tanh(load(c_after, own, inside))
    at = start(row, rows, outside_replicate, outside_row) + unit
    from_h = load(into_h, own, inside) + load(outside, at, inside)
    from_c = load(into_c, own, inside) + from_h * o * (1.0 - bounded * bounded)
    into_keep, into_take = from_c * load(c, own, inside), from_c * g
    into = row * (2 * N + 4 * N * C) + 2 * N + unit
    tl.store(into_product + into, into_take * (w * r) * (1.0 - i) * i, mask=inside)
    tl.store(into_product + into + N * C, into_keep * (w * r) * (1.0 - f) * f, mask=inside)
    into += 2 * N * C
    tl.store(into_product + into, from_h * bounded * (1.0 - o) * o, mask=inside)
    take = w - w * (r - r * i)
    tl.store(into_product + into + N * C, from_c * take * (1.0 - g * g), mask=inside)
    tl.store(into_before + own, from_c * (r - r * (w - w * f)), mask=inside)
    # Through keep and take both masters see this: W in F (1 - W (1 - f)), F in W (1 - F (1 - i)).
    common = into_keep + into_take - into_keep * f - into_take * i
    writes = _masters_back(tl.sum(r * common - into_take, 1), load(shares, master, present))
    forgets = _masters_back(tl.sum(into_keep - w * common, 1), load(shares, master + N, present))
    into = row * (2 * N + 4 * N * C) + chunk
    tl.store(into_product + into, writes, mask=present)
    tl.store(into_product + into + N, forgets, mask=present)
