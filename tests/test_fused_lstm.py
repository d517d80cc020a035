"""The LSTM layer as one operation: torch.nn.LSTM's numbers, and those of the loop over time steps."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from nas.recurrent import cells as recurrent_cells
from nas.recurrent import fused_lstm
from nas.recurrent.cells import LSTMLayer
from training.batching import Batching
from training.noise import generator
from training.replicates import Replicates

Results = list[Tensor]
INPUTS, HIDDEN, COLUMNS, STEPS = 3, 4, 5, 6


def layer(seed: int, second_bias: bool = True) -> LSTMLayer:
    made = LSTMLayer(INPUTS, HIDDEN, second_bias=second_bias)
    for name, parameter in made.named_parameters():
        nn.init.normal_(parameter, generator=generator(seed, name))
    return made


def given(*replicates: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input, h and c."""
    draw = generator(0, "given")

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*replicates, *shape, generator=draw).requires_grad_()

    return drawn(STEPS, COLUMNS, INPUTS), drawn(COLUMNS, HIDDEN), drawn(COLUMNS, HIDDEN)


def judged(outputs: Tensor, h: Tensor, c: Tensor) -> Tensor:
    """A number that follows from every element in another way."""
    results = (outputs, h, c)
    factors = [torch.linspace(-1, 2, t.numel()).reshape(t.shape) for t in results]
    return torch.stack([(t * f).sum() for t, f in zip(results, factors, strict=True)]).sum()


def test_it_is_the_lstm_of_torch_and_so_are_its_gradients() -> None:
    mine, (x, h, c) = layer(1), given()
    its = nn.LSTM(INPUTS, HIDDEN)
    rows = {
        "weight_ih_l0": mine.weight_input,
        "weight_hh_l0": mine.weight_hidden,
        "bias_ih_l0": mine.bias,
        "bias_hh_l0": mine.bias_hidden,
    }

    def in_its_order(tensor: Tensor) -> Tensor:
        i, f, o, g = tensor.chunk(4)
        return torch.cat([i, f, g, o])

    with torch.no_grad():
        for name, parameter in its.named_parameters():
            source = rows[name]
            assert source is not None
            parameter.copy_(in_its_order(source))
    outputs, after = mine(x, (h, c))
    expected, (last, cell) = its(x, (h[None], c[None]))
    torch.testing.assert_close((outputs, *after), (expected, last[0], cell[0]))
    found = torch.autograd.grad(judged(outputs, *after), [x, h, c, *mine.parameters()])
    theirs = torch.autograd.grad(judged(expected, last[0], cell[0]), [x, h, c, *its.parameters()])
    torch.testing.assert_close(found[:3], theirs[:3])
    own = dict(zip(dict(mine.named_parameters()), found[3:], strict=True))
    names = ("weight_input", "weight_hidden", "bias", "bias_hidden")
    for name, gradient in zip(names, theirs[3:], strict=True):
        torch.testing.assert_close(in_its_order(own[name]), gradient)


def results(replicates: Replicates, x: Tensor, h: Tensor, c: Tensor) -> Results:
    """What replicates `[R, ...]` give, and its gradients."""

    def run(network: nn.Module, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        outputs, after = network(x, (h, c))
        return outputs, *after

    found = replicates(run, x, h, c)
    sources = [x, h, c, *replicates.parameters()]
    return [*found, *torch.autograd.grad(judged(*found), sources)]


@pytest.mark.parametrize("batching", ["looped", "stacked"])
@pytest.mark.parametrize("count", [1, fused_lstm.FEW, fused_lstm.FEW + 1])
@pytest.mark.parametrize("second_bias", [False, True])
def test_it_is_the_loop_over_time_steps(
    count: int, batching: Batching, second_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [layer(seed, second_bias) for seed in range(count)]
    inputs = given(count)

    def run() -> Results:
        return results(Replicates(layers, range(count), batching), *inputs)

    fused = run()
    monkeypatch.setattr(recurrent_cells, "is_fused", lambda x: False)
    for one, other in zip(fused, run(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("count", "wide", "loops"),
    [(fused_lstm.FEW, 300, 0), (fused_lstm.FEW + 1, 300, 1), (fused_lstm.FEW + 1, HIDDEN, 0)],
)
def test_many_narrow_replicates_go_through_the_loop(
    count: int, wide: int, loops: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def noted(*tensors: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        taken.append(len(tensors[0]))
        return loop(*tensors)

    loop = fused_lstm._loop
    monkeypatch.setattr(fused_lstm, "WIDE", wide)
    monkeypatch.setattr(fused_lstm, "_loop", noted)
    results(Replicates([layer(s) for s in range(count)], range(count), "stacked"), *given(count))
    assert taken == [count] * loops


def test_without_gradients_it_gives_the_same() -> None:
    mine, (x, h, c) = layer(2), given()
    outputs, after = mine(x, (h, c))
    with torch.no_grad():
        again, last = mine(x, (h, c))
    assert not again.requires_grad
    torch.testing.assert_close((again, *last), (outputs, *after))


def test_only_fp32_on_a_cpu_is_fused() -> None:
    x = torch.ones(1)
    assert fused_lstm.is_fused(x)
    assert not fused_lstm.is_fused(x.double())
    assert not fused_lstm.is_fused(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not fused_lstm.is_fused(x)


def test_it_has_a_first_derivative_only() -> None:
    mine, (x, h, c) = layer(3), given()
    outputs, _ = mine(x, (h, c))
    with pytest.raises(RuntimeError, match="a first derivative only"):
        torch.autograd.grad(outputs.sum(), x, create_graph=True)


def test_what_was_kept_goes_with_the_outputs() -> None:
    mine, (x, h, c) = layer(4), given()
    outputs, _ = mine(x, (h, c))
    kept = weakref.ref(outputs.grad_fn.tape)
    gc.disable()
    try:
        del outputs, _
        assert kept() is None
    finally:
        gc.enable()
