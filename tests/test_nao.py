"""NAO's rounds: what is scored, kept, and found, on performances that are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

import pytest

from nas.search.nao import Member, Nao, step_figures
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig
from nas.search.nao_training import kendall
from nas.search.spaces import CellSpace, Choices, LayerSpace, Space, canonical, random_choices
from tests.tiny_nao import CELLS, LAYERS, RECURRENT, SPACES, tiny
from training.errors import LotteryError

both = pytest.mark.parametrize("sharing", [True, False], ids=["shared", "alone"])


def third_operations(rows: Sequence[Choices]) -> list[float]:
    """How often each of some cells has operation 2."""
    return [float(row[1::2].count(2)) for row in rows]


class Counted:
    """A performance that notes what it was asked for."""

    def __init__(self, score: Callable[[Sequence[Choices]], list[float]]) -> None:
        self.score = score
        self.asked: list[list[Choices]] = []

    def __call__(self, rows: Sequence[Choices]) -> list[float]:
        """Score them all."""
        self.asked.append([*rows])
        return self.score(rows)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_first_pool_is_drawn_and_proposed_from(space: Space) -> None:
    search = Nao(space, tiny(pool=20, top=5), seed=0, sharing=True)
    pool = [member.choices for member in search.pool]
    assert len({canonical(space, row) for row in pool}) == 20
    assert [m.choices for m in Nao(space, tiny(pool=20, top=5), 0, sharing=True).pool] == pool
    assert [m.choices for m in Nao(space, tiny(pool=20, top=5), 1, sharing=True).pool] != pool
    proposed = [search.propose(step) for step in range(300)]
    assert set(proposed) == set(pool)
    assert proposed == [search.propose(step) for step in range(300)]


@both
def test_rounds(sharing: bool) -> None:
    config = tiny(random=3, epochs=30)
    search, evaluate = Nao(CELLS, config, seed=0, sharing=sharing), Counted(third_operations)
    sizes = []
    for epoch in range(config.scorings):
        figures = search.after_epoch(epoch, evaluate)
        sizes.append(len(search.pool))
        rewards = third_operations(evaluate.asked[-1])
        assert figures["reward"] == pytest.approx(sum(rewards) / len(rewards))
        assert ("new" in figures) == (epoch < config.rounds)
    asked = list(map(len, evaluate.asked))
    assert (asked, sizes) == (([40] * 3, [40] * 3) if sharing else ([40, 13, 13], [53, 66, 66]))
    forms = [canonical(CELLS, member.choices) for member in search.pool]
    assert len(set(forms)) == len(forms)
    assert all(member.score is not None for member in search.pool)


def test_the_worst_make_room() -> None:
    search, evaluate = (
        Nao(CELLS, tiny(rounds=1, epochs=30), seed=0, sharing=True),
        Counted(third_operations),
    )
    search.after_epoch(0, evaluate)
    ranked = sorted(third_operations(evaluate.asked[0]), reverse=True)
    stayed = [member.score for member in search.pool if member.score is not None]
    assert stayed == ranked[:30]
    assert sum(member.round == 1 for member in search.pool) == 10


def test_shared_weights_are_trained_between_rounds() -> None:
    search, evaluate = (
        Nao(CELLS, tiny(every=3, epochs=1), seed=0, sharing=True),
        Counted(third_operations),
    )
    assert [bool(search.after_epoch(epoch, evaluate)) for epoch in range(4)] == [
        *(False, False, True),
        False,
    ]
    assert len(evaluate.asked) == 1


def test_after_the_last_round_nothing_is_left_to_score_alone() -> None:
    search, evaluate = (
        Nao(CELLS, tiny(rounds=1, epochs=4), seed=0, sharing=False),
        Counted(third_operations),
    )
    figures = [search.after_epoch(epoch, evaluate) for epoch in range(3)]
    assert figures[2] == {}
    assert len(evaluate.asked) == 2


@both
def test_two_rounds_beat_random_draws(sharing: bool) -> None:
    search = Nao(CELLS, tiny(), seed=0, sharing=sharing)
    evaluate = Counted(third_operations)
    for epoch in range(3):
        figures = search.after_epoch(epoch, evaluate)
    known = set().union(*evaluate.asked)
    draws = Random(0)
    best_drawn = max(third_operations([random_choices(CELLS, draws) for _ in range(len(known))]))
    first = third_operations(evaluate.asked[0])
    (best,) = search.candidates(1)
    assert third_operations([best.choices])[0] >= max(best_drawn, *first)
    assert best.round > 0
    new = third_operations([m.choices for m in search.pool if m.round == 2])
    assert sum(new) / len(new) > sum(first) / len(first) + 1.0
    assert figures["best_reward"] == best.facts["score"]


@both
def test_what_was_not_scored_is_predicted(sharing: bool) -> None:
    search = Nao(CELLS, tiny(), seed=0, sharing=sharing)
    draws = Random(1)
    sample = [random_choices(CELLS, draws) for _ in range(20)]
    assert search.predictions(sample) == [None] * 20  # nothing was scored yet
    for epoch in range(3):
        search.after_epoch(epoch, third_operations)
    before = search.facts()
    known = search.pool[0].choices
    none, *predicted = search.predictions([known, *sample])
    assert none is None
    assert search.predictions([known, *sample]) == [none, *predicted]
    assert search.facts() == before
    expected = [value for value in predicted if value is not None]
    assert len(expected) > 15
    real = third_operations([c for c, v in zip(sample, predicted, strict=True) if v is not None])
    assert kendall(real, expected) > 0.2
    # In units of the score, of which there are more than 1.
    assert max(expected) > 1


def test_figures_of_a_round() -> None:
    search = Nao(CELLS, tiny(hold_out=0.25), seed=0, sharing=True)
    figures = search.after_epoch(0, third_operations)
    assert (figures["round"], figures["pool"], figures["held_out"]) == (1, 40, 10)
    assert 0.5 < figures["pairwise"] <= 1
    assert 0 < figures["kendall"] <= 1
    assert 0 <= figures["decoded_whole"] <= figures["decoded"] <= 1
    figures = search.after_epoch(1, third_operations)
    counts = [value for name, value in figures.items() if name.endswith("_count")]
    assert sum(counts) == 10


def test_promised_and_real_gains_written_out() -> None:
    a, b, c, d = (0,), (1,), (2,), (3,)
    made: dict[str, Any] = {"parent": a, "round": 1}
    pool = [
        Member(choices=a, round=0, score=1.0),
        Member(choices=b, step_size=1, promised=1.0, predicted_gain=0.5, score=3.0, **made),
        Member(choices=c, step_size=1, promised=2.0, predicted_gain=0.0, score=0.0, **made),
        Member(choices=d, round=1, score=9.0),
    ]
    assert step_figures(pool, [b, c, d]) == {
        "step_1_promised": 1.5,
        "step_1_predicted": 0.25,
        "step_1_real": 0.5,
        "step_1_count": 2.0,
    }
    assert step_figures(pool[1:], [b, c, d]) == {}


def test_equal_scores_are_no_hindrance() -> None:
    search = Nao(RECURRENT, tiny(epochs=2), seed=0, sharing=True)
    figures = search.after_epoch(0, lambda rows: [0.5] * len(rows))
    assert "pairwise" not in figures
    assert figures["decoded"] <= 1


def test_a_space_smaller_than_the_pool() -> None:
    space = LayerSpace(layers=1)
    search = Nao(space, tiny(epochs=2, random=2), seed=0, sharing=True)
    assert len(search.pool) == 6
    search.after_epoch(0, lambda rows: [float(row[0]) for row in rows])
    assert [member.choices for member in search.pool] == [(5,), (4,), (3,), (2,), (1,), (0,)]


@both
def test_resumed_equals_uninterrupted(sharing: bool) -> None:
    def begin() -> Nao:
        return Nao(CELLS, tiny(epochs=3, random=2), seed=3, sharing=sharing)

    whole, part = begin(), begin()
    for epoch in range(3):
        figures = whole.after_epoch(epoch, third_operations)
        other = part.after_epoch(epoch, third_operations)
        assert figures == other
        written = json.loads(json.dumps(part.facts()))
        part = begin()
        part.restore({}, written)
        assert part.pool == whole.pool
        assert [part.propose(step) for step in range(9)] == [whole.propose(s) for s in range(9)]
        assert part.candidates(5) == whole.candidates(5)
    assert whole.tensors() == {}


def test_another_searchs_state_is_refused() -> None:
    facts = Nao(CELLS, tiny(), seed=0, sharing=True).facts()
    with pytest.raises(ValueError, match="decisions"):
        Nao(LAYERS, tiny(), seed=0, sharing=True).restore({}, facts)
    with pytest.raises(KeyError):
        Nao(CELLS, tiny(), seed=0, sharing=True).restore({}, {"baseline": 0.5})


def test_candidates_stand_by_score_or_prediction() -> None:
    search = Nao(CELLS, tiny(), seed=0, sharing=True)
    rows = [member.choices for member in search.pool]
    search.pool = [
        Member(choices=rows[0], round=0, score=1.0),
        Member(choices=rows[1], round=2, predicted=3.0, step_size=2),
        Member(choices=rows[2], round=0),
        Member(choices=rows[3], round=0, score=2.0),
    ]
    ranked = search.candidates(3)
    assert [one.choices for one in ranked] == [rows[1], rows[3], rows[0]]
    assert (ranked[0].round, ranked[0].facts) == (2, {"predicted": 3.0, "step_size": 2.0})


def test_published_settings() -> None:
    names = {"cell", "layers", "recurrent"}
    assert set(NAO_DEFAULTS) == {(name, s) for name in names for s in (True, False)}
    cell, recurrent = NAO_DEFAULTS["cell", True], NAO_DEFAULTS["recurrent", False]
    assert (cell.pool, cell.new, cell.embedding, cell.hidden) == (600, 300, 48, 96)
    assert (recurrent.pool, recurrent.tokens_per_step, recurrent.batch_size) == (1508, 1, 50)
    assert all(config.trade_off == 0.8 for config in NAO_DEFAULTS.values())
    assert len(CellSpace().decisions()) == 40  # 20 steps of two tokens


@pytest.mark.parametrize(
    "changes",
    [
        *({"pool": 1}, {"top": 41}, {"new": 0}, {"rounds": 0}, {"every": 0}, {"step": 0}),
        *({"largest_step": 0}, {"hidden": 0}, {"predictor_layers": -1}, {"trade_off": 1.0}),
        *({"encoder_dropout": 1.0}, {"learning_rate": 0.0}, {"clip_norm": 0.0}, {"swaps": -1}),
        *({"hold_out": 0.6}, {"random": -1}, {"weight_decay": -1.0}),
    ],
    ids=str,
)
def test_impossible_settings(changes: dict[str, int | float]) -> None:
    with pytest.raises(LotteryError, match=next(iter(changes))):
        tiny(**changes)


def test_settings_are_values() -> None:
    assert NaoConfig(**asdict(tiny())) == tiny()
