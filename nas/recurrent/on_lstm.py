"""The ordered-neurons LSTM of Shen et al. 2019 (arXiv 1810.09536)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.recurrent.cells import RecurrentCore, for_matmul
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.loop import Cell, State, unroll, walk
from nas.recurrent.ordered_cell import OrderedCell
from nas.recurrent.step_cells import cell_for
from training.dropout import Dropout
from training.errors import LotteryError
from training.specs import TextSpec


class GateDistances(NamedTuple):
    """Where the master gates split the units, as a share of them: the constituents' boundaries.

    Attributes:
        forget: `[..., T, B]`, 1 - mean(f~): large where a large constituent ended before this word
            (Shen et al. 2019, section 5.2, where it is D_m times as large).
        input: `[..., T, B]`, mean(i~): the share of the units that this word may write.
    """

    forget: Tensor
    input: Tensor


class OrderedLSTMLayer(RecurrentCore):
    """One LSTM layer whose units are ordered by two master gates, with DropConnect.

        i~ = 1 - cumax(W x + U h + b),    f~ = cumax(W x + U h + b),    w = f~ i~
        i, f, o = sigmoid(W x + U h + b),    g = tanh(W x + U h + b)
        c' = (f w + f~ - w) c + (i w + i~ - w) g,    h' = o tanh(c')

    with cumax = cumsum(softmax), equations 9 to 15 of the paper. A master gate has one value per
    chunk of neighbouring units. In the last chunk f~ is 1 and i~ is 0 whatever the weights are, so
    its cell state stays what it was: zero, as in the release.

    The rows of weights and biases are in the order master input, master forget (hidden / chunk
    each), input, forget, output, candidate (hidden each). There are two biases, and each matrix and
    the bias beside it are uniform at first within 1/sqrt of the width that the matrix reads, as in
    the release.

    DropConnect on the hidden-to-hidden weights draws one mask per forward for all time steps and
    sequences, and divides what it keeps by 1 - p. The release (ON_LSTM.py) doesn't divide while it
    trains, and multiplies the weights by 1 - p when it evaluates: with W = (1 - p) W_release both
    are the same function, in training and in evaluation. Ours are the weights as evaluated, so their
    magnitudes compare with those of other matrices. Measured as evaluated, the release's start
    1 - p times as large, and a step of gradient descent at the same rate moves them (1 - p)^2 times
    as far.

    Args:
        inputs: E, width of the input.
        hidden: H, width of the output.
        chunk: C, how many neighbouring units share a value of the master gates; divides H.
        dropconnect: probability that a hidden-to-hidden weight is dropped.
    """

    def __init__(self, inputs: int, hidden: int, chunk: int, dropconnect: float = 0.0) -> None:
        super().__init__(state_sizes=(hidden, hidden))
        self.chunks = hidden // chunk
        rows = 4 * hidden + 2 * self.chunks
        self.weight_input = nn.Parameter(torch.empty(rows, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(rows, hidden))
        self.bias_input = nn.Parameter(torch.empty(rows))
        self.bias_hidden = nn.Parameter(torch.empty(rows))
        self.dropconnect = Dropout(dropconnect)
        for width, parameters in (
            (inputs, (self.weight_input, self.bias_input)),
            (hidden, (self.weight_hidden, self.bias_hidden)),
        ):
            for parameter in parameters:
                nn.init.uniform_(parameter, -1.0 / math.sqrt(width), 1.0 / math.sqrt(width))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h, c), each `[B, H]`."""
        projected, matrix = self._products(x)
        return unroll(self._cell(state, matrix), projected, [matrix], state)

    @torch.no_grad()
    def with_distances(self, x: Tensor, state: State) -> tuple[Tensor, State, GateDistances]:
        """What `forward` returns, without gradients, and the gate distances, `[T, B]` each."""
        projected, matrix = self._products(x)
        outputs, state, saved = walk(self._cell(state, matrix), projected, [matrix], state)
        write, forget = torch.stack([masters for masters, *_ in saved]).mean(-1).unbind(-1)
        return outputs, state, GateDistances(forget=1.0 - forget, input=write)

    def _cell(self, state: State, matrix: Tensor) -> Cell:
        return cell_for(state[0], matrix, OrderedCell(self.chunks))

    def _products(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The projected input and the recurrent matrix."""
        recurrent = for_matmul(self.dropconnect(self.weight_hidden))
        bias = self.bias_input + self.bias_hidden
        return F.linear(x, self.weight_input, bias), recurrent


def on_lstm(
    spec: TextSpec,
    *,
    embedding: int,
    hidden: int,
    layers: int,
    chunk: int,
    dropout_embedding: float,
    dropout_input: float,
    dropout_hidden: float,
    dropout_output: float,
    dropconnect: float,
) -> LanguageModel:
    """Stacked ordered LSTM layers E -> H -> ... -> H -> E between a tied embedding and decoder.

    The release regularises activations on the raw output of the last layer, not on the dropped one
    as AWD-LSTM's does (Ordered-Neurons, main.py).

    Args:
        spec: of the text.
        embedding: E, width of the embedding and of the last layer.
        hidden: H, width of every other layer.
        layers: how many layers.
        chunk: C, how many units share a value of the master gates; divides E and H.
        dropout_embedding: of whole words, `dropoute` in the release.
        dropout_input: locked, on the embedded input, `dropouti`.
        dropout_hidden: locked, between layers, `dropouth`.
        dropout_output: locked, on the last layer's output, `dropout`.
        dropconnect: of the hidden-to-hidden weights of every layer, `wdrop`.

    Raises:
        LotteryError: the chunks don't fill a layer.
    """
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    for width in widths[1:]:
        if width % chunk:
            raise LotteryError(
                f"Layers of {hidden} and {embedding} units can't be cut into chunks of {chunk}; "
                "give a chunk that divides both the size hidden and the size embedding."
            )
    return LanguageModel(
        spec.vocabulary,
        embedding,
        [
            OrderedLSTMLayer(inputs, outputs, chunk, dropconnect)
            for inputs, outputs in pairwise(widths)
        ],
        dropout_embedding=dropout_embedding,
        dropout_input=dropout_input,
        dropout_hidden=dropout_hidden,
        dropout_output=dropout_output,
    )


@torch.no_grad()
def gate_distances(
    network: LanguageModel, tokens: Tensor, state: State
) -> tuple[GateDistances, State]:
    """The gate distances of every layer, `[L, T, B]` each, in the order of the layers, and the state after.

    Args:
        network: as `on_lstm` makes it; in evaluation mode nothing is dropped.
        tokens: `[T, B]` int64.
        state: as `LanguageModel.forward` takes it.

    Raises:
        TypeError: a layer is not an ordered one.
    """
    x, found = network.embedded(tokens), []
    after: list[Tensor] = []
    for core, dropout, own in network.layers(state):
        if not isinstance(core, OrderedLSTMLayer):
            raise TypeError(f"{type(core).__name__} has no master gates")
        raw, own_after, distances = core.with_distances(x, own)
        found.append(distances)
        after += own_after
        x = dropout(raw)
    stacked = GateDistances(*(torch.stack(each) for each in zip(*found, strict=True)))
    return stacked, tuple(after)
