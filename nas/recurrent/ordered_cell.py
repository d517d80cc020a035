"""One time step of an ordered-neurons LSTM, with its derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.recurrent.loop import Cell, Multiply, MultiplyBack, Saved, State
from nas.recurrent.pointwise import sigmoid_back, tanh_back

_aten = torch.ops.aten


class OrderedCell(Cell):
    """One time step, in the terms of `nas.recurrent.on_lstm.OrderedLSTMLayer`; W and F are i~ and f~, a value per unit.

    c' = F (1 - W (1 - f)) c + W (1 - F (1 - i)) g

    Attributes:
        chunks: n, the values of a master gate.
    """

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks

    def step(
        self, added: Tensor, state: State, constants: State, multiply: Multiply
    ) -> tuple[State, Saved]:
        """See `Cell.step`; the state is (h, c)."""
        h, c = state
        masters_in, sigmoids, g = self._split(gates := multiply(0, h, added))
        shares = masters_in.softmax(-1)
        masters = shares.cumsum(-1)
        masters[..., 0, :].neg_().add_(1.0)
        sigmoids.sigmoid_()
        g.tanh_()
        i, f, o = sigmoids.chunk(3, -1)
        write, forget = spread = self._spread(masters, c).unbind(-2)
        keep = torch.addcmul(forget, forget, torch.addcmul(write, write, f, value=-1.0), value=-1.0)
        take = torch.addcmul(write, write, torch.addcmul(forget, forget, i, value=-1.0), value=-1.0)
        after = torch.addcmul(keep * c, take, g)
        bounded = after.tanh()
        return (o * bounded, after), (masters, shares, gates, *spread, keep, take, c, bounded)

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
        _, shares, gates, write, forget, keep, take, c, bounded = saved
        _, sigmoids, g = self._split(gates)
        i, f, o = sigmoids.chunk(3, -1)
        into_c = into_c + _aten.tanh_backward(into_h * o, bounded)
        into_keep, into_take = into_c * c, into_c * g
        into_gates = torch.empty_like(gates)
        into_masters, into_sigmoids, into_g = self._split(into_gates)
        into_i, into_f, into_o = into_sigmoids.chunk(3, -1)
        both = write * forget
        torch.mul(into_take, both, out=into_i)
        torch.mul(into_keep, both, out=into_f)
        torch.mul(into_h, bounded, out=into_o)
        torch.mul(into_c, take, out=into_g)
        sigmoid_back(into_sigmoids, sigmoids)
        tanh_back(into_g, g)
        # Through keep and take both masters see this: W in F (1 - W (1 - f)), F in W (1 - F (1 - i)).
        common = (into_keep + into_take).addcmul_(into_keep, f, value=-1.0)
        common.addcmul_(into_take, i, value=-1.0)
        into_masters.copy_(self._masters_back(common, into_keep, into_take, write, forget, shares))
        return multiply(0, into_gates), into_c * keep

    def _split(self, gates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Master gates `[..., 2, n]`, the three sigmoids `[..., 3H]` and the candidate `[..., H]`."""
        masters = 2 * self.chunks
        units = gates[..., masters:]
        hidden = units.shape[-1] // 4
        split = gates[..., :masters].unflatten(-1, (2, self.chunks))
        return split, units[..., : 3 * hidden], units[..., 3 * hidden :]

    def _spread(self, masters: Tensor, c: Tensor) -> Tensor:
        """From `[..., 2, n]` to each unit, `[..., 2, H]`."""
        wide = (*masters.shape, c.shape[-1] // self.chunks)
        return masters.unsqueeze(-1).expand(wide).flatten(-2)

    def _masters_back(
        self,
        common: Tensor,
        into_keep: Tensor,
        into_take: Tensor,
        write: Tensor,
        forget: Tensor,
        shares: Tensor,
    ) -> Tensor:
        """The gradient of the master gates' pre-activations `[..., 2, n]`."""
        units = common.new_empty((*common.shape[:-1], 2, common.shape[-1]))
        below, above = units.unbind(-2)
        torch.mul(forget, common, out=below).sub_(into_take)
        torch.addcmul(into_keep, write, common, value=-1.0, out=above)
        masters = units.unflatten(-1, (self.chunks, -1)).sum(-1)
        # A sum over the later chunks, less a constant, which a softmax does not see.
        later = masters - masters.cumsum(-1)
        into_masters: Tensor = _aten._softmax_backward_data(later, shares, -1, later.dtype)
        return into_masters
