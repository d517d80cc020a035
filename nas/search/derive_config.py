"""How a search ends; torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from training.configs import TrainingConfig
from training.errors import require


@dataclass(frozen=True, kw_only=True)
class DeriveConfig:
    """How the search ends: with a ranking, and with what the ranking is worth.

    Attributes:
        sampled: architectures that the strategy suggests.
        minibatches: of the validation split that each of them is scored on.
        ranked: the best of them, which are scored on the whole split.
        random: architectures drawn from the whole space beside them, scored likewise.
        alone: how networks are trained from scratch; None for none.
        alone_best: how many of the ranked are trained so at the end; the random ones all are.
        alone_seeds: networks per architecture, with the seeds from the search's own on where a search without shared
            weights scores by them, and with the next ones at the end.
    """

    sampled: int = 100
    minibatches: int = 4
    ranked: int = 20
    random: int = 20
    alone: TrainingConfig | None = None
    alone_best: int = 5
    alone_seeds: int = 1

    def __post_init__(self) -> None:
        for name in ("sampled", "minibatches", "ranked", "alone_seeds"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.ranked <= self.sampled, "ranked", self.ranked, "at most sampled")
        require(self.random >= 0, "random", self.random, "0 or more")
        in_range = 0 <= self.alone_best <= self.ranked
        require(in_range, "alone_best", self.alone_best, "from 0 to ranked")
        averaged = self.alone is not None and self.alone.averaging.trigger != "never"
        require(not averaged, "alone.averaging.trigger", "non-monotone", "never")
