"""Products with packed matrices, alone and in the loop of recurrent cores."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from nas.recurrent import cells as recurrent_cells
from nas.recurrent import packed_products
from nas.recurrent.packed_products import SMALLEST, can_be_packed, packed, packed_product
from tests.tiny_tasks import config, half_masks, stack, task_for, trained


def test_products_by_hand() -> None:
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    x = torch.tensor([[1.0, 10.0], [0.0, 1.0]])
    added = torch.tensor([[100.0, 0.0, 0.0], [0.0, 0.0, 200.0]])
    expected = [[21.0, 43.0, 65.0], [2.0, 4.0, 6.0]]
    assert packed_product(x, packed(matrix, 2)).tolist() == expected
    assert packed_product(x, packed(matrix.mT.contiguous().mT, 2)).tolist() == expected
    found = packed_product(x, packed(matrix, 2), added)
    assert found.tolist() == [[121.0, 43.0, 65.0], [2.0, 4.0, 206.0]]


def test_only_large_matrices_in_fp32_are_packed() -> None:
    large = torch.empty(SMALLEST // 1000, 1000)
    assert can_be_packed(large)
    assert not can_be_packed(large[1:])
    assert not can_be_packed(large.bfloat16())
    assert not can_be_packed(large[None])
    assert not can_be_packed(large.to("meta"))


@pytest.mark.parametrize("name", ["enas-lm", "awd-lstm"])
def test_a_loop_with_packed_matrices_trains_as_one_without(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clipping, masks, dropout, replayed steps and two replicates at once."""
    monkeypatch.setattr(recurrent_cells, "is_fused", lambda x: False)

    def ends() -> dict[str, Tensor]:
        replicates = stack(name, (0, 1), "looped")
        how = config(14, 14)
        how = dataclasses.replace(
            how, optimizer=dataclasses.replace(how.optimizer, name="sgd", clip_norm=0.5)
        )
        trained(replicates, task_for(name), how, half_masks(replicates))
        return {key: tensor.clone() for key, tensor in replicates.tensors().items()}

    products = []

    def noted(x: Tensor, matrix: Tensor, added: Tensor | None = None) -> Tensor:
        products.append(len(x))
        return packed_product(x, matrix, added)

    plain = ends()
    monkeypatch.setattr(packed_products, "SMALLEST", 1)
    monkeypatch.setattr("nas.recurrent.recurrent_products.packed_product", noted)
    for key, tensor in ends().items():
        torch.testing.assert_close(tensor, plain[key], rtol=1e-4, atol=1e-5)
    assert products
