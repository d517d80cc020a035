"""What NAO learns over its rounds: what goes on, what is held out, and that it is resumed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from nas.search import nao
from nas.search.nao import Nao
from nas.search.nao_config import NaoConfig
from nas.search.nao_training import quality, train_surrogate
from nas.search.space import Choices, Space
from tests.tiny_nao import CELLS, RECURRENT, drawn, third_operations, tiny

both = pytest.mark.parametrize("sharing", [True, False], ids=["shared", "alone"])


@both
@pytest.mark.parametrize("continued", ["nothing", "weights", "weights-and-moments"])
def test_resumed_equals_uninterrupted(continued: str, sharing: bool) -> None:
    def begin() -> Nao:
        config = tiny(epochs=3, random=2, continued=continued, swaps=0, fresh_swaps=True)
        return Nao(CELLS, config, seed=3, sharing=sharing)

    whole, part = begin(), begin()
    for epoch in range(3):
        figures = whole.after_epoch(epoch, third_operations)
        other = part.after_epoch(epoch, third_operations)
        assert figures == other
        written = json.loads(json.dumps(part.values()))
        tensors = {name: tensor.clone() for name, tensor in part.tensors().items()}
        part = begin()
        part.restore(tensors, written)
        assert part.pool == whole.pool
        assert [part.propose(step) for step in range(9)] == [whole.propose(s) for s in range(9)]
        assert part.candidates(5) == whole.candidates(5)
        sample = [(0,) * 16, (0, 1) * 8]
        assert part.predictions(sample) == whole.predictions(sample)
        assert part.tensors().keys() == whole.tensors().keys() == tensors.keys()
        assert all(torch.equal(t, tensors[name]) for name, t in part.tensors().items())
    assert bool(whole.tensors()) == (continued != "nothing")


def test_the_surrogate_goes_on_with_what_it_learned() -> None:
    decoded = []
    for continued in ("nothing", "weights"):
        config = tiny(epochs=10, continued=continued, hold_out=0.2)
        search = Nao(CELLS, config, seed=0, sharing=True)
        figures = [search.after_epoch(epoch, third_operations) for epoch in range(2)]
        decoded.append([one["decoded"] for one in figures])
    # The pool of the second round is the same.
    new, going_on = decoded
    assert new[0] == going_on[0]
    assert going_on[1] > new[1] + 0.05


def test_what_is_held_out_is_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(epochs=1, rounds=3, continued="weights", hold_out=0.3)
    search, known, out = Nao(CELLS, config, seed=0, sharing=True), set(), set()

    def trained(space: Space, config: NaoConfig, rows: list[Choices], *others: Any) -> Any:
        known.update(rows)
        return train_surrogate(space, config, rows, *others)

    def judged(network: Any, rows: list[Choices], performance: list[float]) -> Any:
        out.update(rows)
        return quality(network, rows, performance)

    monkeypatch.setattr(nao, "train_surrogate", trained)
    monkeypatch.setattr(nao, "quality", judged)
    for epoch in range(3):
        search.after_epoch(epoch, third_operations)
    assert not known & out
    assert 0.15 < len(out) / (len(out) + len(known)) < 0.45


def test_without_a_hold_out_all_are_trained_on() -> None:
    search = Nao(CELLS, tiny(epochs=1, hold_out=0.0), seed=0, sharing=True)
    figures = search.after_epoch(0, third_operations)
    assert "held_out" not in figures
    assert figures["pool"] == 40


def test_at_least_two_are_trained_on() -> None:
    config = tiny(pool=2, top=1, epochs=1, largest_step=1, hold_out=0.5)
    for seed in range(4):
        figures = Nao(CELLS, config, seed=seed, sharing=True).after_epoch(0, third_operations)
        assert "held_out" not in figures


def rewards(rows: Sequence[Choices]) -> list[float]:
    """80 / perplexity of the perplexities 100, 200, 300 and 400."""
    return [80.0 / (100.0, 200.0, 300.0, 400.0)[row[0]] for row in rows]


@pytest.mark.parametrize(
    ("target", "learned", "middle"),
    [
        ("reward", [0.0, 1 / 9, 1 / 3, 1.0], 0.5),  # (0.8 + 0.2) / 2
        # Between the losses log 100 and log 400 lies log 200.
        ("loss", [0.0, math.log(4 / 3) / math.log(4), 0.5, 1.0], 80 / 200),
        ("perplexity", [0.0, 1 / 3, 2 / 3, 1.0], 80 / 250),
    ],
)
def test_what_is_learned_of_a_language_model_is_the_target(
    target: str, learned: list[float], middle: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []

    def trained(space: Space, config: NaoConfig, rows: Any, known: list[float], *rest: Any) -> Any:
        seen.append(sorted({round(value, 9) for value in known}))
        return train_surrogate(space, config, rows, known, *rest)

    monkeypatch.setattr(nao, "train_surrogate", trained)
    monkeypatch.setattr(nao, "predicted_performance", lambda _, rows: [0.5] * len(rows))
    search = Nao(RECURRENT, tiny(target=target, epochs=1, hold_out=0.0), seed=0, sharing=True)
    search.after_epoch(0, rewards)
    search.after_epoch(1, rewards)
    told = [one for one in search.predictions(drawn(RECURRENT, 40)) if one is not None]
    assert len(seen) == 3
    assert all(one == pytest.approx(learned) for one in seen)
    assert told
    assert told == pytest.approx([middle] * len(told))


def test_predictions_of_a_language_model_are_rewards() -> None:
    for target in ("reward", "loss", "perplexity"):
        search = Nao(RECURRENT, tiny(target=target, epochs=20), seed=0, sharing=True)
        for epoch in range(2):
            search.after_epoch(epoch, rewards)
        born = [m for m in search.pool if m.round == 1]
        assert born
        assert all(0.2 <= m.predicted <= 0.8 for m in born if m.predicted is not None)
        assert all(m.predicted is not None and m.score is not None for m in born)
        gains = [(m.predicted_gain or 0.0) for m in born]
        assert max(map(abs, gains)) <= 0.6
