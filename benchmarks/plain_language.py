"""Language models as one would write them by hand: what `language.py` compares with.

The LSTM is torch's own; the ordered LSTM and the searched cell are loops of which autograd takes the derivative, with
the input projected once for all time steps. Sizes, products and dropouts are those of the networks that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas.genotypes.published import ENAS_RNN, NAO_RNN
from nas.genotypes.values import RecurrentGenotype

State = list[tuple[Tensor, ...]]
SEARCHED = {"enas-rnn": ENAS_RNN, "nao-rnn": NAO_RNN}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": nn.Identity(),
}


def locked(x: Tensor, p: float) -> Tensor:
    """Dropout with one mask for all time steps of `[T, B, H]`."""
    return x * (torch.rand_like(x[:1]) >= p) / (1.0 - p)


class PlainLayer(nn.Module):
    """A recurrent layer.

    Attributes:
        state_sizes: widths of the tensors of its state.
    """

    state_sizes: tuple[int, ...]


class PlainLSTM(PlainLayer):
    """torch.nn.LSTM with DropConnect."""

    def __init__(self, inputs: int, hidden: int, dropconnect: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden)
        self.dropconnect = dropconnect
        self.state_sizes = (hidden, hidden)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs `[T, B, H]` and (h, c)."""
        weight = self.lstm.get_parameter("weight_hh_l0")
        dropped = {"weight_hh_l0": F.dropout(weight, self.dropconnect)}
        first = tuple(tensor[None] for tensor in state)
        outputs, last = functional_call(self.lstm, dropped, (x, first))
        return outputs, tuple(tensor[0] for tensor in last)


class PlainOrdered(PlainLayer):
    """The ordered LSTM, a time step after the other."""

    def __init__(self, inputs: int, hidden: int, chunk: int, dropconnect: float) -> None:
        super().__init__()
        self.chunks, self.chunk = hidden // chunk, chunk
        self.from_x = nn.Linear(inputs, 4 * hidden + 2 * self.chunks)
        self.from_h = nn.Linear(hidden, 4 * hidden + 2 * self.chunks)
        self.dropconnect = dropconnect
        self.state_sizes = (hidden, hidden)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs `[T, B, H]` and (h, c)."""
        h, c = state
        weight = F.dropout(self.from_h.weight, self.dropconnect)
        outputs = []
        for projected in self.from_x(x).unbind(0):
            gates = projected + F.linear(h, weight, self.from_h.bias)
            widths = [self.chunks, self.chunks, gates.shape[1] - 2 * self.chunks]
            write, forget, units = gates.split(widths, 1)
            write = (1 - write.softmax(1).cumsum(1)).repeat_interleave(self.chunk, 1)
            forget = forget.softmax(1).cumsum(1).repeat_interleave(self.chunk, 1)
            i, f, o, g = units.chunk(4, 1)
            both = write * forget
            keep = f.sigmoid() * both + forget - both
            c = keep * c + (i.sigmoid() * both + write - both) * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)


class PlainSearched(PlainLayer):
    """The ENAS cell, a time step and a node after the other."""

    def __init__(self, genotype: RecurrentGenotype, hidden: int, dropout: float) -> None:
        super().__init__()
        self.genotype = genotype
        self.from_x = nn.Linear(hidden, 2 * hidden, bias=False)
        self.from_h = nn.Linear(hidden, 2 * hidden, bias=False)
        self.nodes = nn.ModuleList(
            nn.Linear(hidden, 2 * hidden, bias=False) for _ in genotype.nodes
        )
        self.dropout = dropout
        self.state_sizes = (hidden,)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs `[T, B, H]` and (h,)."""
        (h,), cell = state, self.genotype
        mask = locked(torch.ones_like(h), self.dropout)
        outputs = []
        for projected in self.from_x(x).unbind(0):
            states = [highway(projected + self.from_h(h * mask), h, cell.first)]
            for (source, activation), node in zip(cell.nodes, self.nodes, strict=True):
                before = states[source]
                states.append(highway(node(before * mask), before, activation))
            h = torch.stack([states[n] for n in cell.output]).mean(0)
            outputs.append(h)
        return torch.stack(outputs), (h,)


def highway(product: Tensor, before: Tensor, activation: str) -> Tensor:
    """The state after a node."""
    candidate, gate = product.chunk(2, 1)
    difference: Tensor = FUNCTIONS[activation](candidate) - before
    return before + gate.sigmoid() * difference


class PlainModel(nn.Module):
    """Embedding, layers with locked dropout above each, and a tied decoder."""

    def __init__(self, vocabulary: int, embedding: int, layers: Sequence[PlainLayer]) -> None:
        super().__init__()
        self.decoder = nn.Linear(embedding, vocabulary)
        self.layers = nn.ModuleList(layers)
        self.state_sizes = [layer.state_sizes for layer in layers]

    def first_state(self, batch: int) -> State:
        """Zeros."""
        new = self.decoder.weight.new_zeros
        return [tuple(new(batch, width) for width in widths) for widths in self.state_sizes]

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits `[T, B, V]` and the state."""
        weight = self.decoder.weight
        words = weight * (torch.rand_like(weight[:, :1]) >= 0.1) / 0.9
        x, after = locked(F.embedding(tokens, words), 0.4), []
        for layer, own in zip(self.layers, state, strict=True):
            x, last = layer(x, own)
            x = locked(x, 0.3)
            after.append(last)
        return self.decoder(x), after


def plain_model(kind: str, vocabulary: int, widths: Sequence[int]) -> PlainModel:
    """The model of a kind.

    Args:
        kind: awd-lstm, on-lstm or one of `SEARCHED`.
        vocabulary: V.
        widths: the embedding's and each layer's.
    """
    layers: list[PlainLayer] = []
    for inputs, hidden in pairwise(widths):
        if kind == "awd-lstm":
            layers.append(PlainLSTM(inputs, hidden, 0.5))
        elif kind == "on-lstm":
            layers.append(PlainOrdered(inputs, hidden, 10, 0.45))
        else:
            layers.append(PlainSearched(SEARCHED[kind], hidden, 0.25))
    return PlainModel(vocabulary, widths[0], layers)
