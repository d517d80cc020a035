"""`lottery search`, and the commands that read or retrain what it found, as a user runs them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import analysis.search_drawings
import training.replay
from analysis.genotype_drawings import draw_genotype
from analysis.search_drawings import draw_best
from lottery.cli.search_watching import TerminalSearchWatcher, figures
from lottery.cli.watching import TerminalWatcher
from lottery.experiments import RUN_FOLDER
from lottery.recipes.search_catalog import search_recipe
from nas.genotypes.values import Genotype
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import SearchHistoryRow
from nas.search.watching import SearchWatcher
from tests.commands import done, lottery, refused
from tests.fake_runs import write_run
from tests.fake_searches import write_search
from training.capture import capture
from training.errors import ExitCode, LotteryError, visible
from training.folders import Folder
from training.steps import Steps
from training.toml_text import from_toml, to_toml
from training.work_folders import stored_config


def tiny() -> SearchConfig:
    """A random search of a second."""
    full = search_recipe("enas-micro-search-small")
    assert full.shared is not None
    assert full.derive.alone is not None
    four = Steps(iterations=4)
    short = dataclasses.replace(full.shared, steps=four, eval_every=four)
    alone = dataclasses.replace(full.derive.alone, steps=Steps(iterations=2))
    derive = dataclasses.replace(
        full.derive, sampled=3, ranked=2, random=2, alone_best=1, minibatches=1, alone=alone
    )
    return dataclasses.replace(
        full,
        name="tiny",
        method="random",
        controller=None,
        nodes=1,
        network={"channels": 2, "normal_cells": 1, "reductions": 0},
        shared=short,
        phase=Steps(iterations=2),
        shown=1,
        derive=derive,
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a tiny search in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(to_toml(tiny()))
    return tmp_path


def test_a_search_ranks_draws_and_says_what_is_next(here: Path) -> None:
    result = lottery("search", "tiny.toml")
    assert result.exit_code == 0, result.output
    assert "phase 2/2: loss" in " ".join(result.stderr.split())
    root = here / "results/searches/tiny"
    assert "accuracy by score" in result.stdout
    assert "lottery retrain results/searches/tiny --rank 1" in result.stdout
    assert (root / "architectures/rank-1.svg").is_file()
    assert (root / "architectures/rank-2.png").is_file()
    (environment,) = json.loads((root / "environment.json").read_text())
    assert environment["device"] == "cpu"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    again = json.loads(done("search", "results/searches/tiny", "--json", "--quiet"))
    assert len(again) == 4
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_what_was_found_is_retrained_and_pruned(here: Path) -> None:
    done("search", "tiny.toml", "--quiet")
    words = (
        "--set",
        "training.steps=2",
        "--set",
        "arms=[]",
        "--seeds",
        "0",
        "--json",
        "--rank",
        "2",
    )
    small = ("--set", "network.size.channels=2", "--set", "network.size.normal_cells=1")
    (record,) = json.loads(done("retrain", "results/searches/tiny", *words, *small))
    assert (record["origin"], record["network"]) == ("searched", "searched-cells")
    run = here / "results/runs/tiny-rank-2"
    found = stored_config(run, RUN_FOLDER).network.found
    assert found is not None
    assert (found.run, found.method, found.rank) == ("tiny", "random", 2)
    pruned = json.loads(
        done("prune", "results/searches/tiny", *words, *small, "--levels", "1", "--quiet")
    )
    assert {r["level"] for r in pruned} == {0, 1}


def test_a_stopped_search_goes_on_with_the_same_command(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("search", "tiny.toml", "--out", "whole", "--quiet")

    def steps(self: SearchWatcher, count: int) -> None:
        self.request_stop()

    with monkeypatch.context() as patched:
        patched.setattr(SearchWatcher, "steps", steps)
        words = ("search", "tiny.toml", "--out", "pieces/whole", "--quiet")
        refused(*words, code=ExitCode.RESUMABLE)
    done(*words)
    name = "architectures.json"
    assert (here / "pieces/whole" / name).read_bytes() == (here / "whole" / name).read_bytes()


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An item for every step that is captured, so that later ones may be replayed."""
    made: list[str] = []

    def noted(*arguments: Any) -> Any:
        made.append("capture")
        return capture(*arguments)

    monkeypatch.setattr(training.replay, "capture", noted)
    return made


@pytest.mark.parametrize("change", ["samples=1", "shared=none"], ids=["shared", "alone"])
def test_no_number_follows_from_replay(here: Path, captures: list[str], change: str) -> None:
    words = ("search", "tiny.toml", "--set", change, "--set", "derive.alone.steps=14it", "--quiet")
    done(*words, "--out", "replayed/s")
    assert captures
    captures.clear()
    done(*words, "--no-replay", "--out", "called/s")
    assert not captures
    for name in ("architectures.json", "history.jsonl", "standalone.json"):
        replayed, called = (here / out / "s" / name for out in ("replayed", "called"))
        assert replayed.read_bytes() == called.read_bytes()


def test_a_finished_search_is_drawn_from_python(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_search(here / "found")
    draw_best(run)
    folder = Folder(run)
    drawn = [f"architectures/rank-{rank}.{kind}" for rank in (1, 2, 3) for kind in ("png", "svg")]
    assert [name for name in folder.names() if name.startswith("architectures/")] == drawn
    # What is there stays as it is; what is missing is drawn again.
    folder.remove(drawn[1])
    titles: list[str] = []

    def noted(title: str, genotype: Genotype) -> Figure:
        titles.append(title)
        return draw_genotype(title, genotype)

    monkeypatch.setattr(analysis.search_drawings, "draw_genotype", noted)
    draw_best(run)
    assert titles == ["found, rank 1"]
    assert folder.holds(drawn[1])
    with pytest.raises(LotteryError, match="is not a search"):
        draw_best(here / "nothing")


def test_several_seeds_are_several_searches(here: Path) -> None:
    done("search", "tiny.toml", "--seeds", "3,4", "--out", "all", "--quiet")
    assert [
        stored_config(here / f"all/tiny-seed-{seed}", SEARCH_FOLDER).seed for seed in (3, 4)
    ] == [3, 4]


def test_a_dry_run_writes_nothing(here: Path) -> None:
    planned = json.loads(done("search", "tiny.toml", "--dry-run", "--json"))
    assert planned["networks trained alone at the end"] == "3 (2 of them random), 2it each"
    assert "updates of the controller" in done("search", "enas", "--data", "digits", "--dry-run")
    assert "a pool of 40" in done("search", "nao-ws-cell-search-small", "--dry-run")
    plan = json.loads(done("search", "nao-cell-search-small", "--dry-run", "--json"))
    assert plan["networks trained alone while searching"].startswith("48, ")
    both = json.loads(done("search", "tiny.toml", "--seeds", "3,4", "--dry-run", "--json"))
    assert [one["search"] for one in both] == ["tiny-seed-3", "tiny-seed-4"]
    assert [path.name for path in here.iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("enas-rnn-search", "enas, recurrent, ptb cut to 5,000 tokens (validation too)"),
        ("enas-micro-search", "enas, cell, cifar-10 cut to 5,000 images"),
    ],
)
def test_a_plan_says_what_its_data_are_cut_to(recipe: str, told: str) -> None:
    cut = ("--set", "data.options.train=5000", "--set", "data.options.validation=300")
    plan = json.loads(done("search", recipe, *cut, "--dry-run", "--json"))
    assert plan["method, space and data"] == told


def test_the_recipes_are_listed_and_printed() -> None:
    toml = done("recipes", "enas-micro-search-small")
    assert from_toml(SearchConfig, toml, "x") == search_recipe("enas-micro-search-small")
    assert "nao-rnn-search-small" in done("search")
    assert {row["method"] for row in json.loads(done("search", "--json"))} == {"enas", "nao"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("enas-micro-serch",), "There is no search recipe 'enas-micro-serch'; did you mean"),
        (("tiny.toml", "--space", "cell"), "--space goes with a method, enas, nao or random"),
        (("tiny.toml", "--set", "nods=3"), "no field 'nods'; did you mean nodes"),
        (
            ("enas", "--space", "recurrent", "--data", "digits"),
            "is not for images; choose the space cell or",
        ),
        (("enas", "--data", "pydoc"), "is not for text; choose the space recurrent, or other data"),
        (("tiny.toml", "--seeds", "1,2,1"), "A seed is named twice"),
        (("tiny.toml", "--set", "shared=none", "--set", "derive.alone=none"), "derive.alone"),
    ],
)
def test_what_can_not_be_searched_is_refused(
    here: Path, words: tuple[str, ...], message: str
) -> None:
    assert message in refused("search", *words, "--quiet")


def test_rank_is_of_searches_alone(here: Path) -> None:
    assert "--rank is of what a search found" in refused("prune", "demo-digits-enas", "--rank", "2")
    write_search(here / "found")
    assert "no architecture of rank 9" in refused("retrain", "found", "--rank", "9")


def test_a_search_is_shown_drawn_and_reported(here: Path) -> None:
    write_search(here / "found")
    assert "Kendall's tau" in done("show", "found")
    assert len(json.loads(done("show", "found", "--json"))) == 26
    twice = ("--format", "svg", "--format", "svg")
    paths = done("plot", "score-vs-standalone", "found", "--out", "drawn", *twice).split()
    assert [Path(path).name for path in paths] == [
        "score-vs-standalone-found.svg",
        "score-vs-standalone-found.csv",
    ]
    assert "<svg" in Path(done("report", "found").strip()).read_text()
    write_run(here / "run", levels=0, history=False)
    assert "is a search and run is not" in refused("report", "found", "run")
    assert "Known: promised-vs-real" in refused("plot", "learning-curves", "found")


LONG = "\x1b[31mfound in " + " ".join(["a folder of a long name"] * 9) + " :smile: [red]at last"


@pytest.mark.parametrize("kind", [TerminalWatcher, TerminalSearchWatcher])
def test_a_notice_is_one_visible_line(
    kind: type[TerminalWatcher | TerminalSearchWatcher], capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = kind()
    watcher.notice(LONG)
    watcher.end()
    assert capsys.readouterr().err == f"Note: {visible(LONG)}\n"
    assert visible(LONG).startswith("\\x1b[31mfound in a folder")


def test_what_is_told_beside_the_bars_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    runs, searches = TerminalWatcher(), TerminalSearchWatcher()
    runs.begin(LONG, 1)
    runs.level(1, 2, ("ticket",), 3)
    runs.end()
    searches.begin(LONG, 0, 3, 0)
    searches.phase(SearchHistoryRow(event="phase", epoch=0, step=0, reward=0.5), "0.5 by x")
    searches.alone(2, 2)
    searches.end()
    shown = visible(LONG)
    assert capsys.readouterr().err.splitlines() == [
        f"{shown}  level 1/2, 3 networks: ticket",
        f"{shown}  phase 1/3: reward 0.5",
        f"{shown}  best reward so far 0.5 by x",
        f"{shown}  2 architectures trained alone",
    ]


def test_the_display_tells_rollbacks_and_what_is_trained_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watcher = TerminalSearchWatcher()
    watcher.begin("s", 0, 3, 0)
    watcher.phase(SearchHistoryRow(event="phase", epoch=0, step=0, reward=0.5, entropy=9.0), "")
    watcher.phase(SearchHistoryRow(event="rollback", epoch=1, step=7), "")
    watcher.alone(1, 2)
    watcher.alone(2, 2)
    watcher.end()
    told = " ".join(capsys.readouterr().err.split())
    assert "phase 1/3: reward 0.5, entropy 9" in told
    assert "rolled back at step 7" in told
    assert "2 architectures trained alone" in told
    assert figures(SearchHistoryRow(event="phase", epoch=0, step=1)) == []
