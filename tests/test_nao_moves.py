"""NAO's steps along the predictor's gradient: they climb, and what they lead to is new."""

from __future__ import annotations

import pytest
import torch

from nas.search import nao_moves
from nas.search.nao_config import NAO_DEFAULTS
from nas.search.nao_moves import moved, new_architectures
from nas.search.nao_network import Surrogate, surrogate
from nas.search.nao_scale import scale_of
from nas.search.nao_training import predicted_performance, train_surrogate
from nas.search.space import Choices, Space
from tests.tiny_nao import CELLS, SPACES, TINY, drawn, tiny
from training.noise import generator


def trained(space: Space, rows: list[Choices]) -> Surrogate:
    zeros = [float(row.count(0)) for row in rows]
    performance = [scale_of(zeros).performance(count) for count in zeros]
    return train_surrogate(space, TINY, rows, performance, seed=0, round_number=1).network


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_small_step_climbs_and_states_keep_their_length(space: Space) -> None:
    network = surrogate(space, TINY, generator(0, "test")).eval()
    encoded = network.encoder(network.words.tokens(drawn(space, 10))).detach()
    there = moved(network, encoded, 0.1)
    assert (network.predict(there) > network.predict(encoded)).all()
    torch.testing.assert_close(there.norm(dim=-1), torch.ones(there.shape[:2]))
    torch.testing.assert_close(moved(network, encoded, 0.0), encoded)


def test_a_step_written_out() -> None:
    network = surrogate(CELLS, tiny(predictor_layers=0), generator(0, "test")).eval()
    states = network.encoder(network.words.tokens(drawn(CELLS, 1))).detach()
    weight, bias = network.predictor.output.weight[0].detach(), network.predictor.output.bias
    # f = sigmoid(w m / |m| + b) of the mean m of S states, so that df/dh = f (1 - f) (w - (w n) n) / (S |m|).
    mean = states[0].mean(0)
    unit = mean / mean.norm()
    value = torch.sigmoid(weight @ unit + bias).detach()
    gradient = (
        value * (1 - value) * (weight - (weight @ unit) * unit) / (len(states[0]) * mean.norm())
    )
    expected = states[0] + 2.0 * gradient
    expected /= expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(moved(network, states, 2.0)[0], expected)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_what_is_found_is_new_and_different(space: Space) -> None:
    rows = drawn(space, 30)
    network = trained(space, rows)
    moves = new_architectures(network, space, TINY, rows[:10], rows)
    found = [space.canonical(move.choices) for move in moves]
    assert 0 < len(set(found)) == len(found) <= TINY.new
    assert not set(found) & {space.canonical(row) for row in rows}
    sizes = [move.step_size for move in moves]
    assert sizes == sorted(sizes)
    assert {move.parent for move in moves} <= set(rows[:10])
    predicted = predicted_performance(network, [move.choices for move in moves])
    assert [move.predicted for move in moves] == pytest.approx(predicted, abs=1e-6)
    before = predicted_performance(network, [move.parent for move in moves])
    assert [move.predicted_before for move in moves] == pytest.approx(before, abs=1e-6)


def test_no_more_than_are_wanted_and_none_beyond_the_largest_step() -> None:
    rows = drawn(CELLS, 30)
    network = trained(CELLS, rows)
    assert len(new_architectures(network, CELLS, tiny(new=2), rows, rows)) == 2
    moves = new_architectures(network, CELLS, tiny(new=1000, step=10, largest_step=25), rows, rows)
    assert {move.step_size for move in moves} <= {10, 20}


def test_the_last_step_of_nao_pytorch_is_51(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its loop ends once a step that it has taken is above 50 (train_search.py).
    rows, taken = drawn(CELLS, 3), []

    def nowhere(network: Surrogate, encoded: torch.Tensor, step_size: float) -> torch.Tensor:
        taken.append(step_size)
        return encoded

    monkeypatch.setattr(nao_moves, "moved", nowhere)
    network = surrogate(CELLS, TINY, generator(0, "test")).eval()
    known = [*rows, *network.decode(network.encoder(network.words.tokens(rows)).detach())]
    for sharing, sizes in ((True, [*range(1, 52)]), (False, [10, 20, 30])):
        taken.clear()
        assert new_architectures(network, CELLS, NAO_DEFAULTS["cell", sharing], rows, known) == []
        assert taken == sizes
    recurrent = NAO_DEFAULTS["recurrent", True]
    assert (recurrent.step, recurrent.largest_step) == (1, 30)
