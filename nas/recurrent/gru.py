"""Gated recurrent units (Cho et al. 2014), as a plain language model."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.recurrent.cells import RecurrentCore, for_matmul
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.loop import State
from training.specs import TextSpec


class GRULayer(RecurrentCore):
    """One layer of gated recurrent units, in the form of torch.nn.GRU.

        r, z = sigmoid(W x + a + U h + b),    n = tanh(W x + a + r (U h + b))
        h' = (1 - z) n + z h

    The reset gate r acts behind the recurrent product, so that all products with h are one; Cho et
    al. 2014 (arXiv 1406.1078, equations 5 to 8) put it before. The rows of weights and of both
    biases are in torch's order: reset, update, candidate. Initial values are uniform within
    1/sqrt(hidden), as torch's.

    Args:
        inputs: E, width of the input.
        hidden: H, width of the output.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(state_sizes=(hidden,))
        self.weight_input = nn.Parameter(torch.empty(3 * hidden, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.bias_input = nn.Parameter(torch.empty(3 * hidden))
        self.bias_hidden = nn.Parameter(torch.empty(3 * hidden))
        bound = 1.0 / math.sqrt(hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `RecurrentCore.forward`; the state is (h,), `[B, H]`."""
        (h,) = state
        hidden = h.shape[-1]
        recurrent = for_matmul(self.weight_hidden).t()
        projected = F.linear(x, self.weight_input, self.bias_input).to(h.dtype)
        outputs = []
        widths = [2 * hidden, hidden]
        for at_t in projected.unbind(0):
            gates_x, candidate_x = at_t.split(widths, dim=-1)
            gates_h, candidate_h = (h @ recurrent + self.bias_hidden).split(widths, dim=-1)
            r, z = torch.sigmoid(gates_x + gates_h).chunk(2, dim=-1)
            n = torch.tanh(candidate_x + r * candidate_h)
            h = torch.lerp(n, h, z)
            outputs.append(h)
        return torch.stack(outputs), (h,)


def gru(spec: TextSpec, *, embedding: int, hidden: int, layers: int) -> LanguageModel:
    """Stacked GRU layers E -> H -> ... -> H -> E between a tied embedding and decoder, without dropout.

    Args:
        spec: of the text.
        embedding: E, width of the embedding and of the last layer.
        hidden: H, width of every other layer.
        layers: how many GRU layers.
    """
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    cores = [GRULayer(inputs, outputs) for inputs, outputs in pairwise(widths)]
    return LanguageModel(spec.vocabulary, embedding, cores)
