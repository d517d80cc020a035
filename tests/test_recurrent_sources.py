"""Searched cells against the equations of their sources, in the sources' own numbers and layout.

Each reference reads the integers or words that the source publishes, with the activations that its
code has for them, and a weight `[inputs, 2H]` for each product; nothing of ours but the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from nas.genotypes.published import (
    DARTS_RNN_V1,
    DARTS_RNN_V2,
    ENAS_LM,
    ENAS_RNN,
    NAO_RNN,
    NAO_WS_RNN,
)
from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import SearchedRecurrentCell
from training.dropout import set_noise

T, B, E, H = 4, 3, 5, 6
Function = Callable[[float], float]
Step = Callable[[list[float], list[float]], list[float]]


def relu(v: float) -> float:
    return max(v, 0.0)


def sigmoid(v: float) -> float:
    return 1.0 / (1.0 + math.exp(-v))


def identity(v: float) -> float:
    return v


def core_of(genotype: RecurrentGenotype, dropout: float = 0.0) -> SearchedRecurrentCell:
    torch.manual_seed(0)
    core = SearchedRecurrentCell(genotype, E, H, dropout, dropout).double()
    with torch.no_grad():
        # Large enough for the activations to differ.
        for parameter in core.parameters():
            parameter.mul_(3.0)
    return core


def product(read: Sequence[float], weight: Tensor) -> list[float]:
    """A row `[I]` times a weight `[I, 2H]`."""
    rows: list[list[float]] = weight.tolist()
    return [
        sum(r * row[column] for r, row in zip(read, rows, strict=True)) for column in range(2 * H)
    ]


def highway(before: Sequence[float], c: list[float], h: list[float], f: Function) -> list[float]:
    """s_prev + sigmoid(c) (f(h) - s_prev), unit by unit."""
    return [s + sigmoid(g) * (f(v) - s) for s, g, v in zip(before, c, h, strict=True)]


def mean(states: Sequence[Sequence[float]]) -> list[float]:
    return [sum(units) / len(states) for units in zip(*states, strict=True)]


def candidate_first(core: SearchedRecurrentCell) -> list[Tensor]:
    """Our weights as ENAS and enas_lm store them: `[inputs, 2H]`, (h, t) side by side."""
    first = torch.cat([core.weight_input, core.weight_hidden], dim=1)
    return [weight.detach().t() for weight in (first, *core.weight_nodes)]


def gate_first(core: SearchedRecurrentCell) -> list[Tensor]:
    """Our weights as DARTS and NAO store them: `[inputs, 2H]`, (c, h) side by side."""
    return [torch.cat([w[:, H:], w[:, :H]], dim=1) for w in candidate_first(core)]


def check(core: SearchedRecurrentCell, step: Step) -> None:
    """Our outputs are those of a source's step, `(x, h) -> h`, applied to each time in turn."""
    x = torch.randn(T, B, E, dtype=torch.float64)
    start = torch.randn(B, H, dtype=torch.float64)
    outputs, (last,) = core(x, (start,))
    for b in range(B):
        h: list[float] = start[b].tolist()
        for t in range(T):
            h = step(x[t, b].tolist(), h)
            expected = torch.tensor(h, dtype=torch.float64)
            torch.testing.assert_close(outputs[t, b], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(last[b], outputs[-1, b])


def test_enas() -> None:
    # ptb_final.sh of melodyguan/enas; `_rhn_fixed` in ptb_enas_child.py.
    arc = [0, 0, 0, 1, 1, 2, 1, 2, 0, 2, 0, 5, 1, 1, 0, 6, 1, 8, 1, 8, 1, 8, 1]
    functions = [math.tanh, relu, identity, sigmoid]
    core = core_of(ENAS_RNN)
    w_prev, *w_skip = candidate_first(core)

    def step(x: list[float], prev_s: list[float]) -> list[float]:
        ht = product(x + prev_s, w_prev)
        layers = [highway(prev_s, ht[H:], ht[:H], functions[arc[0]])]
        used = [0] * 12
        for node in range(1, 12):
            previous, function = arc[2 * node - 1], arc[2 * node]
            used[previous] = 1
            ht = product(layers[previous], w_skip[node - 1])
            layers.append(highway(layers[previous], ht[H:], ht[:H], functions[function]))
        return mean([layer for u, layer in zip(used, layers, strict=True) if u == 0])

    check(core, step)


def test_enas_lm() -> None:
    # README and `_rnn_fn` in src/fixed_lib.py of google-research/enas_lm.
    arc = [0, 2, 1, 0, 2, 1, 2, 2, 4, 0, 5, 0, 3, 2, 6, 2]
    functions = [math.tanh, relu, sigmoid, identity]
    core = core_of(ENAS_LM)
    w_prev, *w_skip = candidate_first(core)

    def step(x: list[float], prev_s: list[float]) -> list[float]:
        ht = product(x + prev_s, w_prev)
        layers = [highway(prev_s, ht[H:], ht[:H], math.tanh)]
        for node in range(8):
            before = layers[arc[2 * node]]
            ht = product(before, w_skip[node])
            layers.append(highway(before, ht[H:], ht[:H], functions[arc[2 * node + 1]]))
        return mean(layers[1:])

    check(core, step)


@pytest.mark.parametrize(
    ("genotype", "arch", "functions"),
    [
        # NAO/rnn/train_ptb_final.sh of renqianluo/NAO; `parse_arch` in NAO/rnn/utils.py.
        (
            NAO_RNN,
            [0, 1, 0, 1, 1, 1, 3, 0, 4, 1, 4, 1, 5, 1, 1, 1, 7, 1, 1, 1, 1, 2],
            [math.tanh, relu, identity, sigmoid],
        ),
        # NAO-WS/rnn/train_final.sh; `_get_activation` in NAO-WS/rnn/model.py.
        (
            NAO_WS_RNN,
            [0, 1, 1, 1, 2, 2, 1, 2, 4, 1, 4, 1, 4, 1, 7, 1, 8, 2, 1, 0, 4, 1],
            [math.tanh, relu, sigmoid, identity],
        ),
    ],
    ids=["nao", "nao-ws"],
)
def test_nao(genotype: RecurrentGenotype, arch: list[int], functions: list[Function]) -> None:
    core = core_of(genotype)
    w0, *ws = gate_first(core)

    def step(x: list[float], h_prev: list[float]) -> list[float]:
        ch = product(x + h_prev, w0)
        states = [highway(h_prev, ch[:H], ch[H:], math.tanh)]
        for i in range(11):
            s_prev = states[arch[2 * i]]
            ch = product(s_prev, ws[i])
            states.append(highway(s_prev, ch[:H], ch[H:], functions[arch[2 * i + 1]]))
        return mean([states[i] for i in range(1, 12)])

    check(core, step)


# rnn/genotypes.py of quark0/darts.
DARTS_CELLS = {
    "v1": [
        *[("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3), ("relu", 4)],
        *[("identity", 1), ("relu", 5), ("relu", 1)],
    ],
    "v2": [
        *[("sigmoid", 0), ("relu", 1), ("relu", 1), ("identity", 1), ("tanh", 2)],
        *[("sigmoid", 5), ("tanh", 3), ("relu", 5)],
    ],
}


def darts_step(
    core: SearchedRecurrentCell,
    cell: list[tuple[str, int]],
    x_mask: Sequence[float] = (1.0,) * E,
    h_mask: Sequence[float] = (1.0,) * H,
) -> Step:
    """`DARTSCell.cell` of rnn/model.py, for one sequence with its two masks."""
    functions = {"tanh": math.tanh, "relu": relu, "sigmoid": sigmoid, "identity": identity}
    w0, *ws = gate_first(core)

    def times(values: Sequence[float], mask: Sequence[float]) -> list[float]:
        return [value * m for value, m in zip(values, mask, strict=True)]

    def step(x: list[float], h_prev: list[float]) -> list[float]:
        ch = product(times(x, x_mask) + times(h_prev, h_mask), w0)
        states = [highway(h_prev, ch[:H], ch[H:], math.tanh)]
        for (name, pred), w in zip(cell, ws, strict=True):
            ch = product(times(states[pred], h_mask), w)
            states.append(highway(states[pred], ch[:H], ch[H:], functions[name]))
        return mean([states[i] for i in range(1, 9)])

    return step


@pytest.mark.parametrize(
    ("genotype", "name"), [(DARTS_RNN_V1, "v1"), (DARTS_RNN_V2, "v2")], ids=["v1", "v2"]
)
def test_darts(genotype: RecurrentGenotype, name: str) -> None:
    core = core_of(genotype)
    check(core, darts_step(core, DARTS_CELLS[name]))


def test_darts_with_its_masks() -> None:
    # One mask for x and one for the states of all nodes, drawn once for all time steps; what is
    # kept is divided by the probability of keeping it. The highway is not masked.
    core = core_of(DARTS_RNN_V2, dropout=0.4)
    set_noise(core, seed=2, step=5)
    x_kept = core.dropout_input.noise.keep((1, 1, E), 0.4)[0, 0]
    h_kept = core.dropout_state.noise.keep((1, H), 0.4)[0]
    assert 0 < int(x_kept.sum()) < E
    assert 0 < int(h_kept.sum()) < H
    step = darts_step(core, DARTS_CELLS["v2"], (x_kept / 0.6).tolist(), (h_kept / 0.6).tolist())
    x = torch.randn(T, 1, E, dtype=torch.float64)
    h = [0.5] * H
    outputs, _ = core(x, (torch.tensor([h], dtype=torch.float64),))
    for t in range(T):
        h = step(x[t, 0].tolist(), h)
        expected = torch.tensor(h, dtype=torch.float64)
        torch.testing.assert_close(outputs[t, 0], expected, rtol=1e-6, atol=1e-6)
