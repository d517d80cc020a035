"""Recurrent cores against torch's LSTM and the equations; under vmap and autocast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nas.genotypes.published import ENAS_LM, ENAS_RNN
from nas.genotypes.values import ACTIVATIONS as ACTIVATION_WORDS
from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import LSTMLayer, RecurrentCore, SearchedRecurrentCell
from nas.recurrent.pointwise import ACTIVATIONS
from training.dropout import set_noise

T, B, E, H = 5, 3, 4, 6


def lstm(dropconnect: float = 0.0) -> LSTMLayer:
    torch.manual_seed(0)
    return LSTMLayer(E, H, dropconnect)


def searched(
    dropout_input: float = 0.0,
    dropout_state: float = 0.0,
    genotype: RecurrentGenotype = ENAS_RNN,
) -> SearchedRecurrentCell:
    torch.manual_seed(0)
    return SearchedRecurrentCell(genotype, E, H, dropout_input, dropout_state)


Make = Callable[[float], RecurrentCore]
CORES = [
    pytest.param(lstm, id="lstm"),
    pytest.param(lambda p: searched(p, p), id="searched"),
]


def run(core: RecurrentCore, x: Tensor, seed: int = 0, step: int = 0) -> Tensor:
    set_noise(core, seed, step)
    outputs: Tensor = core(x, core.initial_state(x.shape[1]))[0]
    return outputs


def test_every_activation_word_has_a_function() -> None:
    assert ACTIVATIONS.keys() == ACTIVATION_WORDS


def reordered(tensor: Tensor) -> Tensor:
    """Rows in our order (i, f, o, g), from torch's (i, f, g, o)."""
    i, f, g, o = tensor.chunk(4)
    return torch.cat([i, f, o, g])


def test_lstm_equals_torch() -> None:
    theirs, ours = nn.LSTM(E, H).double(), lstm().double()
    weights = dict(theirs.named_parameters())
    with torch.no_grad():
        ours.weight_input.copy_(reordered(weights["weight_ih_l0"]))
        ours.weight_hidden.copy_(reordered(weights["weight_hh_l0"]))
        ours.bias.copy_(reordered(weights["bias_ih_l0"] + weights["bias_hh_l0"]))
    x = torch.randn(T, B, E, dtype=torch.float64)
    h, c = torch.randn(2, B, H, dtype=torch.float64)
    expected, (h_n, c_n) = theirs(x, (h[None], c[None]))
    outputs, state = ours(x, (h, c))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(state, (h_n[0], c_n[0]))
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), [weights["weight_hh_l0"]])
    (gradient,) = torch.autograd.grad(outputs.square().sum(), [ours.weight_hidden])
    torch.testing.assert_close(gradient, reordered(expected_gradient))


def test_initial_weights_are_uniform_within_a_bound() -> None:
    # An LSTM's is 1 / sqrt(hidden), that of a searched cell is given.
    cores = {0.125: LSTMLayer(9, 64), 0.07: SearchedRecurrentCell(ENAS_LM, 9, 64, bound=0.07)}
    for bound, core in cores.items():
        for parameter in core.parameters():
            assert 0.9 * bound < parameter.abs().max() <= bound


def test_initial_state_is_zero_and_as_precise_as_the_weights() -> None:
    h, c = lstm().double().initial_state(B)
    assert h.shape == c.shape == (B, H)
    assert h.dtype == torch.float64
    assert not h.any()
    assert [s.shape for s in searched().initial_state(2)] == [(2, H)]


@pytest.mark.parametrize("genotype", [ENAS_RNN, ENAS_LM], ids=["loose-ends", "all-nodes"])
def test_searched_cell_equals_its_equations(genotype: RecurrentGenotype) -> None:
    core = searched(genotype=genotype).double()
    functions: dict[str, Callable[[float], Tensor]] = {
        "tanh": lambda v: torch.tanh(torch.tensor(v, dtype=torch.float64)),
        "relu": lambda v: torch.tensor(max(v, 0.0), dtype=torch.float64),
        "sigmoid": lambda v: 1 / (1 + torch.exp(torch.tensor(-v, dtype=torch.float64))),
        "identity": lambda v: torch.tensor(v, dtype=torch.float64),
    }

    def highway(weight: Tensor, read: Tensor, before: Tensor, activation: str) -> Tensor:
        product = weight @ read
        after = before.clone()
        for unit in range(H):
            candidate = functions[activation](float(product[unit]))
            gate = functions["sigmoid"](float(product[H + unit]))
            after[unit] = before[unit] + gate * (candidate - before[unit])
        return after

    x = torch.randn(T, B, E, dtype=torch.float64)
    h0 = torch.randn(B, H, dtype=torch.float64)
    outputs, (last,) = core(x, (h0,))
    with torch.no_grad():
        for b in range(B):
            h = h0[b]
            for t in range(T):
                first = torch.cat([core.weight_input, core.weight_hidden], dim=1)
                states = [highway(first, torch.cat([x[t, b], h]), h, genotype.first)]
                for (previous, word), weight in zip(genotype.nodes, core.weight_nodes, strict=True):
                    states.append(highway(weight, states[previous], states[previous], word))
                h = sum((states[n] for n in genotype.output), torch.zeros(())) / len(
                    genotype.output
                )
                torch.testing.assert_close(outputs[t, b], h)
            torch.testing.assert_close(last[b], h)


def test_state_is_carried() -> None:
    for core in (lstm(), searched()):
        x = torch.randn(T, B, E)
        whole, end = core(x, core.initial_state(B))
        first, middle = core(x[:2], core.initial_state(B))
        rest, end_of_parts = core(x[2:], middle)
        torch.testing.assert_close(torch.cat([first, rest]), whole)
        torch.testing.assert_close(end_of_parts, end)


def test_dropconnect_drops_weights_and_leaves_them_as_they_are() -> None:
    core, x = lstm(0.5), torch.randn(T, B, E)
    before = core.weight_hidden.clone()
    dropped = run(core, x)
    assert torch.equal(core.weight_hidden, before)
    assert not torch.allclose(dropped, run(lstm(0.0), x))
    assert not torch.allclose(dropped, run(core, x, step=1))
    torch.testing.assert_close(run(core.eval(), x), run(lstm(0.0), x))


def test_dropped_weights_get_no_gradient() -> None:
    core, x = lstm(0.5), torch.randn(T, B, E)
    (gradient,) = torch.autograd.grad(run(core, x).sum(), [core.weight_hidden])
    kept = core.dropconnect.noise.keep(core.weight_hidden.shape, 0.5)
    assert torch.equal(gradient != 0, kept)
    assert 0 < int(kept.sum()) < kept.numel()


def test_dropconnect_scales_what_it_keeps() -> None:
    core, x = lstm(0.5), torch.randn(T, B, E)
    outputs = run(core, x)
    kept = core.dropconnect.noise.keep(core.weight_hidden.shape, 0.5)
    plain = lstm()
    with torch.no_grad():
        plain.weight_hidden.mul_(kept * 2.0)
    torch.testing.assert_close(outputs, run(plain, x))


def test_state_mask_is_constant_over_time_and_differs_per_sequence() -> None:
    # One node that only reads state 0, whose candidate is the masked state itself: with a weight of
    # zero for the gates every gate is a half.
    genotype = RecurrentGenotype(first="identity", nodes=(), output=(0,))
    core = SearchedRecurrentCell(genotype, H, H, dropout_state=0.5)
    with torch.no_grad():
        core.weight_input.zero_()
        core.weight_hidden.zero_()
        core.weight_hidden[:H] = torch.eye(H)
    set_noise(core, seed=1, step=0)
    state = torch.ones(B, H)
    outputs, _ = core(torch.zeros(T, B, H), (state,))
    # s = h + (m h - h) / 2 = h (1 + m) / 2, with m = 2 where kept and 0 where dropped.
    kept = core.dropout_state.noise.keep((B, H), 0.5)
    factor = torch.where(kept, 1.5, 0.5)
    expected = torch.stack([factor ** (t + 1) for t in range(T)])
    torch.testing.assert_close(outputs, expected)
    assert len({tuple(row) for row in kept.tolist()}) == B


def test_input_mask_is_constant_over_time() -> None:
    core = searched(dropout_input=0.5)
    x = torch.ones(T, B, E, requires_grad=True)
    set_noise(core, seed=3, step=0)
    core(x, core.initial_state(B))[0].sum().backward()
    assert x.grad is not None
    seen = x.grad != 0
    assert torch.equal(seen, seen[:1].expand_as(seen))
    assert len({tuple(row) for row in seen[0].tolist()}) > 1


def test_one_state_mask_serves_all_nodes() -> None:
    # A unit that is dropped at the first transform is dropped at every node: no gradient reaches
    # the weights that read it.
    core = searched(dropout_state=0.5)
    set_noise(core, seed=0, step=0)
    x = torch.randn(T, 1, E)
    core(x, (torch.ones(1, H),))[0].sum().backward()
    dropped = ~core.dropout_state.noise.keep((1, H), 0.5)[0]
    assert 0 < int(dropped.sum()) < H
    for weight in [core.weight_hidden, *core.weight_nodes]:
        assert weight.grad is not None
        assert not weight.grad[:, dropped].any()
        assert weight.grad[:, ~dropped].any()


@pytest.mark.parametrize("make", CORES)
def test_bf16_autocast_keeps_the_state_in_float32(make: Make) -> None:
    core = make(0.3)
    x = torch.randn(T, B, E)
    full = run(core, x)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = core(x, core.initial_state(B))
    assert {tensor.dtype for tensor in (outputs, *state)} == {torch.float32}
    outputs.sum().backward()
    assert not torch.equal(outputs, full)
    torch.testing.assert_close(outputs, full, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("make", CORES)
def test_stacked_equals_looped_with_dropout(make: Make) -> None:
    core = make(0.4)
    replicates: list[nn.Module] = []
    for seed in range(3):
        replicate = make(0.4)
        with torch.no_grad():
            for parameter in replicate.parameters():
                parameter.add_(0.1 * seed)
        set_noise(replicate, seed, step=7)
        replicates.append(replicate)
    parameters, buffers = stack_module_state(replicates)
    x = torch.randn(3, T, B, E)
    states = tuple(s.expand(3, *s.shape) for s in core.initial_state(B))

    def forward(
        p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        out: tuple[Tensor, tuple[Tensor, ...]] = functional_call(core, (p, b), (x, state))
        return out

    outputs, after = vmap(forward)(parameters, buffers, x, *states)
    gradients = torch.autograd.grad(outputs.square().sum(), list(parameters.values()))
    for r, one in enumerate(replicates):
        alone, state = one(x[r], core.initial_state(B))
        torch.testing.assert_close(outputs[r], alone)
        torch.testing.assert_close(tuple(s[r] for s in after), state)
        own = torch.autograd.grad(alone.square().sum(), list(one.parameters()))
        for mine, all_of_them in zip(own, gradients, strict=True):
            torch.testing.assert_close(all_of_them[r], mine, rtol=1e-4, atol=1e-5)
