"""What a search tells whoever watches it; torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from nas.search.records import SearchHistoryRow, SearchRecord
from training.stopping import StopFlag


class SearchWatcher(StopFlag):
    """Is told how a search goes. This one keeps quiet; the command line has one that draws."""

    def begin(self, run: str, steps: int, phases: int, done: int) -> None:
        """A search begins, or goes on, with that many steps of shared weights and phases of the strategy in all.

        Args:
            run: name of its folder.
            steps: 0 without shared weights.
            phases: of the strategy.
            done: steps, or phases where there are no steps, that an earlier process took.
        """

    def notice(self, text: str) -> None:
        """Something that the user should know, and that stops nothing: one sentence."""

    def steps(self, count: int) -> None:
        """The shared weights took that many steps; negative after a rollback."""

    def phase(self, row: SearchHistoryRow, best: str) -> None:
        """A phase is over, or was rolled back.

        Args:
            row: of the history.
            best: reward and genotype of the best architecture that was shown so far, or "".
        """

    def alone(self, done: int, total: int) -> None:
        """So many of these architectures have been trained from scratch."""

    def records(self, records: Sequence[SearchRecord]) -> None:
        """The search is done."""

    def end(self) -> None:
        """Nothing more will be told."""
