"""Recurrent cores, for `nas.recurrent.language_model`: a cell and its weights.

Matrix products may run in bf16 under autocast; states and everything elementwise stay in the
state's own precision.
"""

from __future__ import annotations

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.fused_lstm import fused_lstm, is_fused
from nas.recurrent.highway_cell import HighwayCell
from nas.recurrent.loop import State, unroll
from nas.recurrent.lstm_cell import LSTMCell
from nas.recurrent.step_cells import cell_for
from training.dropout import Dropout


class RecurrentCore(nn.Module, abc.ABC):
    """Abstract: `forward(x [T, B, E], state) -> (outputs [T, B, H], state)`.

    Args:
        state_sizes: the width of each tensor `[B, width]` of the state.
    """

    def __init__(self, state_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.state_sizes = state_sizes

    def initial_state(self, batch: int) -> State:
        """Zeros `[batch, width]`, where and as precise as the parameters are."""
        like = next(self.parameters())
        return tuple(like.new_zeros(batch, width) for width in self.state_sizes)

    @abc.abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """From inputs `[T, B, E]` and the state before to outputs `[T, B, H]` and the state."""


class LSTMLayer(RecurrentCore):
    """One LSTM layer, with DropConnect on its hidden-to-hidden weights.

        i, f, o = sigmoid(W x + U h + b),    g = tanh(W x + U h + b)
        c' = f c + i g,                      h' = o tanh(c')

    The rows of weights and bias are in the order input, forget, output, candidate, so that one
    sigmoid serves three gates. There is one bias, or two as in torch.nn.LSTM: only their sum
    counts, but two of them take every gradient twice. Initial weights and biases are uniform within
    1/sqrt(hidden), as in torch.nn.LSTM. DropConnect (Merity et al. 2018, section 2) draws one mask
    per forward for all time steps and sequences.

    Args:
        inputs: E, width of the input.
        hidden: H, width of the output.
        dropconnect: probability that a hidden-to-hidden weight is dropped.
        second_bias: whether there are two biases, as in torch.nn.LSTM.
    """

    def __init__(
        self, inputs: int, hidden: int, dropconnect: float = 0.0, second_bias: bool = False
    ) -> None:
        super().__init__(state_sizes=(hidden, hidden))
        self.weight_input = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(4 * hidden))
        self.bias_hidden = nn.Parameter(torch.empty(4 * hidden)) if second_bias else None
        self.dropconnect = Dropout(dropconnect)
        _initialise(self, 1.0 / math.sqrt(hidden))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h, c), each `[B, H]`."""
        recurrent = self.dropconnect(self.weight_hidden)
        bias = self.bias if self.bias_hidden is None else self.bias + self.bias_hidden
        if is_fused(x):
            return fused_lstm(x, self.weight_input, recurrent, bias, state)
        projected = F.linear(x, self.weight_input, bias)
        matrix = for_matmul(recurrent)
        return unroll(cell_for(state[0], matrix, LSTMCell()), projected, [matrix], state)


class SearchedRecurrentCell(RecurrentCore):
    """A searched cell of highway nodes (Pham et al. 2018, section 2.1).

        (candidate, gate) = [x; h] W_0,    s_0 = h   + sigmoid(gate) (f_0(candidate) - h)
        (candidate, gate) = s_j W_i,       s_i = s_j + sigmoid(gate) (f_i(candidate) - s_j)

    with j the previous state of node i; the output, and the next h, is the mean of the genotype's
    output states. There are no biases. Dropout is variational: one mask on the input and one on
    whatever a state's matrix product reads, both drawn once per forward for all time steps and
    different per sequence; the highway itself is not dropped. So do ENAS (`_rhn_fixed` in
    ptb_enas_child.py), enas_lm (`_rnn_fn` in src/fixed_lib.py), DARTS and NAO (`cell` in
    rnn/model.py). Each weight is stored as `[2H, inputs]`, candidate rows first; theirs are
    `[inputs, 2H]`, in DARTS and NAO with the gate first.

    Args:
        genotype: the nodes and the output.
        inputs: E, width of the input.
        hidden: H, width of every state.
        dropout_input: probability that an input unit is dropped.
        dropout_state: probability that a unit of the states is dropped.
        bound: every weight is uniform within it at first; for the sources' see `RELEASES` in
            `nas.recurrent.searched_language_model`.
    """

    def __init__(
        self,
        genotype: RecurrentGenotype,
        inputs: int,
        hidden: int,
        dropout_input: float = 0.0,
        dropout_state: float = 0.0,
        bound: float = 0.1,
    ) -> None:
        super().__init__(state_sizes=(hidden,))
        self.genotype = genotype
        self.weight_input = nn.Parameter(torch.empty(2 * hidden, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(2 * hidden, hidden))
        self.weight_nodes = nn.ParameterList(
            torch.empty(2 * hidden, hidden) for _ in genotype.nodes
        )
        self.dropout_input = Dropout(dropout_input, shared=(0,))
        self.dropout_state = Dropout(dropout_state)
        _initialise(self, bound)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h,), `[B, H]`."""
        (h,) = state
        dropped = self.training and self.dropout_state.p > 0.0
        mask = (self.dropout_state(torch.ones_like(h)),) if dropped else ()
        projected = F.linear(self.dropout_input(x), self.weight_input)
        cell = HighwayCell(self.genotype)
        matrices = [for_matmul(matrix) for matrix in self._matrices(cell)]
        return unroll(cell_for(h, matrices[0], cell), projected, matrices, state, mask)

    def _matrices(self, cell: HighwayCell) -> list[Tensor]:
        """Each state's readers' weights side by side, so that one product serves all: candidates, then gates."""
        matrices: list[Tensor] = [self.weight_hidden]
        for readers in cell.readers.values():
            weights = [self.weight_nodes[reader - 1] for reader in readers]
            halves = zip(*(weight.chunk(2) for weight in weights), strict=True)
            matrices.append(torch.cat([half for kind in halves for half in kind]))
        return matrices


def for_matmul(weight: Tensor) -> Tensor:
    """The weight as autocast would convert it, so that it does not do so at every time step."""
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        return weight.to(torch.get_autocast_dtype(device))
    return weight


def _initialise(core: RecurrentCore, bound: float) -> None:
    for parameter in core.parameters():
        nn.init.uniform_(parameter, -bound, bound)
