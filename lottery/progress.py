"""What a run tells whoever watches it; torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.records import Record
from training.stopping import StopFlag


class Watcher(StopFlag):
    """Is told how a run goes. This one keeps quiet; the command line has one that draws.

    A step of a stack of R replicates counts as R steps.
    """

    def begin(self, run: str, total: int) -> None:
        """A run begins, or goes on, with that many replicate-steps in all."""

    def notice(self, text: str) -> None:
        """Something that the user should know, and that stops nothing: one sentence."""

    def level(self, level: int, levels: int, arms: Sequence[str], replicates: int) -> None:
        """A level's training begins."""

    def steps(self, count: int) -> None:
        """That many replicate-steps were taken, or skipped because they were finished before; below 0, were in vain."""

    def validated(self, step: int, metric: Sequence[float | None]) -> None:
        """The validation split was scored: one value per replicate."""

    def records(self, records: Sequence[Record]) -> None:
        """A level is done."""

    def end(self) -> None:
        """Nothing more will be told."""


class ChunkSteps:
    """Tells a watcher of the steps of one chunk of a stack after the other.

    Args:
        watcher: is told.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told = 0

    def __call__(self, count: int) -> None:
        """See `Watcher.steps`."""
        self._told += count
        self._watcher.steps(count)

    def begin(self) -> None:
        """Another chunk begins."""
        self._told = 0

    def take_back(self) -> None:
        """What was told of the chunk was in vain."""
        self(-self._told)
