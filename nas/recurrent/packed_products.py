"""Products of few rows with one large matrix, over and over: oneDNN orders the matrix in memory once.

Measured on two cores of an AMD EPYC with AVX2, best of 12, GFLOP/s by MKL and packed, of rows x H x G:

| 20 x 1150 x 4600 | its way back | 64 x 850 x 1700 | 20 x 400 x 1600 | 64 x 300 x 600 | 20 x 200 x 400 |
|---|---|---|---|---|---|
| 43, 69 | 50, 71 | 110, 134 | 51, 69 | 66, 71 | 68, 53 |

Packing takes 5 ms for the first, and 35 ms for its transpose.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_onednn = torch.ops.mkldnn
# With matrices of 400 x 1680, whose products gain too, steps of ON-LSTM took as long: 516 to 552 ms packed, 499 to 534
# not, least of 5 in three rounds.
SMALLEST = 1_000_000


def can_be_packed(matrix: Tensor) -> bool:
    """Whether products with a matrix `[G, H]` gain by its packing: a large one in fp32, on a CPU."""
    return (
        matrix.dim() == 2
        and matrix.numel() >= SMALLEST
        and matrix.device.type == "cpu"
        and matrix.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
    )


def packed(matrix: Tensor, rows: int) -> Tensor:
    """A matrix `[G, H]` in the order that suits products with `rows` rows."""
    result: Tensor = _onednn._reorder_linear_weight(matrix, rows)
    return result


def packed_if_large(matrices: Sequence[Tensor], rows: int) -> list[Tensor | None]:
    """Each matrix packed, for products with `rows` rows, or None where that gains nothing."""
    return [packed(matrix, rows) if can_be_packed(matrix) else None for matrix in matrices]


def packed_product(x: Tensor, matrix: Tensor, added: Tensor | None = None) -> Tensor:
    """`added + x matrix^T`, `[B, G]`, of `x [B, H]` and a packed matrix."""
    result: Tensor
    if added is None:
        result = _onednn._linear_pointwise(x, matrix, None, "none", [], "")
    else:
        result = _onednn._linear_pointwise.binary(x, added, matrix, None, "add")
    return result
