"""Recurrent cores: a cell and its loop over time, for `nas.language_model`.

Matrix products may run in bf16 under autocast; states and everything elementwise stay in the
state's own precision.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.genotypes import RecurrentGenotype
from training.noise import Dropout

State = tuple[Tensor, ...]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


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
        _initialise(self, hidden)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h, c), each `[B, H]`."""
        h, c = state
        hidden = h.shape[-1]
        recurrent = for_matmul(self.dropconnect(self.weight_hidden)).t()
        bias = self.bias if self.bias_hidden is None else self.bias + self.bias_hidden
        projected = F.linear(x, self.weight_input, bias).to(h.dtype)
        outputs = []
        for at_t in projected.unbind(0):
            gates = at_t + h @ recurrent
            i, f, o = torch.sigmoid(gates[..., : 3 * hidden]).chunk(3, dim=-1)
            c = f * c + i * torch.tanh(gates[..., 3 * hidden :])
            h = o * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), (h, c)


class SearchedRecurrentCell(RecurrentCore):
    """A searched cell of highway nodes (Pham et al. 2018, section 2.1).

        (candidate, gate) = [x; h] W_0,    s_0 = h   + sigmoid(gate) (f_0(candidate) - h)
        (candidate, gate) = s_j W_i,       s_i = s_j + sigmoid(gate) (f_i(candidate) - s_j)

    with j the previous state of node i; the output, and the next h, is the mean of the genotype's
    output states. There are no biases. Dropout is variational: one mask on the input and one on
    whatever a state's matrix product reads, both drawn once per forward for all time steps and
    different per sequence; the highway itself is not dropped. So do ENAS (`_rhn_fixed` in
    ptb_enas_child.py), enas_lm (`_rnn_fn` in src/fixed_lib.py), DARTS and NAO (`cell` in
    rnn/model.py). Two things differ from them:

    Each weight is stored as `[2H, inputs]`, candidate rows first; theirs are `[inputs, 2H]`, in
    DARTS and NAO with the gate first. Initial weights are uniform within 1/sqrt(hidden), which is
    0.034 to 0.037 at the published 850 to 748 units (enas_lm: 0.05; the others: 0.04).

    Args:
        genotype: the nodes and the output.
        inputs: E, width of the input.
        hidden: H, width of every state.
        dropout_input: probability that an input unit is dropped.
        dropout_state: probability that a unit of the states is dropped.
    """

    def __init__(
        self,
        genotype: RecurrentGenotype,
        inputs: int,
        hidden: int,
        dropout_input: float = 0.0,
        dropout_state: float = 0.0,
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
        _initialise(self, hidden)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h,), `[B, H]`."""
        (h,) = state
        mask = self.dropout_state(torch.ones_like(h))
        recurrent = for_matmul(self.weight_hidden).t()
        readers = self._weights_by_source()
        projected = F.linear(self.dropout_input(x), self.weight_input).to(h.dtype)
        outputs = []
        for at_t in projected.unbind(0):
            first = _highway(at_t + (h * mask) @ recurrent, h, self.genotype.first)
            h = self._mean_of_outputs(first, mask, readers)
            outputs.append(h)
        return torch.stack(outputs), (h,)

    def _weights_by_source(self) -> dict[int, Tensor]:
        """For each state that nodes read, their weights side by side: one product serves all."""
        by_source: dict[int, list[Tensor]] = {}
        for (source, _), weight in zip(self.genotype.nodes, self.weight_nodes, strict=True):
            by_source.setdefault(source, []).append(weight)
        return {source: for_matmul(torch.cat(w)).t() for source, w in by_source.items()}

    def _mean_of_outputs(self, first: Tensor, mask: Tensor, readers: dict[int, Tensor]) -> Tensor:
        states = [first]
        waiting: dict[int, list[Tensor]] = {}
        for source, activation in self.genotype.nodes:
            state = states[source]
            if source not in waiting:
                products = ((state * mask) @ readers[source]).to(state.dtype)
                waiting[source] = list(
                    products.chunk(products.shape[-1] // (2 * state.shape[-1]), dim=-1)
                )
            states.append(_highway(waiting[source].pop(0), state, activation))
        return torch.stack([states[index] for index in self.genotype.output]).mean(0)


def _highway(product: Tensor, state: Tensor, activation: str) -> Tensor:
    """The state `[B, H]` after a node, from (candidate, gate) `[B, 2H]` and the state before."""
    candidate, gate = product.chunk(2, dim=-1)
    return torch.lerp(state, ACTIVATIONS[activation](candidate), torch.sigmoid(gate))


def for_matmul(weight: Tensor) -> Tensor:
    """The weight as autocast would convert it, so that it does not do so at every time step."""
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        return weight.to(torch.get_autocast_dtype(device))
    return weight


def _initialise(core: RecurrentCore, hidden: int) -> None:
    bound = 1.0 / math.sqrt(hidden)
    for parameter in core.parameters():
        nn.init.uniform_(parameter, -bound, bound)
