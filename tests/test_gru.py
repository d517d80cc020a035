"""Gated recurrent units against torch's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.recurrent.gru import GRULayer, gru
from training.specs import TextSpec

T, B, E, H = 5, 3, 4, 6


def layer() -> GRULayer:
    torch.manual_seed(0)
    return GRULayer(E, H)


def test_it_equals_torch() -> None:
    theirs, ours = nn.GRU(E, H).double(), layer().double()
    with torch.no_grad():
        for their, our in zip(theirs.parameters(), ours.parameters(), strict=True):
            our.copy_(their)
    x = torch.randn(T, B, E, dtype=torch.float64)
    h = torch.randn(B, H, dtype=torch.float64)
    expected, last = theirs(x, h[None])
    outputs, state = ours(x, (h,))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(state, (last[0],))
    expected_gradients = torch.autograd.grad(expected.square().sum(), [*theirs.parameters()])
    gradients = torch.autograd.grad(outputs.square().sum(), [*ours.parameters()])
    torch.testing.assert_close(gradients, expected_gradients)


def test_one_unit_by_hand() -> None:
    # W = 0, U = 0, b = 0 but the update's bias at log 3: z = 3/4, n = 0, so h' = 3/4 h.
    core = GRULayer(1, 1)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.zero_()
        core.bias_input[1] = torch.tensor(3.0).log()
    outputs, _ = core(torch.ones(3, 1, 1), (torch.full((1, 1), 64.0),))
    torch.testing.assert_close(outputs.flatten(), torch.tensor([48.0, 36.0, 27.0]))


def test_state_is_carried() -> None:
    core, x = layer(), torch.randn(T, B, E)
    whole, end = core(x, core.initial_state(B))
    first, middle = core(x[:2], core.initial_state(B))
    rest, end_of_parts = core(x[2:], middle)
    torch.testing.assert_close(torch.cat([first, rest]), whole)
    torch.testing.assert_close(end_of_parts, end)


def test_bf16_autocast_keeps_the_state_in_float32() -> None:
    core, x = layer(), torch.randn(T, B, E)
    full: Tensor = core(x, core.initial_state(B))[0]
    with torch.autocast("cpu", torch.bfloat16):
        outputs, (h,) = core(x, core.initial_state(B))
    assert outputs.dtype == h.dtype == torch.float32
    assert not torch.equal(outputs, full)
    torch.testing.assert_close(outputs, full, rtol=0.05, atol=0.02)


def test_initial_weights_and_the_language_model() -> None:
    for parameter in GRULayer(9, 64).parameters():
        assert 0.11 < float(parameter.detach().abs().max()) <= 0.125
    network = gru(TextSpec(vocabulary=7), embedding=E, hidden=H, layers=3)
    assert [s.shape[1] for s in network.initial_state(1)] == [H, H, E]
    tokens = torch.randint(7, (T, B))
    trained = network(tokens, network.initial_state(B)).logits
    assert torch.equal(network.eval()(tokens, network.initial_state(B)).logits, trained)
