"""The ordered LSTM against its equations, its published size, and what its master gates promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nas.catalog.building import build
from nas.recurrent.awd_lstm import awd_lstm
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.on_lstm import OrderedLSTMLayer, gate_distances, on_lstm
from training.dropout import set_noise
from training.errors import LotteryError
from training.specs import TextSpec

T, B, V, E, H, C = 5, 3, 11, 4, 6, 2
CHUNKS = H // C


def layer(dropconnect: float = 0.0) -> OrderedLSTMLayer:
    torch.manual_seed(0)
    return OrderedLSTMLayer(E, H, C, dropconnect)


def model() -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"dropout_embedding": 0.1, "dropout_input": 0.2, "dropout_hidden": 0.3}
    return on_lstm(
        TextSpec(vocabulary=V),
        embedding=E,
        hidden=H,
        layers=3,
        chunk=C,
        dropout_output=0.2,
        dropconnect=0.3,
        **sizes,
    )


def run(core: OrderedLSTMLayer, x: Tensor, step: int = 0) -> Tensor:
    set_noise(core, 0, step)
    outputs: Tensor = core(x, core.initial_state(x.shape[1]))[0]
    return outputs


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def cumax(values: list[float]) -> list[float]:
    total = sum(map(math.exp, values))
    return [sum(map(math.exp, values[: k + 1])) / total for k in range(len(values))]


def one_step(gates: list[float], c: list[float]) -> tuple[list[float], list[float], float, float]:
    """Equations 9 to 15, a unit at a time: h, c, and the two distances."""
    master_input = [1 - value for value in cumax(gates[:CHUNKS])]
    master_forget = cumax(gates[CHUNKS : 2 * CHUNKS])
    units = gates[2 * CHUNKS :]
    h_after, c_after = [], []
    for unit in range(H):
        i, f, o = (sigmoid(units[k * H + unit]) for k in range(3))
        g = math.tanh(units[3 * H + unit])
        i_master, f_master = master_input[unit // C], master_forget[unit // C]
        w = i_master * f_master
        c_new = (f * w + f_master - w) * c[unit] + (i * w + i_master - w) * g
        c_after.append(c_new)
        h_after.append(o * math.tanh(c_new))
    return h_after, c_after, 1 - sum(master_forget) / CHUNKS, sum(master_input) / CHUNKS


def test_it_equals_its_equations() -> None:
    core = layer().double()
    x = torch.randn(T, B, E, dtype=torch.float64)
    h0, c0 = torch.randn(2, B, H, dtype=torch.float64)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(3.0)
        outputs, (h_end, c_end), distances = core.with_distances(x, (h0, c0))
        torch.testing.assert_close(core(x, (h0, c0))[0], outputs)
        for b in range(B):
            h, c = h0[b], c0[b].tolist()
            for t in range(T):
                gates = core.weight_input @ x[t, b] + core.bias_input
                gates = gates + core.weight_hidden @ h + core.bias_hidden
                new, c, forget, entered = one_step(gates.tolist(), c)
                h = torch.tensor(new, dtype=torch.float64)
                torch.testing.assert_close(outputs[t, b], h)
                assert float(distances.forget[t, b]) == pytest.approx(forget)
                assert float(distances.input[t, b]) == pytest.approx(entered)
            torch.testing.assert_close(h_end[b], h)
            torch.testing.assert_close(c_end[b], torch.tensor(c, dtype=torch.float64))


def test_published_parameter_count() -> None:
    # V E + V, and per layer (4 h + 2 h / 10) rows of (in + h) weights and two biases.
    layers = {(400, 1150): 7_496_160, (1150, 1150): 11_118_660, (1150, 400): 2_607_360}
    for (inputs, h), expected in layers.items():
        assert (4 * h + 2 * (h // 10)) * (inputs + h + 2) == expected
    with torch.device("meta"):
        network = build("on-lstm", {}, TextSpec(vocabulary=10_000), torch.Generator("cpu"))
    assert isinstance(network, LanguageModel)
    counts = [sum(p.numel() for p in core.parameters()) for core in network.cores]
    assert counts == [*layers.values()]
    assert sum(p.numel() for p in network.parameters()) == 4_010_000 + sum(counts) == 25_232_180


def test_gates_at_zero_by_hand() -> None:
    # Softmax is 1/3 everywhere: f~ = (1/3, 2/3, 1), i~ = (2/3, 1/3, 0), w = (2/9, 2/9, 0). With
    # f = i = o = 1/2 and g = 0, c' = (f w + f~ - w) c = (f~ - w/2) c = (2/9, 5/9, 1) c.
    core = layer()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.zero_()
    state = (torch.zeros(1, H), torch.full((1, H), 9.0))
    _, (h, c), distances = core.with_distances(torch.zeros(1, 1, E), state)
    torch.testing.assert_close(c[0], torch.tensor([2.0, 2.0, 5.0, 5.0, 9.0, 9.0]))
    torch.testing.assert_close(h, c.tanh() / 2)
    torch.testing.assert_close(distances.forget, torch.tensor([[1 / 3]]))
    torch.testing.assert_close(distances.input, torch.tensor([[1 / 3]]))


@given(scale=st.floats(0.0, 30.0), seed=st.integers(0, 1000))
def test_distances_are_shares(scale: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(T, B, E, generator=draw) * scale
    core = layer()
    with torch.no_grad():
        outputs, _, distances = core.with_distances(x, core.initial_state(B))
    # f~ ends at 1 and i~ at 0, so neither distance reaches 1, and the last chunk stays at zero.
    torch.testing.assert_close(outputs[..., -C:], torch.zeros(T, B, C), rtol=0, atol=1e-5)
    for distance in distances:
        assert distance.shape == (T, B)
        assert -1e-5 <= float(distance.min()) <= float(distance.max()) <= 1 - 1 / CHUNKS + 1e-5
    assert float(outputs.abs().max()) < 1


def test_dropconnect_is_the_releases_in_inverted_form() -> None:
    # The release trains with W_r * kept and evaluates with (1 - p) W_r; W = (1 - p) W_r.
    p = 0.25
    core, plain, x = layer(p), layer(), torch.randn(T, B, E)
    released = core.weight_hidden.detach() / (1 - p)
    trained = run(core, x)
    kept = core.dropconnect.noise.keep(core.weight_hidden.shape, p)
    assert 0 < int(kept.sum()) < kept.numel()
    with torch.no_grad():
        plain.weight_hidden.copy_(released * kept)
    torch.testing.assert_close(trained, run(plain, x))
    with torch.no_grad():
        plain.weight_hidden.copy_((1 - p) * released)
    torch.testing.assert_close(run(core.eval(), x), run(plain, x))


def test_dropconnect_leaves_the_weights_as_they_are() -> None:
    core, x = layer(0.5), torch.randn(T, B, E)
    before = core.weight_hidden.detach().clone()
    outputs = run(core, x)
    (gradient,) = torch.autograd.grad(outputs.sum(), [core.weight_hidden])
    kept = core.dropconnect.noise.keep(core.weight_hidden.shape, 0.5)
    assert not gradient[~kept].any()
    assert torch.equal(core.weight_hidden, before)
    assert not torch.allclose(outputs, run(layer(), x))
    assert not torch.allclose(outputs, run(core, x, step=1))


def test_initial_values_are_within_one_over_sqrt_of_what_is_read() -> None:
    core = OrderedLSTMLayer(16, 64, 8)
    for parameter in (core.weight_input, core.bias_input):
        assert 0.22 < float(parameter.detach().abs().max()) <= 0.25
    for parameter in (core.weight_hidden, core.bias_hidden):
        assert 0.11 < float(parameter.detach().abs().max()) <= 0.125


def test_state_is_carried() -> None:
    core, x = layer(), torch.randn(T, B, E)
    whole, end = core(x, core.initial_state(B))
    first, middle = core(x[:2], core.initial_state(B))
    rest, end_of_parts = core(x[2:], middle)
    torch.testing.assert_close(torch.cat([first, rest]), whole)
    torch.testing.assert_close(end_of_parts, end)


def test_bf16_autocast_keeps_state_and_gates_in_float32() -> None:
    core, x = layer(0.3), torch.randn(T, B, E)
    full = run(core, x)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state, distances = core.with_distances(x, core.initial_state(B))
    assert {tensor.dtype for tensor in (outputs, *state, *distances)} == {torch.float32}
    assert not torch.equal(outputs, full)
    torch.testing.assert_close(outputs, full, rtol=0.05, atol=0.02)


def test_stacked_equals_alone_with_dropconnect() -> None:
    core, replicates = layer(0.4), [layer(0.4) for _ in range(2)]
    with torch.no_grad():
        replicates[1].weight_hidden.mul_(2.0)
    for seed, replicate in enumerate(replicates):
        set_noise(replicate, seed, step=7)
    modules: list[nn.Module] = [*replicates]
    parameters, buffers = stack_module_state(modules)
    x = torch.randn(2, T, B, E)
    states = tuple(s.expand(2, *s.shape) for s in core.initial_state(B))

    def forward(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor, *state: Tensor) -> Tensor:
        outputs: Tensor = functional_call(core, (p, b), (x, state))[0]
        return outputs

    outputs = vmap(forward)(parameters, buffers, x, *states)
    gradients = torch.autograd.grad(outputs.square().sum(), [*parameters.values()])
    for r, replicate in enumerate(replicates):
        alone = replicate(x[r], replicate.initial_state(B))[0]
        torch.testing.assert_close(outputs[r], alone)
        own = torch.autograd.grad(alone.square().sum(), [*replicate.parameters()])
        for mine, of_all in zip(own, gradients, strict=True):
            torch.testing.assert_close(of_all[r], mine, rtol=1e-4, atol=1e-5)


def test_the_distances_of_every_layer_of_a_network() -> None:
    network = model().eval()
    tokens = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(1))
    expected = network(tokens, network.initial_state(B))
    distances, state = gate_distances(network, tokens, network.initial_state(B))
    assert distances.forget.shape == distances.input.shape == (3, T, B)
    torch.testing.assert_close(state, expected.state)
    x = network.embedding.weight[tokens]
    for index, core in enumerate(network.cores):
        assert isinstance(core, OrderedLSTMLayer)
        x, _, own = core.with_distances(x, core.initial_state(B))
        torch.testing.assert_close(distances.forget[index], own.forget)
        torch.testing.assert_close(distances.input[index], own.input)
    torch.testing.assert_close(expected.raw, x)
    first, between = gate_distances(network, tokens[:2], network.initial_state(B))
    rest, _ = gate_distances(network, tokens[2:], between)
    torch.testing.assert_close(torch.cat([first.forget, rest.forget], 1), distances.forget)


def test_only_ordered_layers_have_distances() -> None:
    plain = awd_lstm(TextSpec(vocabulary=V), embedding=E, hidden=H, layers=1)
    with pytest.raises(TypeError, match="LSTMLayer has no master gates"):
        gate_distances(plain, torch.zeros(T, B, dtype=torch.int64), plain.initial_state(B))


def test_chunks_fill_every_layer() -> None:
    with pytest.raises(
        LotteryError, match="Layers of 1150 and 400 units can't be cut into chunks of 7; "
    ):
        build("on-lstm", {"chunk": 7}, TextSpec(vocabulary=V), torch.Generator())
