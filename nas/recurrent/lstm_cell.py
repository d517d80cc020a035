"""The LSTM's time step and its derivative, for `nas.recurrent.loop`."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.recurrent.loop import Cell, Multiply, MultiplyBack, Saved, State
from nas.recurrent.pointwise import sigmoid_back, tanh_back

_aten = torch.ops.aten


class LSTMCell(Cell):
    """One time step; for the equations and the order of the rows see `nas.recurrent.cells.LSTMLayer`."""

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h, c)."""
        h, c = state
        gates = multiply(0, h, added)
        sigmoids, g = _split_gates(gates)
        sigmoids.sigmoid_()
        g.tanh_()
        i, f, o = sigmoids.chunk(3, -1)
        after = torch.addcmul(f * c, i, g)
        bounded = after.tanh()
        return (o * bounded, after), (gates, c, bounded)

    def step_back(
        self,
        outside: Tensor,
        grads: State,
        saved: Saved,
        constants: State,
        multiply: MultiplyBack,
    ) -> State:
        """See `Cell.step_back`."""
        into_h, into_c = grads[0] + outside, grads[1]
        gates, c, bounded = saved
        i, f, o, g = gates.chunk(4, -1)
        into_c = into_c + _aten.tanh_backward(into_h * o, bounded)
        into_gates = torch.empty_like(gates)
        into_i, into_f, into_o, into_g = into_gates.chunk(4, -1)
        torch.mul(into_c, g, out=into_i)
        torch.mul(into_c, c, out=into_f)
        torch.mul(into_h, bounded, out=into_o)
        torch.mul(into_c, i, out=into_g)
        for into, value, derivative in zip(
            _split_gates(into_gates), _split_gates(gates), (sigmoid_back, tanh_back), strict=True
        ):
            derivative(into, value)
        return multiply(0, into_gates), into_c * f


def _split_gates(gates: Tensor) -> tuple[Tensor, Tensor]:
    """The three sigmoids `[..., 3H]` and the candidate `[..., H]`."""
    hidden = gates.shape[-1] // 4
    return gates[..., : 3 * hidden], gates[..., 3 * hidden :]
