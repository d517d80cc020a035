"""The history of a run: every evaluation on the validation split while its replicates trained; torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from lottery.records import ReplicateId
from lottery.run_folder import HISTORY, require_run
from training.folders import Folder
from training.storage import damaged, to_json_lines


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


def history_to_lines(rows: Iterable[HistoryRow]) -> bytes:
    """Lines of a `metrics.jsonl`."""
    return to_json_lines(map(asdict, rows))


def read_history(run: Path) -> list[HistoryRow]:
    """Every evaluation during the training of finished levels, in the order in which they were made.

    What was appended for a level in progress is not under the manifest's hash, and is left out. Where no history is
    there, there is none.

    Raises:
        LotteryError: not a run, or the history is damaged or not the one that was written.
    """
    require_run(run)
    folder, path = Folder(run), run / HISTORY
    if not path.is_file():
        return []
    rows: list[HistoryRow] = []
    for line in folder.read(HISTORY, appended=True).splitlines():
        try:
            rows.append(HistoryRow(**json.loads(line)))
        except (RecursionError, TypeError, ValueError):
            raise damaged(path, f"line {len(rows) + 1} can't be read") from None
    return rows
