"""Neural architecture optimization (Luo et al. 2018, arXiv 1808.07233), algorithm 1, with and without shared weights.

A pool of architectures is scored; encoder, predictor and decoder are trained on it; the best are moved along the
predictor's gradient and decoded to new ones, which join the pool. Its state is the pool, and what was learned if that
goes on into the next round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.nao_config import NaoConfig
from nas.search.nao_method import nao_of
from nas.search.nao_moves import Move, new_architectures
from nas.search.nao_pool import Member, details_of, read_member, standing, step_figures
from nas.search.nao_scale import Scale, scale_of
from nas.search.nao_training import (
    Learner,
    learner_of,
    predicted_performance,
    quality,
    train_surrogate,
)
from nas.search.random_search import different, draws
from nas.search.space import Choices, Space
from nas.search.spaces import space_of
from nas.search.strategy import Candidate, Evaluate, Strategy
from training.noise import generator

Item = TypeVar("Item")

# Scored architectures that a predictor needs.
FEWEST = 2


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
        self.learner: Learner | None = None
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
        ranked = sorted(self.pool, key=standing, reverse=True)[:count]
        return [
            Candidate(choices=member.choices, round=member.round, details=details_of(member))
            for member in ranked
        ]

    def predictions(self, architectures: Sequence[Choices]) -> list[float | None]:
        """What a predictor that was trained on the pool as it is says of each that is not in it."""
        rows, scores = self._scored()
        if not architectures or len(rows) < FEWEST:
            return super().predictions(architectures)
        scale = scale_of(scores, self.config.target)
        performance = [scale.performance(score) for score in scores]
        # A copy, as this changes nothing.
        before = learner_of(self.space, self.config, self.tensors()) if self.tensors() else None
        learner = train_surrogate(
            self.space, self.config, rows, performance, self.seed, self.round + 1, before
        )
        known = {self.space.canonical(row) for row in rows}
        return [
            None if self.space.canonical(choices) in known else scale.reward(expected)
            for choices, expected in zip(
                architectures, predicted_performance(learner.network, architectures), strict=True
            )
        ]

    def tensors(self) -> dict[str, Tensor]:
        """What goes on into the next round; none where all is learned anew."""
        if self.learner is None or self.config.continued == "nothing":
            return {}
        return self.learner.tensors()

    def values(self) -> dict[str, Any]:
        """See `Strategy.values`: round and pool."""
        return {"round": self.round, "pool": [asdict(member) for member in self.pool]}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See `Strategy.restore`."""
        pool = [read_member(row) for row in values["pool"]]
        for member in pool:
            self.space.genotype(member.choices)
        learner = learner_of(self.space, self.config, tensors) if tensors else None
        self.round, self.pool = int(values["round"]), pool
        self.learner = learner

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
        scale = scale_of(scores, config.target)
        performance = [scale.performance(score) for score in scores]
        out, trained = self._split(rows)
        self.learner = train_surrogate(
            self.space,
            config,
            _at(rows, trained),
            _at(performance, trained),
            self.seed,
            number,
            self.learner,
        )
        network = self.learner.network
        figures = {"round": float(number), "pool": float(len(rows))}
        if out:
            figures |= asdict(quality(network, _at(rows, out), _at(performance, out)))
        best = [member.choices for member in sorted(self.pool, key=standing, reverse=True)]
        moves = new_architectures(network, self.space, config, best[: config.top], rows)
        self._take_in(moves, scale)
        return figures | {"new": float(len(moves))}

    def _split(self, rows: Sequence[Choices]) -> tuple[list[int], list[int]]:
        """Which architectures are held out, and which are trained on, the same in every round that has them.

        What goes on into the next round has otherwise been trained on what is held out there. At least two are trained
        on.
        """
        drawn = (draws(self.seed, "nao hold-out", *row).random() for row in rows)
        out = [index for index, value in enumerate(drawn) if value < self.config.hold_out]
        out = out[: max(0, len(rows) - FEWEST)]
        return out, sorted({*range(len(rows))} - {*out})

    def _scored(self) -> tuple[list[Choices], list[float]]:
        """The architectures of the pool that were scored, and their scores."""
        known = {member.choices: member.score for member in self.pool if member.score is not None}
        return [*known], [*known.values()]

    def _take_in(self, moves: Sequence[Move], scale: Scale) -> None:
        """Put what is new into the pool; with shared weights the worst make room for it."""
        self.round += 1
        new = [
            Member(
                choices=move.choices,
                round=self.round,
                parent=move.parent,
                step_size=move.step_size,
                promised=scale.reward(move.promised) - scale.reward(move.predicted_before),
                predicted_gain=scale.reward(move.predicted) - scale.reward(move.predicted_before),
                predicted=scale.reward(move.predicted),
            )
            for move in moves
        ]
        known = [member.choices for member in [*self.pool, *new]]
        drawn = self._drawn(self.config.random, known)
        new += [Member(choices=row, round=self.round) for row in drawn]
        if self.sharing:
            ranked = sorted(self.pool, key=standing, reverse=True)
            # What the new ones came from stays, so that they can be compared with it.
            self.pool = ranked[: max(self.config.top, len(ranked) - len(new))]
        self.pool = [*self.pool, *new]

    def _drawn(self, count: int, known: Iterable[Choices]) -> list[Choices]:
        """Architectures at random that are not known."""
        return different(self.space, count, draws(self.seed, "nao pool", self.round), known)


def strategy_of(config: SearchConfig) -> Nao:
    """NAO in a search, before it has learned anything."""
    return Nao(space_of(config), nao_of(config), config.seed, sharing=config.sharing)


def _at(items: Sequence[Item], indices: Iterable[int]) -> list[Item]:
    return [items[index] for index in indices]
