"""The language model: its dropouts, its tied decoder, its state, and the AWD-LSTM."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nas.recurrent.awd_lstm import awd_lstm
from nas.recurrent.cells import LSTMLayer, RecurrentCore
from nas.recurrent.language_model import LanguageModel
from training.dropout import Dropout, set_noise
from training.specs import TextSpec

T, B, V, E, H = 6, 3, 11, 4, 5


def model(**dropouts: float) -> LanguageModel:
    torch.manual_seed(0)
    spec = TextSpec(vocabulary=V)
    return awd_lstm(spec, embedding=E, hidden=H, layers=3, second_bias=0, tied=1, **dropouts)


def tokens() -> torch.Tensor:
    return torch.randint(V, (T, B), generator=torch.Generator().manual_seed(1))


def test_an_untied_decoder_has_a_matrix_of_its_own() -> None:
    assert model().decoder_weight is None
    untied = awd_lstm(TextSpec(vocabulary=V), embedding=E, hidden=H, layers=1, tied=0)
    assert untied.decoder_weight is not None
    state = untied.initial_state(B)
    _, _, dropped, _ = untied(tokens(), state)
    expected = dropped @ untied.decoder_weight.t() + untied.decoder_bias
    torch.testing.assert_close(untied(tokens(), state).logits, expected)
    expected[0].sum().backward()
    assert untied.decoder_weight.grad is not None


def test_forward_is_embedding_layers_and_tied_decoder() -> None:
    network = model()
    assert network.decoder_bias is not None
    with torch.no_grad():
        network.decoder_bias.uniform_(-1, 1)
    logits, state, dropped, raw = network(tokens(), network.initial_state(B))
    assert logits.shape == (T, B, V)
    x = network.embedding.weight[tokens()]
    expected_state: list[torch.Tensor] = []
    for core in network.cores:
        assert isinstance(core, RecurrentCore)
        x, own = core(x, core.initial_state(B))
        expected_state += own
    torch.testing.assert_close(logits, x @ network.embedding.weight.t() + network.decoder_bias)
    assert torch.equal(dropped, raw)
    torch.testing.assert_close(raw, x)
    torch.testing.assert_close(list(state), expected_state)
    assert [s.shape[1] for s in state] == [H, H, H, H, E, E]


def test_initial_weights() -> None:
    network = awd_lstm(TextSpec(vocabulary=500), embedding=20, hidden=H, layers=1)
    assert 0.099 < network.embedding.weight.abs().max() <= 0.1
    assert network.decoder_bias is not None
    assert not network.decoder_bias.any()
    names = [name for name, _ in network.named_parameters()]
    assert sum("embedding" in name or "decoder" in name for name in names) == 2


def test_state_is_carried_from_window_to_window() -> None:
    network = model()
    whole = network(tokens(), network.initial_state(B)).logits
    first, state, *_ = network(tokens()[:2], network.initial_state(B))
    rest = network(tokens()[2:], state).logits
    torch.testing.assert_close(torch.cat([first, rest]), whole)


def test_embedding_dropout_drops_whole_words_on_the_way_in_only() -> None:
    network = model(dropout_embedding=0.5)
    set_noise(network, seed=2, step=0)
    kept = network.dropout_embedding.noise.keep((V, 1), 0.5)
    assert 0 < int(kept.sum()) < V
    logits = network(tokens(), network.initial_state(B)).logits
    reference = model()
    state = reference.initial_state(B)
    x = (F.embedding(tokens(), reference.embedding.weight) * 2.0) * kept[tokens()]
    for index, core in enumerate(reference.cores):
        x, _ = core(x, state[2 * index : 2 * index + 2])
    torch.testing.assert_close(logits, x @ reference.embedding.weight.t())


@pytest.mark.parametrize(
    "name",
    ["dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output", "dropconnect"],
)
def test_each_dropout_acts_while_training_only(name: str) -> None:
    network, plain = model(**{name: 0.5}), model()
    set_noise(network, seed=0, step=0)
    trained = network(tokens(), network.initial_state(B))[0]
    expected = plain(tokens(), plain.initial_state(B))[0]
    assert not torch.allclose(trained, expected)
    network.eval()
    evaluated = network(tokens(), network.initial_state(B))[0]
    torch.testing.assert_close(evaluated, expected)


def test_locked_dropouts_sit_between_and_above_the_cores() -> None:
    network = model(dropout_input=0.1, dropout_hidden=0.2, dropout_output=0.3)
    above = [d for d in network.dropouts_above if isinstance(d, Dropout)]
    assert [d.p for d in above] == [0.2, 0.2, 0.3]
    assert all(d.shared == (0,) for d in [network.dropout_input, *above])


def test_the_last_output_is_returned_raw_and_dropped() -> None:
    network = model(dropout_output=0.5)
    set_noise(network, seed=1, step=0)
    logits, _, dropped, raw = network(tokens(), network.initial_state(B))
    above = network.dropouts_above[2]
    assert isinstance(above, Dropout)
    kept = above.noise.keep((1, B, E), 0.5)
    torch.testing.assert_close(dropped, raw * kept * 2.0)
    torch.testing.assert_close(logits, dropped @ network.embedding.weight.t())
    plain = model()
    torch.testing.assert_close(raw, plain(tokens(), plain.initial_state(B)).raw)
    network.eval()
    evaluated = network(tokens(), network.initial_state(B))
    assert torch.equal(evaluated.dropped, evaluated.raw)


def test_regularisation_of_outputs_reaches_the_weights() -> None:
    # As a task does it: mean squares of the dropped outputs and of the raw ones' differences.
    network = model(dropout_output=0.5)
    set_noise(network, seed=1, step=0)
    _, _, dropped, raw = network(tokens(), network.initial_state(B))
    (dropped.square().mean() + (raw[1:] - raw[:-1]).square().mean()).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.cores.parameters())
    assert network.decoder_bias is not None
    assert network.decoder_bias.grad is None


@pytest.mark.parametrize("locked", [True, False])
def test_locked_masks_are_constant_over_time_and_differ_per_sequence(locked: bool) -> None:
    torch.manual_seed(0)
    core = LSTMLayer(12, 12)
    network = LanguageModel(V, 12, [core], dropout_output=0.5, locked=locked)
    set_noise(network, seed=3, step=0)
    output = network(tokens(), network.initial_state(B))
    kept = output.dropped != 0
    assert torch.equal(kept, kept[:1].expand_as(kept)) == locked
    assert len({tuple(row) for row in kept[0].tolist()}) == B
    set_noise(network, seed=3, step=1)
    assert not torch.equal(network(tokens(), network.initial_state(B)).dropped != 0, kept)


def test_a_tied_decoder_needs_a_core_of_its_width() -> None:
    with pytest.raises(ValueError, match="as wide as the embedding"):
        LanguageModel(V, E, [LSTMLayer(E, H)])
    with pytest.raises(ValueError, match="as wide as the embedding"):
        LanguageModel(V, E, [])
