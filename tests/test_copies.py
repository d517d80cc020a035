"""Copies of a seed, which differ in noise alone: averaged before any statistic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.curve_plots import drawn_evaluations
from analysis.frontier import frontier
from analysis.rows import average_copies, results_at
from analysis.structure import density_per_layer
from analysis.summaries import summarise_levels
from analysis.tables import read_study, read_table
from analysis.verdicts import answer_questions
from analysis.winners import judge_levels
from tests.fake_runs import accuracy_curve, write_run


def test_a_worked_example() -> None:
    rows = pd.DataFrame(
        {
            "arm": ["ticket"] * 6,
            "seed": [0, 0, 1, 1, 2, 2],
            "copy": [0, 1] * 3,
            "bytes": [10, 20, 30, 30, 50, 50],
            "margin": [np.nan] * 6,
            "diverged": [False, False, False, True, False, False],
            "value": [1.0, 2.0, 3.0, 9.0, 5.0, np.nan],
        }
    )
    found = average_copies(rows)
    assert list(found) == ["arm", "seed", "bytes", "margin", "diverged", "value"]
    assert found["seed"].tolist() == [0, 1, 2]
    assert found["bytes"].tolist() == [15, 30, 50]
    # One copy of seed 1 diverged, and one of seed 2 has no value.
    assert found["diverged"].tolist() == [False, True, True]
    assert found["value"].iloc[0] == 1.5
    assert found["value"].isna().tolist() == [False, True, True]


def test_without_copies_nothing_changes(tmp_path: Path) -> None:
    table = read_table([write_run(tmp_path / "a", levels=2)])
    pd.testing.assert_frame_equal(average_copies(table), table.drop(columns="copy"))


def test_two_copies_about_a_mean_are_that_mean_everywhere(tmp_path: Path) -> None:
    """Copies that lie 0.25 above and below what one run has alone give its verdicts, with its n."""
    one = write_run(tmp_path / "one" / "a", levels=3)
    two = write_run(tmp_path / "two" / "a", levels=3, copies=(0.25, -0.25))
    alone, copied = read_study([one]), read_study([two])
    assert len(copied.table) == 2 * len(alone.table)
    assert set(copied.table["copy"]) == {0, 1}
    for found in (judge_levels, frontier, lambda t: summarise_levels(results_at(t))):
        pd.testing.assert_frame_equal(
            found(copied.table), found(alone.table), check_dtype=False, rtol=1e-9
        )
    assert answer_questions(copied.table) == answer_questions(alone.table)
    pd.testing.assert_frame_equal(
        drawn_evaluations(copied.histories).reset_index(drop=True),
        drawn_evaluations(alone.histories).reset_index(drop=True),
        check_dtype=False,
    )
    pd.testing.assert_frame_equal(density_per_layer(copied.layers), density_per_layer(alone.layers))


def test_a_seed_that_lost_a_copy_is_lost(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", accuracy_curve, levels=1, seeds=(0, 1, 2), copies=(0.0, None))
    rows = results_at(read_table([run]))
    assert rows["diverged"].all()
    assert rows["value"].isna().all()
    levels = summarise_levels(rows)
    assert set(levels["n"]) == {0}
    assert set(levels["diverged"]) == {3}
    assert judge_levels(read_table([run]))["matching"].tolist() == ["undecided"]


@pytest.mark.parametrize("copies", [(0.0,), (0.0, 1.0)])
def test_runs_with_and_without_copies_stand_in_one_study(
    tmp_path: Path, copies: tuple[float, ...]
) -> None:
    runs = [
        write_run(tmp_path / "a", levels=1, copies=copies),
        write_run(tmp_path / "b", levels=1),
    ]
    rows = results_at(read_table(runs))
    assert rows.groupby("run").size().to_dict() == {"a": 20, "b": 20}
