"""Neural architecture optimization (Luo et al. 2018, arXiv 1808.07233), algorithm 1, with and without shared weights.

A pool of architectures is scored; encoder, predictor and decoder are trained on it; the best are moved along the
predictor's gradient and decoded to new ones, which join the pool. What it learns starts anew each round, as a function
of the pool and the seed, so that the pool is the whole state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from nas.search.nao_config import NaoConfig
from nas.search.nao_moves import Move, new_architectures
from nas.search.nao_training import (
    normalised,
    predicted_performance,
    quality,
    train_surrogate,
)
from nas.search.random_search import different, draws
from nas.search.spaces import Choices, Space, canonical
from nas.search.strategy import Candidate, Evaluate, Strategy
from training.noise import generator

Item = TypeVar("Item")

# Scored architectures that a predictor needs.
FEWEST = 2


@dataclass(frozen=True, kw_only=True)
class Member:
    """An architecture of the pool.

    Attributes:
        choices: its row.
        round: in which it came up; 0 for the first pool.
        score: of its latest evaluation; None before the first.
        parent: the architecture that it was made from; None where it was drawn at random.
        step_size: with which; None where it was drawn at random.
        promised: how much better than its parent the moved embedding was predicted to be, in units of the score.
        predicted_gain: how much better than its parent it was itself predicted to be.
        predicted: its own predicted score.
    """

    choices: Choices
    round: int
    score: float | None = None
    parent: Choices | None = None
    step_size: int | None = None
    promised: float | None = None
    predicted_gain: float | None = None
    predicted: float | None = None


class Nao(Strategy):
    """NAO and NAO-WS.

    Args:
        space: of the architectures.
        config: of pool, rounds, and what is learned.
        seed: of the search.
        sharing: whether the pool trains shared weights (NAO-WS), so that all of it is scored anew each round and the
            worst are replaced; otherwise each architecture is scored once, trained from scratch, and all are kept.
    """

    def __init__(self, space: Space, config: NaoConfig, seed: int, *, sharing: bool) -> None:
        self.space = space
        self.sharing = sharing
        self.config = config
        self.seed = seed
        self.round = 0
        drawn = self._drawn(config.pool, ())
        self.pool = [Member(choices=row, round=0) for row in drawn]

    def propose(self, step: int) -> Choices:
        """One of the pool, drawn uniformly."""
        draws = generator(self.seed, "nao path", step)
        return self.pool[int(torch.randint(len(self.pool), (), generator=draws))].choices

    def after_epoch(self, epoch: int, evaluate: Evaluate) -> dict[str, float]:
        """Score the pool where a round ends, and renew it while there are rounds left; see `Strategy.after_epoch`.

        Elsewhere nothing is done, and the figures are none.
        """
        if self.sharing and (epoch + 1) % self.config.every:
            return {}
        figures = self._score(evaluate)
        if self.round < self.config.rounds:
            figures |= self._renew()
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def candidates(self, count: int) -> list[Candidate]:
        """The best of the pool; one that was not yet scored stands where it is predicted to."""
        ranked = sorted(self.pool, key=_standing, reverse=True)[:count]
        return [
            Candidate(choices=member.choices, round=member.round, facts=_known(member))
            for member in ranked
        ]

    def predictions(self, architectures: Sequence[Choices]) -> list[float | None]:
        """What a predictor that was trained on the pool as it is says of each that is not in it."""
        rows, scores = self._scored()
        if not architectures or len(rows) < FEWEST:
            return super().predictions(architectures)
        network = train_surrogate(
            self.space, self.config, rows, normalised(scores), self.seed, self.round + 1
        )
        low, span = min(scores), max(scores) - min(scores)
        known = {canonical(self.space, row) for row in rows}
        return [
            None if canonical(self.space, choices) in known else low + span * performance
            for choices, performance in zip(
                architectures, predicted_performance(network, architectures), strict=True
            )
        ]

    def tensors(self) -> dict[str, Tensor]:
        """None: what is learned starts anew each round."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Round and pool."""
        return {"round": self.round, "pool": [asdict(member) for member in self.pool]}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """See `Strategy.restore`."""
        pool = [_member(row) for row in facts["pool"]]
        for member in pool:
            self.space.genotype(member.choices)
        self.round, self.pool = int(facts["round"]), pool

    def _score(self, evaluate: Evaluate) -> dict[str, float]:
        """Score what has to be, and compare what was promised with what came."""
        due = [m for m in self.pool if self.sharing or m.score is None]
        if not due:
            return {}
        rewards = evaluate([member.choices for member in due])
        scores = dict(zip((member.choices for member in due), rewards, strict=True))
        newborn = [member.choices for member in self.pool if member.score is None]
        self.pool = [replace(m, score=scores.get(m.choices, m.score)) for m in self.pool]
        figures = {"reward": sum(rewards) / len(rewards), "best_reward": max(rewards)}
        return figures | step_figures(self.pool, newborn)

    def _renew(self) -> dict[str, float]:
        """One round of algorithm 1: train on the pool, move the best, take in what is new."""
        config, number = self.config, self.round + 1
        rows, scores = self._scored()
        performance = normalised(scores)
        order = torch.randperm(len(rows), generator=generator(self.seed, "nao hold-out", number))
        held = max(0, min(round(config.hold_out * len(rows)), len(rows) - FEWEST))
        out, trained = order[:held].tolist(), order[held:].tolist()
        network = train_surrogate(
            self.space, config, _at(rows, trained), _at(performance, trained), self.seed, number
        )
        figures = {"round": float(number), "pool": float(len(rows))}
        if out:
            figures |= asdict(quality(network, _at(rows, out), _at(performance, out)))
        best = [member.choices for member in sorted(self.pool, key=_standing, reverse=True)]
        moves = new_architectures(network, self.space, config, best[: config.top], rows)
        self._take_in(moves, min(scores), max(scores))
        return figures | {"new": float(len(moves))}

    def _scored(self) -> tuple[list[Choices], list[float]]:
        """The architectures of the pool that were scored, and their scores."""
        known = {member.choices: member.score for member in self.pool if member.score is not None}
        return [*known], [*known.values()]

    def _take_in(self, moves: Sequence[Move], low: float, high: float) -> None:
        """Put what is new into the pool; with shared weights the worst make room for it."""
        self.round += 1
        span = high - low
        new = [
            Member(
                choices=move.choices,
                round=self.round,
                parent=move.parent,
                step_size=move.step_size,
                promised=span * (move.promised - move.predicted_before),
                predicted_gain=span * (move.predicted - move.predicted_before),
                predicted=low + span * move.predicted,
            )
            for move in moves
        ]
        known = [member.choices for member in [*self.pool, *new]]
        drawn = self._drawn(self.config.random, known)
        new += [Member(choices=row, round=self.round) for row in drawn]
        if self.sharing:
            ranked = sorted(self.pool, key=_standing, reverse=True)
            # What the new ones came from stays, so that they can be compared with it.
            self.pool = ranked[: max(self.config.top, len(ranked) - len(new))]
        self.pool = [*self.pool, *new]

    def _drawn(self, count: int, known: Iterable[Choices]) -> list[Choices]:
        """Architectures at random that are not known."""
        return different(self.space, count, draws(self.seed, "nao pool", self.round), known)


def step_figures(pool: Iterable[Member], newborn: Iterable[Choices]) -> dict[str, float]:
    """Per step size, how much better than their parents new architectures were promised, predicted and found to be.

    Args:
        pool: scored; a pair is left out where the parent is no longer in it.
        newborn: the architectures that were scored for the first time.

    Returns:
        Means, such as `step_2_real` for a step size of 2, and `step_2_count`.
    """
    members = {member.choices: member for member in pool}
    groups: dict[int, list[tuple[float, float, float]]] = {}
    for row in newborn:
        child = members[row]
        parent = members.get(child.parent) if child.parent is not None else None
        if parent is None or parent.score is None or child.score is None:
            continue
        gain = (child.promised or 0.0, child.predicted_gain or 0.0, child.score - parent.score)
        groups.setdefault(child.step_size or 0, []).append(gain)
    figures: dict[str, float] = {}
    for step_size, gains in sorted(groups.items()):
        for place, name in enumerate(("promised", "predicted", "real")):
            figures[f"step_{step_size}_{name}"] = sum(one[place] for one in gains) / len(gains)
        figures[f"step_{step_size}_count"] = float(len(gains))
    return figures


def _standing(member: Member) -> float:
    expected = member.score if member.score is not None else member.predicted
    return -math.inf if expected is None else expected


def _known(member: Member) -> dict[str, float]:
    named = {
        "score": member.score,
        "predicted": member.predicted,
        "step_size": member.step_size,
    }
    return {name: float(value) for name, value in named.items() if value is not None}


def _member(row: Mapping[str, Any]) -> Member:
    parent = row["parent"]
    whole = {**row, "choices": tuple(row["choices"])}
    return Member(**{**whole, "parent": None if parent is None else tuple(parent)})


def _at(items: Sequence[Item], places: Iterable[int]) -> list[Item]:
    return [items[place] for place in places]
