"""The loop of a recurrent core over time, and its derivative.

What a core computes at one time step is a `Cell`, which states its own derivative. The loop keeps what that needs, and
takes the gradient of each recurrent matrix in one product after the last time step instead of adding up one product per
step: a product of few rows is bound by memory. Under autocast the products are in bf16 and everything else stays in the
state's precision; a pre-activation is rounded once, with the input's part and the state's added up.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from nas.recurrent.packed_products import packed_if_large, packed_product

State = tuple[Tensor, ...]
Saved = tuple[Tensor, ...]
MultiplyBack = Callable[[int, Tensor], Tensor]
# Under `vmap` replicates lead, so time is counted from the end: [..., T, B, width].
_TIME = -3


class Multiply(Protocol):
    """By a recurrent matrix: `x [..., B, H]` to `added + x matrix^T`, `[..., B, G]`, which may be changed in place."""

    def __call__(self, index: int, x: Tensor, added: Tensor | None = None) -> Tensor:
        """The product with the matrix of that index."""


class Cell(abc.ABC):
    """One time step of a recurrent core, with its derivative by hand. It holds no tensors.

    Each recurrent matrix multiplies once in a step. The first one's product has the projected input added to it.

    Attributes:
        products: the precision in which it takes products; None for that of the state, whatever the matrices' is.
    """

    products: torch.dtype | None = None

    @abc.abstractmethod
    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """The state after a time step, the output first, and what `step_back` needs.

        Args:
            added: the projected input `[..., B, G]`, to be added to the product with matrix 0.
            state: before the step, `[..., B, H]` each.
            constants: the same at every time step, such as masks; they have no gradient.
            multiply: by a recurrent matrix.
        """

    @abc.abstractmethod
    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """The gradients of the state before the step.

        Args:
            outside: of the output, by what reads it outside the loop; not to be changed in place.
            grads: of the state after the step, by later steps; not to be changed in place.
            saved: what `step` returned.
            constants: as in `step`.
            multiply: from the gradient of a product with a recurrent matrix, which must stay as it is from then on, to
                the gradient of what the matrix multiplied.
        """


@dataclass(kw_only=True)
class _Products:
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


class _ProductsBack:
    """The derivatives of products, from the last time step to the first.

    Args:
        products: on the way forward.
        rows: B, of every gradient.
    """

    def __init__(self, products: _Products, rows: int) -> None:
        self._products = products
        self._packed = packed_if_large([matrix.mT for matrix in products.matrices], rows)
        self._grads: list[list[Tensor]] = [[] for _ in products.matrices]

    def backward(self, index: int, grad: Tensor) -> Tensor:
        matrix, packed = self._products.matrices[index], self._packed[index]
        grad = grad.to(matrix.dtype)
        self._grads[index].append(grad)
        if packed is not None:
            return packed_product(grad, packed)
        return (grad @ matrix).to(self._products.precision)

    def product_gradients(self, index: int) -> Tensor:
        """The gradient of every product with a matrix, `[..., T, B, G]`."""
        return torch.stack(self._grads[index][::-1], _TIME)

    def matrix_gradient(self, index: int, products: Tensor) -> Tensor:
        """The gradient of a matrix `[..., G, H]`, from what `product_gradients` returned."""
        read = torch.stack(self._products.read[index], _TIME)
        return products.flatten(-3, -2).mT @ read.flatten(-3, -2)


class _Tape:
    """What the way forward leaves for the way back."""

    products: _Products
    constants: State
    saved: Sequence[Saved]


class _Unroll(torch.autograd.Function):
    """Outputs and last state from the projected input, the matrices, the first state and the constants."""

    @staticmethod
    def forward(
        cell: Cell, tape: _Tape, counts: tuple[int, int], projected: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        matrices, state = tensors[: counts[0]], tensors[counts[0] : sum(counts)]
        tape.constants = tensors[sum(counts) :]
        tape.products = _Products(
            matrices=matrices,
            packed=packed_if_large(matrices, state[0].shape[-2]),
            precision=cell.products or state[0].dtype,
            keep=True,
        )
        outputs, state, tape.saved = _walk(cell, projected, tape.products, state, tape.constants)
        return outputs, *state

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.cell, ctx.tape = inputs[:2]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        cell, tape = ctx.cell, ctx.tape
        if torch.is_grad_enabled():
            raise RuntimeError("a recurrent core has a first derivative only")
        outputs, state = grads[0], grads[1:]
        back = _ProductsBack(tape.products, state[0].shape[-2])
        for at_t, saved in zip(outputs.unbind(_TIME)[::-1], tape.saved[::-1], strict=True):
            state = cell.step_back(at_t, state, saved, tape.constants, back.backward)
        projected = back.product_gradients(0)
        matrices = [back.matrix_gradient(0, projected)]
        for k in range(1, len(tape.products.read)):
            matrices.append(back.matrix_gradient(k, back.product_gradients(k)))
        return None, None, None, projected, *matrices, *state, *[None] * len(tape.constants)

    @staticmethod
    def vmap(
        info: Any,
        dims: Sequence[int | None],
        cell: Cell,
        tape: _Tape,
        counts: tuple[int, int],
        *tensors: Tensor,
    ) -> Any:
        count = info.batch_size
        leading = (
            t.expand(count, *t.shape) if d is None else t.movedim(d, 0)
            for t, d in zip(tensors, dims[3:], strict=True)
        )
        results = _Unroll.apply(cell, tape, counts, *leading)
        return results, (0,) * len(results)


def _walk(
    cell: Cell, projected: Tensor, products: _Products, state: State, constants: State
) -> tuple[Tensor, State, list[Saved]]:
    outputs, kept = [], []
    for added in projected.unbind(_TIME):
        state, saved = cell.step(added, state, constants, products.forward)
        outputs.append(state[0])
        kept.append(saved)
    return torch.stack(outputs, _TIME), state, kept


@torch.no_grad()
def walk(
    cell: Cell,
    projected: Tensor,
    matrices: Sequence[Tensor],
    state: State,
    constants: State = (),
) -> tuple[Tensor, State, list[Saved]]:
    """What `unroll` returns, without a derivative, and what the cell saved at each time step."""
    # Nothing is packed: products are counted by their matrices here.
    products = _Products(
        matrices=matrices,
        packed=[None] * len(matrices),
        precision=cell.products or state[0].dtype,
        keep=False,
    )
    return _walk(cell, projected, products, state, constants)


def unroll(
    cell: Cell,
    projected: Tensor,
    matrices: Sequence[Tensor],
    state: State,
    constants: State = (),
) -> tuple[Tensor, State]:
    """Take a cell through time.

    Args:
        cell: what happens at one time step.
        projected: the input's part of the first product, `[T, B, G]`, in the precision of the matrices.
        matrices: the recurrent matrices, `[G, H]` each, in the precision of the products.
        state: before the first time step, `[B, H]` each, in the precision of everything else.
        constants: what the cell reads at every time step; without a gradient.

    Returns:
        The outputs `[T, B, H]` and the state after the last time step.
    """
    if not torch.is_grad_enabled():
        outputs, state, _ = walk(cell, projected, matrices, state, constants)
        return outputs, state
    counts = (len(matrices), len(state))
    outputs, *after = _Unroll.apply(cell, _Tape(), counts, projected, *matrices, *state, *constants)
    return outputs, tuple(after)
