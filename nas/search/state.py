"""The state of a search, and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.search.configs import SearchConfig, space_of
from nas.search.enas import Enas
from nas.search.nao import Nao
from nas.search.random_search import RandomSearch
from nas.search.records import SearchHistoryRow
from nas.search.shared_training import SharedTraining
from nas.search.spaces import Choices
from nas.search.strategy import Strategy
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.storage import damaged


class SearchState:
    """Everything that a stopped search needs to go on bit for bit.

    Attributes:
        strategy: with what it has learned.
        training: of the shared weights; None without.
        epoch: the present phase, from 0.
        rollbacks: so far.
        history: so far.
        best: the best architecture that was shown, with its score.
    """

    def __init__(self, strategy: Strategy, training: SharedTraining | None) -> None:
        self.strategy = strategy
        self.training = training
        self.epoch = 0
        self.rollbacks = 0
        self.history: list[SearchHistoryRow] = []
        self.best: tuple[float, Choices] | None = None

    @property
    def step(self) -> int:
        """Of the shared weights."""
        return self.training.step if self.training is not None else 0

    def note(self, choices: Choices, score: float) -> None:
        """Remember the best that was shown."""
        if self.best is None or score > self.best[0]:
            self.best = score, choices

    def to_bytes(self) -> bytes:
        """The whole state."""
        tensors = {f"strategy/{name}": t for name, t in self.strategy.tensors().items()}
        training: dict[str, Any] = {}
        if self.training is not None:
            tensors |= {f"training/{name}": t for name, t in self.training.tensors().items()}
            training = self.training.facts()
        facts = {
            "place": [self.epoch, self.rollbacks, self.step],
            "history": [asdict(row) for row in self.history],
            "best": self.best,
            "strategy": self.strategy.facts(),
            "training": training,
        }
        return tensors_to_bytes(tensors, facts)

    def restore(self, data: bytes, path: Path) -> None:
        """Put this state where the one that was written stood.

        Raises:
            LotteryError: the bytes are damaged or of another search; `path` is named.
        """
        tensors, facts = tensors_from_bytes(data, path)
        groups: dict[str, dict[str, Tensor]] = {"strategy": {}, "training": {}}
        try:
            for key, tensor in tensors.items():
                group, _, name = key.partition("/")
                groups[group][name] = tensor
            self.strategy.restore(groups["strategy"], facts["strategy"])
            if self.training is not None:
                self.training.restore(groups["training"], facts["training"])
            self._take(facts)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise damaged(path, f"it is no checkpoint of this search ({error})") from None

    def _take(self, facts: Mapping[str, Any]) -> None:
        self.epoch, self.rollbacks, _ = facts["place"]
        self.history = [SearchHistoryRow(**row) for row in facts["history"]]
        best = facts["best"]
        self.best = (best[0], tuple(best[1])) if best else None


def place_of(data: bytes, path: Path) -> tuple[int, int, int]:
    """How far a checkpoint is: phase, rollbacks and step, so that the greater of two is further.

    Raises:
        LotteryError: the bytes are damaged; `path` is named.
    """
    try:
        epoch, rollbacks, step = tensors_from_bytes(data, path)[1]["place"]
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"it is no checkpoint of a search ({error})") from None
    return epoch, rollbacks, step


def strategy_of(config: SearchConfig) -> Strategy:
    """The strategy that a configuration names, before it has learned anything."""
    space = space_of(config)
    if config.method == "enas":
        return Enas(space, config.controller_in_use, config.seed)
    if config.method == "nao":
        return Nao(space, config.nao_in_use, config.seed, sharing=config.sharing)
    return RandomSearch(space, config.seed, alone=0 if config.sharing else config.derive.sampled)


def phases_of(config: SearchConfig) -> int:
    """How many phases a search has, its steps resolved: with shared weights, until these have taken all their steps."""
    if config.shared is not None:
        return -(-config.shared.steps.iterations // config.phase.iterations)
    return config.nao_in_use.scorings if config.method == "nao" else 1
