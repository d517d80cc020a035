"""Masks as values."""

from __future__ import annotations

import torch

from lottery.pruning.masks import apply_mask, count, dense_mask, kept, row, stack_tensors

MASK = {"a": torch.tensor([[True, False], [False, True]]), "b": torch.tensor([True, True, False])}


def test_the_dense_mask_keeps_everything() -> None:
    mask = dense_mask({"w": torch.zeros(2, 3)})
    assert mask["w"].dtype == torch.bool
    assert mask["w"].tolist() == [[True] * 3] * 2


def test_what_is_pruned_becomes_zero_whatever_it_was() -> None:
    tensors = {
        "a": torch.tensor([[1.5, float("nan")], [float("inf"), -2.0]]),
        "free": torch.tensor([7.0]),
    }
    applied = apply_mask({"a": MASK["a"]}, tensors)
    assert applied["a"].tolist() == [[1.5, 0.0], [0.0, -2.0]]
    assert applied["free"] is tensors["free"]
    assert tensors["a"][1, 0] == float("inf")


def test_counts() -> None:
    assert (count(MASK), kept(MASK)) == (7, 4)


def test_rows_of_a_stack() -> None:
    tables = [{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 4.0])}]
    stacked = stack_tensors(tables)
    assert stacked["w"].shape == (2, 2)
    assert row(stacked, 1)["w"].tolist() == [3.0, 4.0]
