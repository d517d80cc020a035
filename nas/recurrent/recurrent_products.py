"""Products with recurrent matrices, a time step after the other, and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nas.recurrent.packed_products import packed_if_large, packed_product

# Under `vmap` replicates lead, so time is counted from the end: [..., T, B, width].
TIME = -3


@dataclass(kw_only=True)
class Products:
    """Products with the recurrent matrices `[..., G, H]`, in the matrices' own precision.

    Attributes:
        matrices: in the precision of the products.
        packed: those of them that are packed for these products, see `packed_products`, or None each.
        precision: of what is returned.
        keep: whether what is read is kept for the matrices' gradients.
        read: by matrix and time step, `[..., B, H]`.
    """

    matrices: Sequence[Tensor]
    packed: Sequence[Tensor | None]
    precision: torch.dtype
    keep: bool
    read: list[list[Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.read = [[] for _ in self.matrices]

    def forward(self, index: int, x: Tensor, added: Tensor | None = None) -> Tensor:
        """See `nas.recurrent.loop.Multiply`."""
        matrix, packed = self.matrices[index], self.packed[index]
        x = x.to(matrix.dtype)
        if self.keep:
            self.read[index].append(x)
        if packed is not None:
            return packed_product(x, packed, added)
        if added is None:
            product = x @ matrix.mT
        else:
            product = (torch.addmm if x.dim() == 2 else torch.baddbmm)(added, x, matrix.mT)
        return product.to(self.precision)


class ProductsBack:
    """The derivatives of products, from the last time step to the first.

    Args:
        products: on the way forward.
        rows: B, of every gradient.
    """

    def __init__(self, products: Products, rows: int) -> None:
        self._products = products
        self._packed = packed_if_large([matrix.mT for matrix in products.matrices], rows)
        self._grads: list[list[Tensor]] = [[] for _ in products.matrices]

    def backward(self, index: int, grad: Tensor) -> Tensor:
        """From the gradient of a product to that of what the matrix multiplied."""
        matrix, packed = self._products.matrices[index], self._packed[index]
        grad = grad.to(matrix.dtype)
        self._grads[index].append(grad)
        if packed is not None:
            return packed_product(grad, packed)
        return (grad @ matrix).to(self._products.precision)

    def product_gradients(self, index: int) -> Tensor:
        """The gradient of every product with a matrix, `[..., T, B, G]`."""
        return torch.stack(self._grads[index][::-1], TIME)

    def matrix_gradient(self, index: int, products: Tensor) -> Tensor:
        """The gradient of a matrix `[..., G, H]`, from what `product_gradients` returned."""
        read = torch.stack(self._products.read[index], TIME)
        return products.flatten(-3, -2).mT @ read.flatten(-3, -2)
