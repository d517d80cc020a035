"""What a run, and the demo, tell whoever watches them; torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from lottery.records import Record
from nas.search.watching import SearchWatcher
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


class DemoWatcher:
    """Is told how the demo goes. This one keeps quiet; the command line has one that draws."""

    def stage(self, number: int, stages: int, summary: str) -> None:
        """A search or a run begins, or goes on: the first one is number 1."""

    def searching(self) -> AbstractContextManager[SearchWatcher]:
        """Who is told of the search, and what surrounds it."""
        return nullcontext(SearchWatcher())

    def pruning(self) -> AbstractContextManager[Watcher]:
        """Who is told of a run, and what surrounds it."""
        return nullcontext(Watcher())


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
