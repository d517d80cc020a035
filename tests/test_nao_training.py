"""Training of NAO's surrogate: worked losses and accuracies, symmetry, and learning by heart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.search.cell_space import CellSpace
from nas.search.nao_config import NaoConfig
from nas.search.nao_network import Surrogate
from nas.search.nao_scale import scale_of
from nas.search.nao_training import (
    Learner,
    kendall,
    learner_of,
    new_learner,
    pairwise_accuracy,
    predicted_performance,
    quality,
    surrogate_loss,
    train_surrogate,
)
from nas.search.space import Choices, Space, random_choices
from tests.tiny_nao import CELLS, LAYERS, RECURRENT, SPACES, drawn, tiny


def test_the_loss_written_out() -> None:
    # Squared errors 0.01 and 0.09; the right tokens have probabilities 1/2 and 1/4.
    predicted, real = torch.tensor([0.4, 0.8]), torch.tensor([0.5, 0.5])
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3.0)]]])
    tokens = torch.tensor([[1], [0]])
    loss = surrogate_loss(predicted, real, logits, tokens, trade_off=0.8)
    assert float(loss) == pytest.approx(0.8 * 0.05 + 0.2 * (math.log(2) + math.log(4)) / 2)


@pytest.mark.parametrize(
    ("real", "predicted", "accuracy"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], 0.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 5 / 6),
        ([1, 2, 3], [5, 5, 6], 2.5 / 3),  # a draw is half right
        ([1, 1, 2], [1, 9, 3], 1 / 2),  # the pair that is equally good is none
    ],
)
def test_pairwise_accuracy(real: list[float], predicted: list[float], accuracy: float) -> None:
    assert pairwise_accuracy(real, predicted) == pytest.approx(accuracy)


def test_kendall_written_out() -> None:
    # Five of six pairs agree: (5 - 1) / 6.
    assert kendall([1, 2, 3, 4], [0.1, 0.2, 0.4, 0.3]) == pytest.approx(4 / 6)


def test_no_order_to_predict() -> None:
    assert math.isnan(pairwise_accuracy([2.0, 2.0], [0.0, 1.0]))
    assert math.isnan(kendall([2.0, 2.0], [0.0, 1.0]))
    assert math.isnan(kendall([0.0, 1.0], [0.5, 0.5]))
    assert math.isnan(kendall([1.0], [1.0]))


def test_a_swap_written_out() -> None:
    space = CellSpace(nodes=1)
    row = (0, 2, 1, 4, 1, 0, 0, 3)
    assert space.swapped(row, Random(0)) == (1, 4, 0, 2, 0, 3, 1, 0)
    assert space.canonical(row) == (0, 2, 1, 4, 0, 3, 1, 0)


@given(seed=st.integers(0, 10**6), nodes=st.integers(1, 5))
def test_a_swap_changes_nothing_that_counts(seed: int, nodes: int) -> None:
    space, draws = CellSpace(nodes=nodes), Random(seed)
    row = random_choices(space, draws)
    other = space.swapped(row, draws)
    assert space.canonical(other) == space.canonical(row)
    before, after = space.genotype(row), space.genotype(other)
    for one, two in ((before.normal, after.normal), (before.reduction, after.reduction)):
        assert [sorted(node) for node in one.nodes] == [sorted(node) for node in two.nodes]
        assert one.output == two.output


@pytest.mark.parametrize("space", [LAYERS, RECURRENT])
def test_other_spaces_have_no_order_of_edges(space: Space) -> None:
    for row in drawn(space, 10):
        assert space.canonical(row) == row


def performance(rows: list[Choices]) -> list[float]:
    """The share of decisions that are 0."""
    shares = [row.count(0) / len(row) for row in rows]
    return [scale_of(shares).performance(share) for share in shares]


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_few_architectures_are_learned_by_heart(space: Space) -> None:
    rows = drawn(space, 8)
    real = [place / 7 for place in range(8)]
    config = tiny(epochs=200, encoder_dropout=0.0, predictor_dropout=0.0, weight_decay=0.0)
    network = train_surrogate(space, config, rows, real, seed=0, round_number=1).network
    found = quality(network, rows, real)
    assert (found.held_out, found.decoded, found.decoded_whole) == (8, 1.0, 1.0)
    assert network.decode(network.encoder(network.words.tokens(rows))) == rows
    assert found.squared_error < 0.01
    assert found.pairwise > 0.9
    assert found.kendall > 0.8


def test_the_trained_surrogate_is_a_function_of_its_arguments() -> None:
    rows, config = drawn(CELLS, 12), tiny(epochs=3)

    def predictions(seed: int, round_number: int) -> list[float]:
        learner = train_surrogate(CELLS, config, rows, performance(rows), seed, round_number)
        assert not learner.network.training
        return predicted_performance(learner.network, rows)

    torch.rand(3)
    assert predictions(0, 1) == predictions(0, 1)
    assert predictions(0, 1) != predictions(1, 1)
    assert predictions(0, 1) != predictions(0, 2)


@pytest.mark.parametrize("changes", [{"swaps": 3}, {"swaps": 0, "fresh_swaps": True}], ids=str)
def test_exchanged_edges_teach_that_the_order_does_not_count(changes: dict[str, int]) -> None:
    rows, draws = drawn(CELLS, 30), Random(1)
    others = [CELLS.swapped(row, draws) for row in rows]

    def gap(config: NaoConfig) -> float:
        network = train_surrogate(CELLS, config, rows, performance(rows), 0, 1).network
        pairs = zip(
            predicted_performance(network, rows),
            predicted_performance(network, others),
            strict=True,
        )
        return sum(abs(a - b) for a, b in pairs)

    assert gap(tiny(epochs=40, **changes)) < gap(tiny(epochs=40, swaps=0))


def seen(config: NaoConfig, rows: list[Choices], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many times as it is, and how many times in all, the only architecture of some is trained on."""
    read: list[Choices] = []
    forward = Surrogate.forward

    def noted(network: Surrogate, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read.extend(network.words.choices(tokens))
        return forward(network, tokens)

    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "forward", noted)
        train_surrogate(CELLS, config, rows, [0.5] * len(rows), 0, 1)
    assert {CELLS.canonical(row) for row in read} == {CELLS.canonical(row) for row in rows}
    return [read.count(rows[0]), len(read), len(set(read))]


def test_edges_are_exchanged_as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Choices] = [(0, 0, 1, 1, 0, 2, 2, 3) * 2]  # each of 2 nodes has two different edges
    plain = {"epochs": 12, "swaps": 0}
    assert seen(tiny(**plain), rows, monkeypatch) == [12, 12, 1]
    # A copy beside the original, the same in every epoch.
    assert seen(tiny(epochs=12), rows, monkeypatch) == [12, 24, 2]
    # One of the 2 x 2 exchanges each time, and never the original, as in `NAODataset` of NAO_pytorch.
    assert seen(tiny(**plain, fresh_swaps=True), rows, monkeypatch) == [0, 12, 4]


def test_other_spaces_have_no_edges_to_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn(RECURRENT, 6)
    config = tiny(epochs=2, fresh_swaps=True)
    one = train_surrogate(RECURRENT, config, rows, performance(rows), 0, 1)
    other = train_surrogate(RECURRENT, tiny(epochs=2), rows, performance(rows), 0, 1)
    assert same(one.tensors(), other.tensors())


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in one.items())


def copied(learner: Learner, config: NaoConfig) -> Learner:
    return learner_of(CELLS, config, learner.tensors())


@pytest.mark.parametrize("continued", ["nothing", "weights", "weights-and-moments"])
def test_what_goes_on_into_the_next_round(continued: str) -> None:
    rows, config = drawn(CELLS, 12), tiny(epochs=2, continued=continued, batch_size=5)
    real = performance(rows)
    first = train_surrogate(CELLS, config, rows, real, seed=0, round_number=1)
    assert first.optimizer.state[first.network.predictor.output.weight]["step"] == 2 * 5
    kept = copied(first, config)
    second = train_surrogate(CELLS, config, rows, real, 0, 2, copied(first, config))
    # By hand: what the round begins with, trained as if it were new.
    begun = {
        "nothing": new_learner(CELLS, config, 0, 2),
        "weights": Learner(kept.network, new_learner(CELLS, config, 0, 2).optimizer),
        "weights-and-moments": kept,
    }[continued]
    steps = 10.0 + (10.0 if continued == "weights-and-moments" else 0.0)
    assert second.optimizer.state[second.network.predictor.output.weight]["step"] == steps
    if continued != "weights":
        held = dataclasses.replace(config, continued="weights-and-moments")
        assert same(
            train_surrogate(CELLS, held, rows, real, 0, 2, begun).tensors(), second.tensors()
        )
    gone = quality(first.network, rows, real), quality(second.network, rows, real)
    # What goes on is better than what had two epochs.
    assert (gone[1].squared_error < gone[0].squared_error) == (continued != "nothing")


def test_a_learner_is_read_back_and_shares_nothing() -> None:
    config, rows = tiny(epochs=1, continued="weights-and-moments"), drawn(CELLS, 6)
    learner = train_surrogate(CELLS, config, rows, performance(rows), 0, 1)
    other = copied(learner, config)
    assert same(other.tensors(), learner.tensors())
    before = {name: tensor.clone() for name, tensor in other.tensors().items()}
    train_surrogate(CELLS, config, rows, performance(rows), 0, 2, learner)
    assert same(other.tensors(), before)
    with pytest.raises((KeyError, RuntimeError)):
        learner_of(CELLS, tiny(hidden=12), learner.tensors())
