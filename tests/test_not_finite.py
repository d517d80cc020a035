"""Numbers that are not finite are recorded as such, and never keep a level or a search from being written."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import pytest

from analysis.rows import results_at
from analysis.tables import read_table
from lottery.cli.watching import TerminalWatcher
from lottery.history import HistoryRow, read_history
from lottery.records import read_records
from lottery.run_folder import HISTORY
from lottery.runs import finish_history
from nas.search.records import (
    SearchHistoryRow,
    SearchResult,
    result_from_json,
    result_to_json,
)
from tests.test_search_records import RECORD
from tests.tiny_runs import TINY, carry_out, digits, open_run
from training.lines import to_lines
from training.metrics import ACCURACY
from training.replicates import Replicates
from training.tasks.task import Evaluation, Task


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    """The digits, of whose test split the first replicate makes a loss that is infinite or no number."""
    task = copy.copy(digits())
    evaluate = task.evaluate

    def spoiled(replicates: Replicates, split: str) -> Evaluation:
        found = evaluate(replicates, split)
        if split == "validation":
            return found
        loss = found.loss.clone()
        loss[0], loss[2:3] = math.inf, math.nan
        return dataclasses.replace(found, loss=loss)

    monkeypatch.setattr(task, "evaluate", spoiled)
    return task


def test_a_replicate_whose_test_loss_alone_is_not_finite_is_lost_on_test(
    tmp_path: Path, task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = dataclasses.replace(TINY, levels=1, arms=("reinitialised",))
    watcher = TerminalWatcher()
    carry_out(experiment, tmp_path / "a", task, watcher=watcher)
    watcher.end()
    records = read_records(tmp_path / "a")
    assert [record.diverged_at for record in records] == [None] * 6
    lost = {(r.level, r.arm, r.seed, v.split) for r in records for v in r.values if v.value is None}
    # The first of each level, and the third of level 1, whose stack has four.
    assert lost == {
        (0, "ticket", 0, "test"),
        (1, "ticket", 0, "test"),
        (1, "reinitialised", 0, "test"),
    }
    assert "a: 1 of 2 networks diverged" in capsys.readouterr().err
    table = read_table([tmp_path / "a"])
    test, validation = (results_at(table, split=split) for split in ("test", "validation"))
    assert test[test["diverged"]]["value"].isna().tolist() == [True] * 3
    assert test[~test["diverged"]]["value"].notna().tolist() == [True] * 3
    # What chooses by validation may not know.
    assert not validation["diverged"].any()


def test_a_history_keeps_its_place(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a", TINY, {"fingerprint": "d41d8cd9"})
    row = HistoryRow(level=0, arm="ticket", seed=0, copy=0, step=6, metric="loss", value=math.nan)
    finish_history(run, [row])
    assert read_history(run.root) == [dataclasses.replace(row, value=None)]
    assert b"NaN" not in run.folder.read(HISTORY)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_search_is_written_to_its_end(number: float) -> None:
    record = dataclasses.replace(
        RECORD,
        score=number,
        standalone=number,
        standalone_by_seed=(0.5, number),
        details={"predicted": number},
    )
    result = SearchResult(metric=ACCURACY, reward_constant=80.0, records=(record,))
    (found,) = result_from_json(result_to_json(result), Path("architectures.json")).records
    assert found == dataclasses.replace(
        RECORD,
        score=None,
        standalone=None,
        standalone_by_seed=(0.5, None),
        details={"predicted": None},
    )
    row = SearchHistoryRow(event="phase", epoch=0, step=1, loss=number, details={"real": number})
    assert to_lines([row]).count(b"null") == 7
