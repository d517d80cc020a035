"""An LSTM layer over all time steps as one operation of oneDNN, as torch.nn.LSTM has it.

oneDNN orders the recurrent matrix in memory once for all time steps, and nothing is decided between them. Measured on
two cores of an AMD EPYC with AVX2, a layer of 35 time steps and 20 columns, forward and back: the loop over time steps,
stacked and replayed, took so many times as long, least of 12 in turns.

| replicates | H = 32 | H = 64 | H = 100 | H = 200 | H = 300 |
|---|---|---|---|---|---|
| 2 | 1.58 | 1.58 | 1.47 | 1.28 | 1.21 |
| 6 | 0.82 | 0.90 | 1.10 | 0.99 | 1.15 |
| 12 | 0.58 | 0.82 | 0.86 | 0.94 | 1.05 |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nas.recurrent.loop import unroll
from nas.recurrent.lstm_cell import LSTMCell

_aten = torch.ops.aten
# Of more replicates that are narrower than this a stack goes through the loop.
FEW, WIDE = 4, 300
# An LSTM among the kinds of recurrent layers, as torch numbers them (aten/src/ATen/native/mkldnn/RNN.cpp).
_LSTM = 2


def is_fused(x: Tensor) -> bool:
    """Whether oneDNN computes a layer that reads this, in the precision in which products are."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
    )


def fused_lstm(
    x: Tensor, weight_input: Tensor, weight_hidden: Tensor, bias: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The layer; for the equations and the order of the rows see `nas.recurrent.cells.LSTMLayer`.

    Args:
        x: `[T, B, E]`, for which `is_fused`.
        weight_input: `[4 H, E]`.
        weight_hidden: `[4 H, H]`.
        bias: `[4 H]`.
        state: h and c before the first time step, `[B, H]` each.

    Returns:
        The outputs `[T, B, H]`, and h and c after the last time step.
    """
    tape = _Tape(train=torch.is_grad_enabled())
    outputs, *after = _Layer.apply(tape, x, weight_input, weight_hidden, bias, *state)
    return outputs, tuple(after)


@dataclass
class _Tape:
    """What the way forward leaves for the way back.

    Attributes:
        train: whether there will be one.
        inputs: of the operation.
        results: of the operation.
    """

    train: bool
    inputs: tuple[Tensor, ...] = field(init=False)
    results: tuple[Tensor, ...] = field(init=False)


class _Layer(torch.autograd.Function):
    """Outputs, h and c from input, weights, bias, h and c."""

    @staticmethod
    def forward(
        tape: _Tape,
        x: Tensor,
        weight_input: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        h: Tensor,
        c: Tensor,
    ) -> tuple[Tensor, ...]:
        weights = [_exchanged(rows) for rows in (weight_input, weight_hidden, bias)]
        first = [tensor.detach() for tensor in (h[None], c[None])]
        # torch.nn.LSTM has a second bias.
        tape.inputs = (x.detach().contiguous(), *weights, torch.zeros_like(bias), *first)
        how = (_LSTM, h.shape[-1], 1, True, False, False, tape.train)
        # Only then it keeps what its derivative needs.
        with torch.set_grad_enabled(tape.train):
            tape.results = _aten.mkldnn_rnn_layer(*tape.inputs, False, [], *how)
        outputs, h_after, c_after, _ = tape.results
        # Other tensors than those that are kept: these will point to what keeps them.
        return outputs.detach(), h_after[0].clone(), c_after[0].clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.tape = inputs[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("a recurrent core has a first derivative only")
        tape = ctx.tape
        *results, workspace = tape.results
        of_outputs, of_h, of_c = grads
        into = (of_outputs, of_h[None], of_c[None])
        how: Any = (False, _LSTM, of_h.shape[-1], 1, True, True, False, [], False)
        found = _aten.mkldnn_rnn_layer_backward(*tape.inputs, *results, *into, *how, workspace)
        into_x, *into_weights, _, into_h, into_c = found
        return None, into_x, *map(_exchanged, into_weights), into_h[0], into_c[0]

    @staticmethod
    def vmap(info: Any, dims: Sequence[int | None], tape: _Tape, *tensors: Tensor) -> Any:
        count = info.batch_size
        stacked = [
            t.expand(count, *t.shape) if d is None else t.movedim(d, 0)
            for t, d in zip(tensors, dims[1:], strict=True)
        ]
        if count > FEW and tensors[-1].shape[-1] < WIDE:
            outputs, after = _loop(*stacked)
            return (outputs, *after), (0, 0, 0)
        each = [_Layer.apply(_Tape(train=tape.train), *own) for own in zip(*stacked, strict=True)]
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True)), (0, 0, 0)


def _loop(
    x: Tensor, weight_input: Tensor, weight_hidden: Tensor, bias: Tensor, *state: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The same for replicates, `[R, ...]` each, a time step after the other."""
    flat = torch.baddbmm(bias[:, None], x.flatten(1, 2), weight_input.mT)
    projected = flat.unflatten(1, x.shape[1:3])
    return unroll(LSTMCell(), projected, [weight_hidden], state)


def _exchanged(rows: Tensor) -> Tensor:
    """Rows in the order input, forget, output, candidate in torch.nn.LSTM's, whose last two are exchanged; and back."""
    one, other, third, last = rows.chunk(4)
    return torch.cat([one, other, last, third])
