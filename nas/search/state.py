"""The state of a search, and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.search.records import SearchHistoryRow
from nas.search.shared_training import SharedTraining
from nas.search.space import Choices
from nas.search.strategy import Strategy
from training.checkpoints import tensors_from_bytes, tensors_to_bytes
from training.folders import Folder
from training.pace import Pace
from training.storage import damaged

# What a rollback goes back to, and what a stopped search goes on from if it is further.
PHASE = "phase.safetensors"
CHECKPOINT = "checkpoint.safetensors"


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
            training = self.training.values()
        values = {
            "progress": [self.epoch, self.rollbacks, self.step],
            "history": [asdict(row) for row in self.history],
            "best": self.best,
            "strategy": self.strategy.values(),
            "training": training,
        }
        return tensors_to_bytes(tensors, values)

    def restore(self, data: bytes, path: Path) -> None:
        """Put this state where the one that was written stood.

        Raises:
            LotteryError: the bytes are damaged or of another search; `path` is named.
        """
        tensors, values = tensors_from_bytes(data, path)
        groups: dict[str, dict[str, Tensor]] = {"strategy": {}, "training": {}}
        try:
            for key, tensor in tensors.items():
                group, _, name = key.partition("/")
                groups[group][name] = tensor
            self.strategy.restore(groups["strategy"], values["strategy"])
            if self.training is not None:
                self.training.restore(groups["training"], values["training"])
            self._take(values)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise damaged(path, f"it is no checkpoint of this search ({error})") from None

    def _take(self, values: Mapping[str, Any]) -> None:
        self.epoch, self.rollbacks, _ = values["progress"]
        self.history = [SearchHistoryRow(**row) for row in values["history"]]
        best = values["best"]
        self.best = (best[0], tuple(best[1])) if best else None


class Checkpoints:
    """The states of a search in its folder, from which it goes on when it is stopped or rolled back.

    Args:
        folder: of the search, locked.
        state: that is written and restored.
    """

    def __init__(self, folder: Folder, state: SearchState) -> None:
        self.folder = folder
        self.state = state
        self._pace = Pace()

    def is_due(self) -> bool:
        """Whether it is time to save, so that little is lost and little time goes into it."""
        return self._pace.is_due()

    def save(self, name: str) -> None:
        """Write the state as `PHASE` or `CHECKPOINT`."""
        with self._pace.saving():
            self.folder.write(name, self.state.to_bytes())

    def resume(self) -> bool:
        """Take up what is furthest; whether there was anything.

        Raises:
            LotteryError: a file is damaged.
        """
        folder = self.folder
        saved = {name: folder.read(name) for name in (PHASE, CHECKPOINT) if folder.holds(name)}
        if saved:
            name = max(saved, key=lambda one: progress_of(saved[one], folder.path(one)))
            self.state.restore(saved[name], folder.path(name))
        return bool(saved)

    def roll_back(self) -> None:
        """Take up the end of the last phase.

        Raises:
            LotteryError: its file is damaged.
        """
        self.state.restore(self.folder.read(PHASE), self.folder.path(PHASE))


def forget(folder: Folder) -> None:
    """Remove what only an unfinished search needs."""
    for name in (PHASE, CHECKPOINT):
        folder.remove(name)


def progress_of(data: bytes, path: Path) -> tuple[int, int, int]:
    """How far a checkpoint is: phase, rollbacks and step, so that the greater of two is further.

    Raises:
        LotteryError: the bytes are damaged; `path` is named.
    """
    try:
        epoch, rollbacks, step = tensors_from_bytes(data, path)[1]["progress"]
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"it is no checkpoint of a search ({error})") from None
    return epoch, rollbacks, step
