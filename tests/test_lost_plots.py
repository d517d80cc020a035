"""Figures of runs and searches of which networks diverged: what is drawn, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from analysis.figures import FIGURES
from analysis.report import render_report
from analysis.search_figures import SEARCH_FIGURES
from analysis.search_plots import contest
from analysis.search_tables import SearchStudy, read_searches
from analysis.tables import Study, read_study
from lottery.run_folder import HISTORY
from tests.commands import done, refused
from tests.fake_runs import Curve, write_run
from tests.fake_searches import write_search
from training.folders import Folder
from training.metrics import ACCURACY, PERPLEXITY

LOST = "every one of 35 networks diverged"
PUBLISHED = pd.DataFrame(
    {"arm": ["ticket"], "density": [0.5], "value": [90.0], "source": ["a paper"]}
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A sound run, and one of which every network diverged after its best step."""
    root = tmp_path_factory.mktemp("runs")
    runs = [
        write_run(root / name, levels=2, data=data, metric=metric)
        for name, data, metric in (("sound", "mnist", ACCURACY), ("lost", "ptb", PERPLEXITY))
    ]
    read = read_study(runs)
    table = read.table.assign(diverged=read.table["diverged"] | (read.table["run"] == "lost"))
    assert table["value"].notna().all()
    return dataclasses.replace(read, table=table, baselines=read.baselines.iloc[:0])


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


@pytest.mark.parametrize("published", [None, PUBLISHED])
@pytest.mark.parametrize("name", ["metric-vs-density", "early-stop-vs-density"])
def test_a_panel_without_a_sound_network_says_so(
    study: Study, name: str, published: pd.DataFrame | None
) -> None:
    figure = FIGURES[name].drawing(dataclasses.replace(study, published=published)).draw()
    sound, lost = figure.axes
    assert sound.get_title() == "sound"
    assert lost.get_title() == f"lost\n{LOST}"
    assert not [points for points in lost.collections if isinstance(points, PathCollection)]
    if published is None:
        assert list(lost.get_yticks()) == []


def test_a_front_without_a_sound_network_says_so(study: Study) -> None:
    assert titles(FIGURES["searched-vs-pruned"].drawing(study).draw()) == [
        "mnist",
        "ptb\nevery one of 15 networks diverged",
    ]


def only(arm: str) -> Curve:
    return lambda own, level, seed: 98.0 + seed if own == arm else None


@pytest.mark.parametrize(
    "curve",
    [only("random-mask"), lambda arm, level, seed: 98.0 if level in (1, 3) else None],
    ids=["other arms are sound", "other levels are sound"],
)
@pytest.mark.parametrize("rows", ["all", "sound", "none"])
def test_lost_curves_leave_the_rest_of_a_report(tmp_path: Path, curve: Curve, rows: str) -> None:
    """Whether a network that diverged before the first look has rows without values, or none."""
    run = write_run(tmp_path / "a", curve, levels=4)
    folder = Folder(run)
    lines = folder.read(HISTORY).splitlines(keepends=True)
    kept = [line for line in lines if rows == "all" or json.loads(line)["value"] is not None]
    folder.write(HISTORY, b"".join(kept if rows != "none" else []))
    lost = read_study([run])
    kind = FIGURES["learning-curves"]
    drawn = kind.drawing(lost).data
    if drawn.empty:
        assert kind.caption not in render_report([run], "Lost")
    else:  # the levels that are left are the first, the middle and the last
        assert set(drawn["level"]) == {1, 3}
        assert rows == "sound"
        assert titles(kind.drawing(lost).draw()) == ["a"]


def test_what_is_drawn_is_what_is_saved_beside_a_figure(study: Study) -> None:
    drawn = FIGURES["learning-curves"].drawing(study).data
    assert set(drawn["arm"]) == {"ticket", "reinitialised"}
    longer = (
        FIGURES["learning-curves"]
        .drawing(
            dataclasses.replace(
                study,
                histories=pd.concat([study.histories.assign(level=n) for n in range(5)]),
            )
        )
        .data
    )
    assert set(longer["level"]) == {0, 2, 4}


def test_without_a_history_a_user_is_told_what_can_be_done(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=1)
    (run / HISTORY).unlink()
    told = refused("plot", "learning-curves", run)
    assert "No evaluation of ticket or reinitialised was recorded during training" in told
    assert "metric-vs-density" in told
    assert "--out" in told
    done("report", run)


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> SearchStudy:
    root = tmp_path_factory.mktemp("searches")
    return read_searches([write_search(root / "enas"), write_search(root / "whole")])


def losing(searches: SearchStudy, lost: Callable[[pd.DataFrame], pd.Series[bool]]) -> SearchStudy:
    table = searches.architectures
    here = (table["search"] == "enas") & table["standalone"].notna() & lost(table)
    # Two seeds, of which one diverged: the mean is of the other and 0.
    halved = table["standalone"].where(~here, table["standalone"] / 2)
    return dataclasses.replace(
        searches, architectures=table.assign(lost=here.astype(int), standalone=halved)
    )


def test_architectures_that_diverged_are_in_no_mean(searches: SearchStudy) -> None:
    whole = searches.architectures
    first = whole[(whole["origin"] == "random") & (whole["search"] == "enas")].index[:2]
    lost = losing(searches, lambda table: pd.Series(table.index.isin(first), table.index))
    figure = SEARCH_FIGURES["searched-vs-random"].drawing(lost).draw()
    assert titles(figure) == ["enas\n2 of 25 networks diverged; means are of the others", "whole"]
    left = whole[(whole["search"] == "enas") & (whole["origin"] == "random")].drop(index=first)
    drawn = [line for line in figure.axes[0].collections if isinstance(line, LineCollection)]
    mean, found = (float(line.get_segments()[0][0][1]) for line in drawn)
    assert mean == pytest.approx(left["standalone"].mean())
    assert found < 1
    assert [len(np.asarray(line.get_ydata())) for line in figure.axes[0].lines] == [18, 5]
    rows = contest(lost.architectures)
    assert rows["standalone"].isna().sum() == rows["standalone_metric"].isna().sum() == 2
    assert rows["lost"].sum() == 2


def test_a_search_whose_architectures_all_diverged_says_so(searches: SearchStudy) -> None:
    lost = losing(searches, lambda table: table["lost"] == 0)
    figure = SEARCH_FIGURES["searched-vs-random"].drawing(lost).draw()
    assert titles(figure) == ["enas\nevery one of 25 networks diverged", "whole"]
    assert not figure.axes[0].collections
