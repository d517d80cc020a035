"""What is set so that a device's operations repeat, and that it is set no longer than it takes."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from training.device import backward_precision, matrix_precision
from training.errors import LotteryError
from training.noise import generator
from training.repeatable import WORKSPACE, adaptive_average, check_products_repeat, repeating

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has set none; afterwards as before."""
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)


def settings() -> tuple[int, bool, bool, bool]:
    """How strict torch is, whether new memory is filled, and how cuDNN chooses."""
    convolutions = torch.backends.cudnn
    filled = torch._C._get_deterministic_fill_uninitialized_memory()
    mode = torch.get_deterministic_debug_mode()
    return mode, filled, convolutions.deterministic, convolutions.benchmark


def test_inside_everything_repeats_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    for context in (
        repeating(CUDA),
        matrix_precision("fp32", CUDA),
        backward_precision("bf16", CUDA),
    ):
        with context:
            assert settings() == (2, False, True, False)
        assert settings() == before
    with pytest.raises(ZeroDivisionError), repeating(CUDA):
        raise ZeroDivisionError
    assert settings() == before


def test_what_a_user_has_set_comes_back() -> None:
    torch.set_deterministic_debug_mode("warn")
    try:
        with repeating(CUDA):
            assert settings()[0] == 2
        assert settings()[0] == 1
    finally:
        torch.set_deterministic_debug_mode("default")


def test_on_a_cpu_nothing_is_set() -> None:
    before = settings()
    with repeating(CPU), matrix_precision("fp32", CPU), backward_precision("fp32", CPU):
        assert settings() == before
    assert WORKSPACE not in os.environ


def test_products_have_memory_of_a_size_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with repeating(CUDA):
        pass
    assert os.environ[WORKSPACE] == ":4096:8"
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with repeating(CUDA):
        assert os.environ[WORKSPACE] == ":16:8"


class Product:
    """Stands for a matrix on a device."""

    def __init__(self, said: str) -> None:
        self.said = said

    def __matmul__(self, other: object) -> object:
        raise RuntimeError(self.said)


def test_a_process_that_has_multiplied_before_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_products_repeat(CPU)
    late = Product(f"uses CuBLAS; you must set {WORKSPACE}")
    monkeypatch.setattr(torch, "ones", lambda *_, **__: late)
    with pytest.raises(LotteryError, match=f"set {WORKSPACE}=:4096:8 in the environment"):
        check_products_repeat(CUDA)
    monkeypatch.setattr(torch, "ones", lambda *_, **__: Product("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        check_products_repeat(CUDA)


@pytest.mark.parametrize("size", [1, 3, 7, (2, 5), (None, 2)])
def test_an_adaptive_pool_in_another_way_is_that_of_torch(size: Any) -> None:
    images = torch.randn(2, 3, 6, 5, generator=generator(0, "images"), requires_grad=True)
    ours, theirs = adaptive_average(images, size), F.adaptive_avg_pool2d(images, size)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(ours.shape, generator=generator(0, "weights"))
    pair = (torch.autograd.grad((pooled * weights).sum(), images) for pooled in (ours, theirs))
    torch.testing.assert_close(*pair)


@pytest.mark.cuda
def test_the_gradients_of_an_embedding_and_a_cumulative_sum_repeat_on_cuda() -> None:
    check_products_repeat(CUDA)
    weight = torch.randn(50, 256, device=CUDA, requires_grad=True)
    words = torch.randint(50, (20_000,), device=CUDA)
    found = []
    with repeating(CUDA):
        for _ in range(5):
            embedded = F.embedding(words, weight)
            (gradient,) = torch.autograd.grad(embedded.square().sum(), weight)
            found.append((gradient, weight.detach().flatten().cumsum(0)))
    for gradient, sums in found[1:]:
        assert torch.equal(gradient, found[0][0])
        assert torch.equal(sums, found[0][1])
