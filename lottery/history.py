"""The history of a run: every evaluation on the validation split while its replicates trained; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lottery.experiments import RUN_FOLDER
from lottery.identity import ReplicateId
from lottery.run_folder import HISTORY
from training.folders import Folder
from training.lines import read_lines
from training.work_folders import require_there


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """One evaluation of one replicate during training.

    Attributes:
        level: of pruning.
        arm: of the replicate.
        seed: of the replicate.
        copy: of the replicate.
        step: of training after which it was made.
        metric: "loss" or the name of the task's metric.
        value: None where it is not finite.
    """

    level: int
    arm: str
    seed: int
    copy: int
    step: int
    metric: str
    value: float | None

    @property
    def replicate(self) -> ReplicateId:
        """Whose evaluation it is."""
        return ReplicateId(self.arm, self.seed, self.copy)


def read_history(run: Path) -> list[HistoryRow]:
    """Every evaluation during the training of finished levels, in the order in which they were made.

    What was appended for a level in progress is not under the manifest's hash, and is left out. Where no history is
    there, there is none.

    Raises:
        LotteryError: not a run, or the history is damaged or not the one that was written.
    """
    require_there(run, RUN_FOLDER)
    return read_lines(Folder(run), HISTORY, HistoryRow, appended=True)
