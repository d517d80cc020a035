"""Readings: written, replaced, read back, refused, and what tables and figures make of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures import FIGURES
from analysis.readings import readings_table
from analysis.report import render_report
from analysis.tables import READINGS, read_study
from lottery.readings import (
    Measured,
    Reading,
    read_readings,
    readings_from_json,
    readings_to_json,
    write_readings,
)
from tests.commands import done, refused
from tests.fake_runs import write_run
from training.errors import ExitCode, LotteryError
from training.folders import Folder

PATH = Path("readings/barrier-level-01.json")
READING = Reading(
    level=1,
    arm="ticket",
    seed=3,
    copy=1,
    other="test",
    at="end",
    metric="loss",
    x=0.5,
    value=2.25,
)


@given(
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    x=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    other=st.text(),
    settings=st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()),
)
def test_what_is_written_comes_back(
    value: float | None, x: float | None, other: str, settings: dict[str, Any]
) -> None:
    reading = dataclasses.replace(READING, value=value, x=x, other=other)
    parts = [Measured(settings=settings, readings=(reading, READING))]
    assert readings_from_json(readings_to_json("barrier", 1, parts), PATH) == parts


def test_what_is_not_finite_has_no_value() -> None:
    lost = dataclasses.replace(READING, value=math.inf)
    data = readings_to_json("barrier", 1, [Measured(settings={}, readings=(lost,))])
    ((found,),) = [part.readings for part in readings_from_json(data, PATH)]
    assert found == dataclasses.replace(READING, value=None)


def test_measuring_again_with_equal_settings_replaces_that_part_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1)
    folder, again = Folder(run), dataclasses.replace(READING, value=7.0)
    other = dataclasses.replace(READING, other="validation")
    write_readings(folder, "barrier", 1, {"points": (0, 1)}, [READING])
    write_readings(folder, "barrier", 1, {"points": (0, 2)}, [other])
    write_readings(folder, "barrier", 1, {"points": (0, 1)}, [again])
    write_readings(folder, "area", 0, {}, [dataclasses.replace(READING, level=0)])
    assert [
        (name, settings, one.other, one.value) for name, settings, one in read_readings(run)
    ] == [
        ("area", {}, "test", 2.25),
        ("barrier", {"points": [0, 2]}, "validation", 2.25),
        ("barrier", {"points": [0, 1]}, "test", 7.0),
    ]


def spoiled(change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = [Measured(settings={"points": 3}, readings=(READING,))]
    plain = json.loads(readings_to_json("barrier", 1, parts))
    change(plain)
    return json.dumps(plain).encode()


def of_first(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain["measured"][0]["readings"][0].update(changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("measured"),
        lambda plain: plain.pop("format"),
        lambda plain: plain.update(measurement="area"),
        lambda plain: plain.update(level=2),
        lambda plain: plain["measured"].append([]),
        lambda plain: plain["measured"][0].update(more=1),
        lambda plain: plain["measured"][0].update(settings=[]),
        lambda plain: plain["measured"][0].update(readings=7),
        lambda plain: plain["measured"][0]["readings"][0].pop("copy"),
        of_first(more=1),
        of_first(level=0),
        of_first(seed="3"),
        of_first(copy=-1),
        of_first(copy=True),
        of_first(arm=None),
        of_first(at="middle"),
        of_first(value="2"),
        of_first(value=float("nan")),
        of_first(x=10**400),
    ],
)
def test_damage_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(LotteryError, match=r"barrier-level-01.json is damaged: a reading") as e:
        readings_from_json(spoiled(change), PATH)
    assert e.value.exit_code == ExitCode.BAD_DATA


def test_another_format_says_what_to_do() -> None:
    with pytest.raises(LotteryError, match="of format 2; this version reads format 1: use the"):
        readings_from_json(spoiled(lambda plain: plain.update(format=2)), PATH)


def test_readings_that_are_gone_are_missed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1, readings=True)
    (run / "readings/sharpness-level-01.json").unlink()
    with pytest.raises(LotteryError, match=r"readings/sharpness-level-01.json is missing"):
        read_readings(run)


def test_a_study_has_a_row_per_reading(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / name, levels=1, seeds=(0, 1), readings=name == "a") for name in "ab"
    ]
    readings = read_study(runs).readings
    assert tuple(readings.columns) == READINGS
    # 2 seeds x (dense + 3 arms) x (an eigenvalue and 2 points of a curve)
    assert len(readings) == 2 * 4 * 3
    first = readings.iloc[0]
    assert (first["run"], first["measurement"], first["settings"]) == (
        *("a", "sharpness", "batches 4, split test"),
    )
    at_level = readings[(readings["level"] == 1) & (readings["metric"] == "eigenvalue")]
    assert set(at_level["density"]) == {0.8}
    assert at_level["value"].tolist() == [4.9, 5.9] * 3
    assert readings["x"].isna().sum() == 8


def test_the_table_has_means_over_the_seeds_and_no_empty_columns(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "a", lambda arm, level, seed: None if seed == 2 else 9.0, levels=0, readings=True
    )
    study = read_study([run])
    table = readings_table(study.readings, "a")
    assert "x" in table.head
    cells = dict(zip(table.head, table.rows[0], strict=True))
    # Seeds 0, 1, 3 and 4 of 5 are left.
    assert (cells["metric"], cells["mean"], cells["n"]) == ("eigenvalue", "7", "4 (1 lost)")
    plain = study.readings[study.readings["x"].isna()].assign(settings="")
    assert {"settings", "x"}.isdisjoint(readings_table(plain, "a").head)


def test_commands_and_pages_show_readings_where_there_are_any(tmp_path: Path) -> None:
    without, run = (write_run(tmp_path / n, levels=1, readings=n == "b") for n in "ab")
    assert "eigenvalue" in done("show", run)
    assert "eigenvalue" in render_report([run], "Readings")
    assert "eading" not in done("show", without) + render_report([without], "None")
    words = ("plot", "readings-vs-density", "--out", tmp_path / "figures")
    assert "Nothing that has a value was measured" in refused(*words, without)
    assert {Path(line).name for line in done(*words, run).splitlines()} == {
        *("readings-vs-density-b.svg", "readings-vs-density-b.csv")
    }


def test_curves_have_a_panel_per_arm_and_a_line_per_level(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=2, seeds=(0, 1, 2), readings=True)
    drawing = FIGURES["readings-along-x"].drawing(read_study([run]))
    figure = drawing.draw()
    assert [axes.get_title().splitlines()[0] for axes in figure.axes] == [
        *("a, ticket", "a, random-mask", "a, reinitialised"),
    ]
    # The share is 6 less a tenth per level, at either end; the controls begin at level 1.
    lines = [[*np.asarray(line.get_ydata(), dtype=float)] for line in figure.axes[0].lines]
    assert lines == [pytest.approx([mean, mean]) for mean in (6.0, 5.9, 5.8)]
    assert len(figure.axes[1].lines) == 2
    assert set(drawing.data["metric"]) == {"share"}
    empty = read_study([write_run(tmp_path / "b", levels=1)])
    with pytest.raises(LotteryError, match="No curve was measured"):
        FIGURES["readings-along-x"].drawing(empty).draw()


def test_the_figure_has_a_panel_per_metric_and_a_line_per_arm(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=2, seeds=(0, 1, 2), readings=True)
    drawing = FIGURES["readings-vs-density"].drawing(read_study([run]))
    (axes,) = drawing.draw().axes
    assert axes.get_ylabel() == "eigenvalue"
    assert axes.get_title().splitlines()[0] == "a"
    assert "sharpness, training, last weights" in axes.get_title()
    # Level by level the mean of 5, 6 and 7 less a tenth: 3 levels of the ticket, 2 of the controls.
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    assert sorted(sorted(line) for line in lines if len(line) > 1) == [
        *(pytest.approx([5.8, 5.9]), pytest.approx([5.8, 5.9]), pytest.approx([5.8, 5.9, 6.0])),
    ]
    assert set(drawing.data["metric"]) == {"eigenvalue"}
