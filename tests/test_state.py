"""Rows of replicates are copied together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from training.state import copy_rows


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors each operation copies."""
    found, copy = list[int](), torch._foreach_copy_

    def spy(to: list[Tensor], source: list[Tensor]) -> Any:
        found.append(len(to))
        return copy(to, source)

    monkeypatch.setattr(torch, "_foreach_copy_", spy)
    return found


def tables() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights, a bias and a count of three replicates, all 0, and others."""
    source = {
        "weight": torch.arange(6.0).view(3, 2).t().contiguous().t(),
        "bias": torch.tensor([7.0, 8.0, 9.0]),
        "count": torch.tensor([4, 5, 6]),
    }
    return {name: torch.zeros_like(tensor) for name, tensor in source.items()}, source


def test_some_rows_are_copied_and_the_others_stay(copies: list[int]) -> None:
    to, source = tables()
    copy_rows(to, source, [0, 2])
    assert to["weight"].tolist() == [[0.0, 1.0], [0.0, 0.0], [4.0, 5.0]]
    assert to["bias"].tolist() == [7.0, 0.0, 9.0]
    assert to["count"].tolist() == [4, 0, 6]
    # One operation for what is fp32, one for the count.
    assert copies == [4, 2]


def test_no_rows_are_no_operation(copies: list[int]) -> None:
    to, source = tables()
    copy_rows(to, source, [])
    assert copies == []
    assert not any(bool(tensor.any()) for tensor in to.values())
