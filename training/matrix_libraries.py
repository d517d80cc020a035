"""Which library multiplies matrices of fp32 on a CPU: chosen for this machine by speed, and never at the cost of error.

torch multiplies by MKL, which reaches less than half of an AMD processor with AVX-512. oneDNN multiplies where torch is
allowed to compute fp32 products in bf16: it does so only on a processor with matrix units for bf16 (AMX) and computes
in fp32 elsewhere. The name of that permission says nothing, so the error decides.

What was measured, in GFLOP/s of two threads, best of 30, torch 2.14.1; the error is the largest against float64 of sums
of 784 terms:

| processor | library | 1536 x 1536 x 1536 | 480 x 784 x 300 | 20 x 1150 x 4600 | error |
|---|---|---|---|---|---|
| AMD EPYC, AVX-512 with bf16, no AMX | mkl | 217 | 199 | 96 | 4.8e-5 |
| the same | onednn | 459 | 437 | 259 | 1.1e-4 |
| AMD EPYC, AVX2 | mkl | 132 | 129 | 33 | 4.6e-5 |
| the same (oneDNN is not taken there) | onednn | 122 | 134 | 30 | 4.6e-5 |
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from training.choices import PRODUCTS
from training.errors import LotteryError, chosen
from training.noise import generator

# What torch's switch is called for each, `torch.backends.mkldnn.matmul.fp32_precision`.
LIBRARIES: Mapping[str, str] = MappingProxyType({"mkl": "none", "onednn": "bf16"})
AUTO = "auto"
# Rows, terms of a sum, columns: a layer of LeNet-300-100 for eight replicates.
_SHAPE = (480, 784, 300)
# The same for one replicate, as bf16 may be a hundred times slower than fp32.
_SMALL_SHAPE = (60, 784, 300)
_TIMES = 5
_FEW_TIMES = 3
# How much faster than torch's own the other one has to be, so that noise never decides.
_FASTER = 1.3
# Orders of sums differ by a factor of 2 or 3; bf16, of 8 bits in place of 24, by thousands.
_MORE_ERROR = 16.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How a library multiplies here.

    Attributes:
        rate: floating-point operations per second.
        error: the largest, against float64.
    """

    rate: float
    error: float


def measure(library: str) -> Measured:
    """Multiply, on this machine."""
    a, b = _factors(*_SHAPE)
    with multiplying(library):
        seconds = _seconds(a, b, _TIMES)
        error = float((a @ b - a.double() @ b.double()).abs().max())
    return Measured(rate=2 * math.prod(_SHAPE) / seconds, error=error)


def slow_bf16(precision: str, device: torch.device) -> str:
    """A sentence where products in bf16, which were asked for, are slower than in fp32; else ""."""
    if precision != "bf16" or device.type != "cpu":
        return ""
    a, b = _factors(*_SMALL_SHAPE)
    ratio = _seconds(a.bfloat16(), b.bfloat16(), _FEW_TIMES) / _seconds(a, b, _FEW_TIMES)
    if ratio <= 1:
        return ""
    return (
        f"On this processor products in bf16 take {ratio:.2g} times as long as in fp32; "
        "training.precision=fp32 is faster here."
    )


def _factors(rows: int, terms: int, columns: int) -> tuple[Tensor, Tensor]:
    draw = generator(0, "matrix libraries")
    return torch.randn(rows, terms, generator=draw), torch.randn(terms, columns, generator=draw)


def _seconds(a: Tensor, b: Tensor, times: int) -> float:
    """The least of a product."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        torch.mm(a, b)
        found.append(time.perf_counter() - began)
    return min(found)


def choose_library(
    asked: str,
    device: torch.device,
    measured: Callable[[str], Measured] = measure,
    before: str = "",
) -> str:
    """The library that fp32 products on a CPU are computed by.

    Args:
        asked: a name in `training.choices.PRODUCTS`; `auto` is MKL unless oneDNN is faster and as exact.
        device: that trains; on another than a CPU nothing is measured.
        measured: gives what a library does here.
        before: what multiplied when the work was begun; `auto` goes on with it, where it computes in fp32 here.

    Raises:
        LotteryError: there is no such library, or it would not compute in fp32 here.
    """
    chosen("library of products", asked, PRODUCTS)
    if asked == "mkl" or (asked == AUTO and (before == "mkl" or device.type != "cpu")):
        return "mkl"
    mkl, onednn = measured("mkl"), measured("onednn")
    exact = onednn.error <= _MORE_ERROR * mkl.error
    if asked == "onednn" and not exact:
        raise LotteryError(
            f"On this processor oneDNN computes fp32 products in bf16 (error {onednn.error:.2g}, with MKL "
            f"{mkl.error:.2g}); choose --products mkl, or say so with training.precision=bf16."
        )
    faster = before == "onednn" or onednn.rate >= _FASTER * mkl.rate
    return "onednn" if asked == "onednn" or (exact and faster) else "mkl"


@contextmanager
def multiplying(library: str) -> Iterator[None]:
    """While inside, this process multiplies matrices of fp32 on the CPU by a library of `LIBRARIES`.

    It sets a property of the process, which backward passes in other threads follow too.
    """
    products = _switch()
    before = products.fp32_precision
    products.fp32_precision = LIBRARIES[library]
    try:
        yield
    finally:
        products.fp32_precision = before


def library_in_use() -> str:
    """The library that multiplies now."""
    return "onednn" if _switch().fp32_precision == LIBRARIES["onednn"] else "mkl"


def _switch() -> Any:
    """The switch of torch, which its types don't name."""
    library: Any = torch.backends.mkldnn
    return library.matmul
