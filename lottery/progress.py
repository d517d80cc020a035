"""What a run tells whoever watches it; torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.records import Record


class Watcher:
    """Is told how a run goes. This one keeps quiet; the command line has one that draws.

    It also carries the wish to stop, which a signal sets. A step of a stack of R replicates counts as R steps.
    """

    _stop = False

    def begin(self, run: str, total: int) -> None:
        """A run begins, or goes on, with that many replicate-steps in all."""

    def notice(self, text: str) -> None:
        """Something that the user should know, and that stops nothing: one sentence."""

    def level(self, level: int, levels: int, arms: Sequence[str], replicates: int) -> None:
        """A level's training begins."""

    def steps(self, count: int) -> None:
        """That many replicate-steps were taken, or skipped because they were finished before."""

    def looked(self, step: int, metric: Sequence[float | None]) -> None:
        """The validation split was scored: one value per replicate."""

    def records(self, records: Sequence[Record]) -> None:
        """A level is done."""

    def end(self) -> None:
        """Nothing more will be told."""

    def request_stop(self) -> None:
        """Ask the run to write a checkpoint and stop after the present step."""
        self._stop = True

    def stop_requested(self) -> bool:
        """Whether that was asked for."""
        return self._stop
