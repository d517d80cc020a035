"""What NAO's predictor learns: rewards of a pool, from the worst to the best; torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# NaoConfig.target -> a reward, constant / perplexity, as it, on a scale that the constant doesn't change; and back.
_TARGETS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "reward": (float, float),
    "loss": (math.log, math.exp),
    "perplexity": (lambda reward: -1.0 / reward, lambda value: -1.0 / value),
}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Rewards as what a predictor learns, from 0, the worst of a pool, to 1, the best; and back.

    Attributes:
        target: see `NaoConfig`. Of a loss or perplexity, which a reward of 0 doesn't have, such a reward stands with
            the worst of the others.
        worst: reward of the pool.
        best: reward of the pool.
    """

    target: str
    worst: float
    best: float

    def performance(self, reward: float) -> float:
        """What stands for a reward of the pool; 0.5 where all its rewards are equal."""
        low, high = self._ends()
        if high <= low:
            return 0.5
        return (_TARGETS[self.target][0](max(reward, self.worst)) - low) / (high - low)

    def reward(self, performance: float) -> float:
        """What a performance between 0 and 1 stands for."""
        low, high = self._ends()
        return _TARGETS[self.target][1](low + (high - low) * performance)

    def _ends(self) -> tuple[float, float]:
        there = _TARGETS[self.target][0]
        return there(self.worst), there(self.best)


def scale_of(rewards: Sequence[float], target: str = "reward") -> Scale:
    """The scale of a pool with these rewards.

    >>> scale = scale_of([80 / 100, 80 / 400, 80 / 200], "loss")
    >>> round(scale.performance(80 / 200), 6), round(scale.reward(0.5), 6)
    (0.5, 0.4)
    """
    known = rewards if target == "reward" else [r for r in rewards if r > 0] or [1.0]
    return Scale(target=target, worst=min(known), best=max(known))
