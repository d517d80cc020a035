"""What multiplies matrices of fp32: the faster library, and never one that computes in less than fp32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from training import matrix_libraries
from training.errors import LotteryError
from training.matrix_libraries import (
    LIBRARIES,
    Measured,
    choose_library,
    library_in_use,
    measure,
    multiplying,
    slow_bf16,
)

CPU = torch.device("cpu")
# fp32 on sums of 784 terms errs by 5e-5, bf16 by 1e-1.
MKL = Measured(rate=200e9, error=4.8e-5)


def machine(rate: float, error: float) -> Callable[[str], Measured]:
    """A machine on which oneDNN does so."""
    return lambda library: MKL if library == "mkl" else Measured(rate=rate, error=error)


@pytest.mark.parametrize(
    ("rate", "error", "chosen"),
    [
        # An AMD processor with AVX-512; an Intel one with AMX; one without either; a small gain, that noise may give.
        (437e9, 1.1e-4, "onednn"),
        (1500e9, 1.1e-1, "mkl"),
        (199e9, 4.8e-5, "mkl"),
        (240e9, 4.8e-5, "mkl"),
    ],
)
def test_the_faster_one_is_taken_where_it_is_as_exact(
    rate: float, error: float, chosen: str
) -> None:
    assert choose_library("auto", CPU, machine(rate, error)) == chosen
    assert choose_library("mkl", CPU, machine(rate, error)) == "mkl"


def test_auto_goes_on_with_what_multiplied_before_where_that_is_exact() -> None:
    slower, inexact = machine(50e9, 1.1e-4), machine(1500e9, 1.1e-1)
    assert choose_library("auto", CPU, slower, before="onednn") == "onednn"
    assert choose_library("auto", CPU, inexact, before="onednn") == "mkl"
    assert choose_library("auto", CPU, machine(1500e9, 1.1e-4), before="mkl") == "mkl"
    assert choose_library("auto", CPU, slower, before="") == "mkl"
    assert choose_library("mkl", CPU, slower, before="onednn") == "mkl"


def test_what_is_asked_for_is_taken_unless_it_is_no_fp32() -> None:
    assert choose_library("onednn", CPU, machine(100e9, 1.1e-4)) == "onednn"
    with pytest.raises(LotteryError, match=r"computes fp32 products in bf16 \(error 0\.11, .*mkl"):
        choose_library("onednn", CPU, machine(1500e9, 1.1e-1))
    with pytest.raises(LotteryError, match=r"'mlk'; did you mean mkl\? Known: auto, mkl, onednn\."):
        choose_library("mlk", CPU)


def test_a_card_is_not_measured_for() -> None:
    def never(library: str) -> Measured:
        raise AssertionError(library)

    assert choose_library("auto", torch.device("cuda"), never) == "mkl"


def test_what_is_chosen_here_has_the_error_of_fp32() -> None:
    """Sums of 784 products of numbers around 1, each rounded to 24 bits: far below the 1e-2 of bf16."""
    chosen = choose_library("auto", CPU)
    assert measure(chosen).error < 1e-3
    assert measure("mkl").rate > 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_is_in_use_inside_alone(library: str) -> None:
    switch: Any = torch.backends.mkldnn
    before = switch.matmul.fp32_precision
    with multiplying(library):
        assert library_in_use() == library
        assert switch.matmul.fp32_precision == LIBRARIES[library]
    assert switch.matmul.fp32_precision == before


def test_slow_bf16_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(a: torch.Tensor, b: torch.Tensor, times: int) -> float:
        return 3.0 if a.dtype == torch.bfloat16 else 0.25

    monkeypatch.setattr(matrix_libraries, "_seconds", seconds)
    assert slow_bf16("bf16", CPU) == (
        "On this processor products in bf16 take 12 times as long as in fp32; training.precision=fp32 is faster here."
    )
    assert slow_bf16("fp32", CPU) == slow_bf16("bf16", torch.device("cuda")) == ""
    monkeypatch.setattr(matrix_libraries, "_seconds", lambda a, b, times: 1.0)
    assert slow_bf16("bf16", CPU) == ""
