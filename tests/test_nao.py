"""NAO's rounds: what is scored, kept, and found, on performances that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from nas.search.layer_space import LayerSpace
from nas.search.nao import Nao
from nas.search.nao_pool import Member
from nas.search.nao_training import kendall
from nas.search.space import Choices, Space, random_choices
from tests.tiny_nao import CELLS, LAYERS, RECURRENT, SPACES, third_operations, tiny

both = pytest.mark.parametrize("sharing", [True, False], ids=["shared", "alone"])


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
    assert len({space.canonical(row) for row in pool}) == 20
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
    forms = [CELLS.canonical(member.choices) for member in search.pool]
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
    assert figures["best_reward"] == best.details["score"]


@both
def test_what_was_not_scored_is_predicted(sharing: bool) -> None:
    search = Nao(CELLS, tiny(), seed=0, sharing=sharing)
    draws = Random(1)
    sample = [random_choices(CELLS, draws) for _ in range(20)]
    assert search.predictions(sample) == [None] * 20  # nothing was scored yet
    search.after_epoch(0, third_operations)
    before = search.values()
    known = search.pool[0].choices
    none, *predicted = search.predictions([known, *sample])
    assert none is None
    assert search.predictions([known, *sample]) == [none, *predicted]
    assert search.values() == before
    expected = [value for value in predicted if value is not None]
    assert len(expected) > 15
    real = third_operations([c for c, v in zip(sample, predicted, strict=True) if v is not None])
    assert kendall(real, expected) > 0.2
    # In units of the score, of which there are more than 1.
    assert max(expected) > 1


def test_figures_of_a_round() -> None:
    search = Nao(CELLS, tiny(hold_out=0.25), seed=0, sharing=True)
    figures = search.after_epoch(0, third_operations)
    assert (figures["round"], figures["pool"]) == (1, 40)
    assert 4 < figures["held_out"] < 17  # a quarter of 40 is expected
    assert 0.5 < figures["pairwise"] <= 1
    assert 0 < figures["kendall"] <= 1
    assert 0 <= figures["decoded_whole"] <= figures["decoded"] <= 1
    figures = search.after_epoch(1, third_operations)
    counts = [value for name, value in figures.items() if name.endswith("_count")]
    assert sum(counts) == 10


def test_equal_scores_are_no_hindrance() -> None:
    search = Nao(RECURRENT, tiny(epochs=2, hold_out=0.1), seed=0, sharing=True)
    figures = search.after_epoch(0, lambda rows: [0.5] * len(rows))
    assert "pairwise" not in figures
    assert figures["decoded"] <= 1


def test_a_space_smaller_than_the_pool() -> None:
    space = LayerSpace(layers=1)
    search = Nao(space, tiny(epochs=2, random=2), seed=0, sharing=True)
    assert len(search.pool) == 6
    search.after_epoch(0, lambda rows: [float(row[0]) for row in rows])
    assert [member.choices for member in search.pool] == [(5,), (4,), (3,), (2,), (1,), (0,)]


def test_another_searchs_state_is_refused() -> None:
    values = Nao(CELLS, tiny(), seed=0, sharing=True).values()
    with pytest.raises(ValueError, match="decisions"):
        Nao(LAYERS, tiny(), seed=0, sharing=True).restore({}, values)
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
    assert (ranked[0].round, ranked[0].details) == (2, {"predicted": 3.0, "step_size": 2.0})
