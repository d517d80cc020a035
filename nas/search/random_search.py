"""Random search, which every other search must beat (Li & Talwalkar 2019, arXiv 1902.07638)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.space import Choices, Space, random_choices
from nas.search.spaces import space_of
from nas.search.strategy import Candidate, Evaluate, Strategy
from training.noise import generator

# In a space smaller than what is asked for, draws repeat: so many draws for each architecture, then it is enough.
_TRIES = 100


class RandomSearch(Strategy):
    """Draws architectures from the whole space, and learns nothing from their rewards.

    Args:
        space: that is searched.
        seed: of all draws.
        alone: architectures that a round without shared weights evaluates; 0 with shared weights.
    """

    def __init__(self, space: Space, seed: int, alone: int = 0) -> None:
        self.space = space
        self.seed = seed
        self.alone = alone
        self._rewards: dict[Choices, float] = {}

    def propose(self, step: int) -> Choices:
        """See `Strategy.propose`."""
        return random_choices(self.space, draws(self.seed, "architecture", step))

    def after_epoch(self, epoch: int, evaluate: Evaluate) -> dict[str, float]:
        """See `Strategy.after_epoch`: only without shared weights there is something to do."""
        if not self.alone:
            return {}
        drawn = different(self.space, self.alone, draws(self.seed, "round", epoch))
        self._rewards |= dict(zip(drawn, evaluate(drawn), strict=True))
        return {"reward": mean(self._rewards[choices] for choices in drawn)}

    def candidates(self, count: int) -> list[Candidate]:
        """See `Strategy.candidates`: what scored best alone, or new draws."""
        if self._rewards:
            ranked = sorted(self._rewards, key=lambda choices: -self._rewards[choices])
            return [Candidate(choices=choices, round=0) for choices in ranked[:count]]
        drawn = different(self.space, count, draws(self.seed, "candidates"))
        return [Candidate(choices=choices, round=0) for choices in drawn]

    def tensors(self) -> dict[str, Tensor]:
        """See `Strategy.tensors`."""
        return {}

    def values(self) -> dict[str, Any]:
        """See `Strategy.values`."""
        return {"rewards": [[list(choices), score] for choices, score in self._rewards.items()]}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See `Strategy.restore`."""
        self._rewards = {tuple(choices): score for choices, score in values["rewards"]}


def strategy_of(config: SearchConfig) -> RandomSearch:
    """Random search, before it has drawn anything."""
    alone = 0 if config.sharing else config.derive.sampled
    return RandomSearch(space_of(config), config.seed, alone=alone)


def draws(seed: int, purpose: str, *numbers: int) -> Random:
    """Draws for `random_choices`, a function of seed, purpose and numbers."""
    source = generator(seed, purpose, *numbers)
    return Random(int(torch.randint(2**62, (), generator=source)))


def different(
    space: Space, count: int, source: Random, known: Iterable[Choices] = ()
) -> list[Choices]:
    """Up to so many different architectures at random that are not known, in the order of their drawing."""
    seen = {space.canonical(choices) for choices in known}
    found: list[Choices] = []
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        choices = random_choices(space, source)
        if space.canonical(choices) not in seen:
            seen.add(space.canonical(choices))
            found.append(choices)
    return found
