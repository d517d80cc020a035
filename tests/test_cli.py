"""The commands, run as a user runs them, on experiments that take a second."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import torch

from analysis.figures import FIGURES
from lottery import demo
from lottery.cli.main import cli
from lottery.cli.results import named_after
from lottery.controls import CONTROLS
from lottery.experiments import RUN_FOLDER, NetworkConfig
from lottery.progress import Watcher
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.recipe import Recipe, by_name
from nas.catalog.catalog import NETWORKS
from nas.genotypes.convolutional_encodings import print_enas_micro
from nas.genotypes.darts_encoding import print_darts
from nas.genotypes.published import ENAS_MICRO
from tests.commands import done, lottery, refused
from tests.fake_runs import write_run
from tests.tiny_runs import TINY, TOML, files
from tests.tiny_searches import RANDOM as TINY_SEARCH
from training.configs import DataConfig
from training.datasets.catalog import DATASETS
from training.errors import ExitCode
from training.steps import Steps
from training.version import own_version
from training.work_folders import stored_config

ROOT = Path(__file__).parents[1]
RUN = "results/runs/tiny"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a tiny experiment in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run that tests only read."""
    root = tmp_path_factory.mktemp("cli") / "tiny"
    toml = root.with_suffix(".toml")
    toml.write_text(TOML)
    done("prune", toml, "--out", root, "--quiet")
    before = files(root)
    yield root
    assert files(root) == before


# Training


def test_prune_trains_prunes_and_shows(here: Path) -> None:
    result = lottery("prune", "tiny.toml")
    assert result.exit_code == 0
    assert "level 2/2, 6 networks: ticket, reinitialised, random-mask" in result.stderr
    assert result.stdout.splitlines()[1] == "tiny"
    for density in ("100 %", "50 %", "25 %"):
        assert density in result.stdout
    assert stored_config(here / RUN, RUN_FOLDER) == TINY
    (environment,) = json.loads((here / RUN / "environment.json").read_text())
    assert environment["device"] == "cpu"


def test_going_on_in_another_environment_is_said_and_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for threads, levels, said in (
        (1, "0", False),
        (7, "1", True),
        (7, "2", False),
        (9, "2", False),
    ):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        # The library that multiplies would be measured, each time anew.
        words = ("prune", "tiny.toml", "--levels", levels, "--products", "mkl")
        told = " ".join(lottery(*words).stderr.split())
        assert ("(threads was 1 and is 7): from here on its numbers may differ" in told) == said
    kept = json.loads((here / RUN / "environment.json").read_text())
    assert [environment["threads"] for environment in kept] == [1, 7]


def test_quiet_is(here: Path) -> None:
    result = lottery("prune", "tiny.toml", "--quiet", "--levels", "0")
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_same_command_again_takes_everything_from_disk(here: Path) -> None:
    words = ("prune", "tiny.toml", "--json", "--levels", "1")
    first = json.loads(done(*words))
    before = files(here / RUN)
    began = time.monotonic()
    assert json.loads(done(*words)) == first
    assert time.monotonic() - began < 5
    assert files(here / RUN) == before
    assert {(r["level"], r["arm"]) for r in first} == {
        (0, "ticket"),
        *((1, arm) for arm in ("ticket", "reinitialised", "random-mask")),
    }


def test_retrain_then_prune_then_more_levels(here: Path, finished: Path) -> None:
    assert len(json.loads(done("retrain", "tiny.toml", "--json"))) == 2
    assert sorted(p.name for p in (here / RUN).glob("level-*")) == ["level-00"]
    dense = files(here / RUN / "level-00")
    done("prune", "tiny.toml", "--levels", "1")
    done("prune", RUN, "--levels", "2")
    assert files(here / RUN / "level-00") == dense
    assert files(here / RUN) == files(finished)


def test_options_change_the_experiment(here: Path) -> None:
    words = ("--seeds", "3", "--precision", "bf16", "--set", "training.steps=4", "--levels", "1")
    more = ("--set", "arms=[]", "--out", "elsewhere", "--batching", "looped", "--device", "cpu")
    done("prune", "tiny.toml", *words, *more, "--replicates-at-once", "1")
    stored = stored_config(here / "elsewhere", RUN_FOLDER)
    assert (stored.seeds, stored.levels, stored.arms) == ((3,), 1, ())
    assert (stored.training.precision, stored.training.steps.iterations) == ("bf16", 4)


def test_control_adds_an_arm(here: Path) -> None:
    done("prune", "tiny.toml", "--levels", "1")
    found = json.loads(done("control", RUN, "shuffled-mask", "--json"))
    assert {(r["arm"], r["level"], r["seed"]) for r in found} == {
        ("shuffled-mask", 1, 0),
        ("shuffled-mask", 1, 1),
    }
    assert "shuffled-mask" in done("control", RUN, "shuffled-mask")


def test_a_control_tells_its_environment_once_there_is_something_to_train(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("prune", "tiny.toml", "--levels", "1")
    environments, threads = here / RUN / "environment.json", torch.get_num_threads()
    before = environments.read_bytes()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 6)
    refused("control", RUN, "nosuch")
    refused("control", RUN, "random-mask")
    assert environments.read_bytes() == before
    for _ in range(2):
        done("control", RUN, "shuffled-mask")
        kept = [environment["threads"] for environment in json.loads(environments.read_text())]
        assert kept == [threads, threads + 6]
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 7)


def test_a_dry_run_writes_nothing(here: Path) -> None:
    planned = json.loads(done("prune", "tiny.toml", "--dry-run", "--json"))
    assert [level["replicates"] for level in planned["levels"]] == [2, 6, 6]
    text = done("prune", "tiny.toml", "--dry-run")
    assert "25.0 %" in text
    assert "MB on disk, about " in text
    assert "newest" not in text
    lean = done("prune", "tiny.toml", "--dry-run", "--store-weights", "newest")
    assert "will be kept; with --store-weights all it is 0.0 MB" in lean
    assert [path.name for path in here.iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_with_75_and_the_same_command_goes_on(
    here: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    taken = 0

    def steps(self: Watcher, count: int) -> None:
        nonlocal taken
        taken += 1
        if taken == 30:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    monkeypatch.setattr(Watcher, "steps", steps)
    message = refused("prune", "tiny.toml", "--quiet", code=ExitCode.RESUMABLE)
    assert message.startswith("Stopped at step ")
    assert "the same command goes on from there" in message
    assert signal.getsignal(number) == handler
    monkeypatch.undo()
    done("prune", here / "tiny.toml", "--out", here / RUN)
    assert files(here / RUN) == files(finished)


def test_a_second_interrupt_aborts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(self: Watcher, count: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Watcher, "steps", steps)
    assert "Aborted" in refused("prune", "tiny.toml", "--quiet", code=ExitCode.ABORTED)


# The demo


@pytest.fixture
def tiny_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    training = dataclasses.replace(TINY.training, steps=Steps(iterations=3))
    changed = dataclasses.replace(
        TINY, training=training, seeds=(0,), levels=1, arms=("reinitialised",)
    )

    size = {"channels": 2, "normal_cells": 1, "reductions": 1}
    cells = NetworkConfig(name="enas-micro", size={**size})
    searched = dataclasses.replace(changed, name="one", network=cells)
    designed = dataclasses.replace(changed, name="two")
    search = dataclasses.replace(
        TINY_SEARCH, name="found", data=DataConfig(name="digits"), retraining="one"
    )
    pair = (
        Recipe(summary="A searched network", config=searched),
        Recipe(summary="A designed network", config=designed),
    )
    monkeypatch.setattr("lottery.recipes.catalog.RECIPES", by_name(pair))
    monkeypatch.setattr(demo, "DEMO", pair)
    monkeypatch.setattr(demo, "DEMO_SEARCH", Recipe(summary="A search", config=search))
    monkeypatch.setattr(demo, "DEMO_RETRAINING", ("training.steps=5it", "levels=1"))


@pytest.mark.usefixtures("tiny_demo")
def test_the_demo_ends_with_verdicts_and_a_report(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = lottery("demo")
    assert result.exit_code == 0, result.output
    assert "1/4  A search." in result.stderr
    assert "3/4  A searched network." in result.stderr
    assert "Search or prune" in result.stdout
    assert "Does found find better architectures than chance?" in result.stdout
    page = here / "results/runs/demo/report.html"
    assert str(page) in result.stdout.replace("\n", "")
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert page.with_name("search.html").read_text().startswith("<!DOCTYPE html>")
    made = ("found", "found-rank-1", "one", "two")
    before = {name: files(here / "results/runs/demo" / name) for name in made}
    page.unlink()
    monkeypatch.setattr("analysis.report.render_report", lambda runs, title: title)
    done("demo", "--quiet")
    assert page.exists()
    assert {name: files(here / "results/runs/demo" / name) for name in before} == before


@pytest.mark.usefixtures("tiny_demo")
def test_the_demo_resumes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.report.render_report", lambda runs, title: title)
    done("demo", "--quiet", "--out", "whole")
    asked = 0

    def stop_requested(self: Watcher) -> bool:
        nonlocal asked
        asked += 1
        return asked in (2, 9)

    monkeypatch.setattr(Watcher, "stop_requested", stop_requested)
    for _ in range(2):
        refused("demo", "--quiet", "--out", "parts", code=ExitCode.RESUMABLE)
    done("demo", "--quiet", "--out", "parts")
    for name in ("one", "two"):
        assert files(here / "parts" / name) == files(here / "whole" / name)


# Reading


def test_show(finished: Path) -> None:
    assert "reinitialised" in done("show", finished)
    rows = json.loads(done("show", finished, "--json"))
    assert {row["level"] for row in rows} == {0, 1, 2}
    assert {row["split"] for row in rows} == {"validation", "test"}


@pytest.mark.parametrize(
    "figure",
    sorted(
        name
        for name in FIGURES
        if name != "density-per-gate" and "measure" not in FIGURES[name].summary
    ),
)
def test_plot_writes_every_format_and_the_data(finished: Path, here: Path, figure: str) -> None:
    formats = [word for name in ("svg", "png", "pdf") for word in ("--format", name)]
    printed = done("plot", figure, finished, "--out", "figures", *formats).split()
    name = f"figures/{figure}-tiny"
    assert printed == [f"{name}.{suffix}" for suffix in ("svg", "png", "pdf", "csv")]
    beginnings = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    for suffix, begins in beginnings.items():
        assert (here / f"{name}.{suffix}").read_bytes().startswith(begins)
    assert len((here / f"{name}.csv").read_text().splitlines()) > 2


def test_plot_draws_published_figures_over_ours(finished: Path, here: Path) -> None:
    (here / "p.csv").write_text("arm,density,value,source\nticket,0.5,97.5,Somebody 2019\n")
    done("plot", "metric-vs-density", finished, "--published", "p.csv", "--out", "figures")
    assert "Somebody 2019" in (here / "figures/metric-vs-density-tiny.svg").read_text()
    (here / "p.csv").write_text("arm,density\nticket,0.5\n")
    words = ("plot", "metric-vs-density", finished, "--published", "p.csv")
    assert "has no column value" in refused(*words, code=ExitCode.BAD_DATA)


def test_figures_of_other_runs_do_not_replace_one_another(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "runs" / name, levels=1) for name in ("one", "two")]
    for some in ([runs[0]], [runs[1]], runs):
        done("plot", "metric-vs-density", *some)
        done("plot", "metric-vs-density", *some, "--out", tmp_path / "drawn")
    names = [f"metric-vs-density-{name}" for name in ("one", "one-two", "two")]
    wanted = sorted(f"{name}.{suffix}" for name in names for suffix in ("csv", "svg"))
    # Beside the runs, where nothing else is said.
    for folder in ("runs/figures", "drawn"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == wanted
    drawn = {(tmp_path / "drawn" / f"{name}.csv").read_text() for name in names}
    assert len(drawn) == len(names)


def test_files_of_many_runs_have_names_that_fit(tmp_path: Path) -> None:
    runs = [tmp_path / f"{'long-name-' * 12}{number}" for number in range(9)]
    whole, fewer = named_after(runs), named_after(runs[:-1])
    assert named_after(runs[:1]) == runs[0].name
    assert whole.startswith("long-name-")
    assert len(whole) < 200
    assert whole != fewer
    assert len(os.fsencode(named_after([tmp_path / ("\N{SNOWMAN}" * 80)]))) < 200


def test_compare(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", levels=3)
    two = write_run(tmp_path / "two", network="enas-micro", origin="searched", levels=3, scale=0.5)
    text = done("compare", one, two, "--budget", "bytes")
    assert "Search or prune: is the searched network the better one on mnist?" in text
    found = json.loads(done("compare", one, two, "--json"))
    assert found["verdicts"][0]["verdict"] in ("yes", "no", "undecided")
    assert {row["network"] for row in found["levels"]} == {"lenet-300-100", "enas-micro"}


def test_report(finished: Path, here: Path) -> None:
    assert done("report", finished, "--out", "page.html", "--title", "Mine").split() == [
        "page.html"
    ]
    assert "Mine" in (here / "page.html").read_text()


# Catalogues


def test_recipes(here: Path) -> None:
    assert {row["recipe"] for row in json.loads(done("recipes", "--json"))} == RECIPES.keys()
    data = {row["recipe"]: row["data"] for row in json.loads(done("recipes", "--json"))}
    assert data["lth-lenet-small"] == "mnist cut to 4,000 images (test too)"
    assert data["awd-lstm-ptb-small"] == "ptb cut to 60,000 tokens (validation and test too)"
    lines = done("recipes").splitlines()
    assert any(line.split()[:4] == ["lth-lenet", "lenet-300-100", "mnist", "yes"] for line in lines)
    assert any(line.startswith("lth-lenet-short ") for line in lines)
    assert not any(line.startswith("lth-lenet-small ") for line in lines)
    assert json.loads(done("recipes", "lth-lenet", "--json"))["levels"] == 20
    (here / "mine.toml").write_text(done("recipes", "demo-digits-resnet"))
    words = ("--set", "network.size.width=1", "--set", "training.steps=1", "--levels", "0")
    done("prune", "mine.toml", *words, "--out", "mine", "--seeds", "0")
    stored = stored_config(here / "mine", RUN_FOLDER)
    assert stored.training.optimizer == recipe("demo-digits-resnet").training.optimizer


def test_networks() -> None:
    listed = {row["network"]: row for row in json.loads(done("networks", "--json"))}
    assert listed.keys() == NETWORKS.keys()
    assert "enas-micro" in done("networks")
    found = json.loads(done("networks", "lenet-300-100", "--json"))
    assert listed["lenet-300-100"] == found
    # 784 x 300 + 300 x 100 + 100 x 10 weights and 410 biases.
    assert found["parameters"] == 266_610
    assert found["sizes"] == {"widths": [300, 100]}
    assert "266,610" in done("networks", "lenet-300-100")


def test_a_searched_network_shows_figures_and_genotype() -> None:
    text = done("networks", "enas-micro")
    # The genotype can be copied: it is on one line.
    assert f"genotype (ENAS micro)\n{print_enas_micro(ENAS_MICRO)}\n" in text
    assert f"genotype (DARTS)\n{print_darts(ENAS_MICRO)}\n" in text
    published = [line for line in text.splitlines() if line.startswith("published")]
    assert any("2.89 % (Pham et al. 2018" in line for line in published)


def test_a_drawn_network(here: Path) -> None:
    assert done("networks", "enas-lm", "--draw") == "enas-lm.svg\n"
    assert "cell" in (here / "enas-lm.svg").read_text()
    words = ("networks", "enas-macro", "--draw", "--out", "chain.png", "--json")
    assert json.loads(done(*words)) == {"drawing": "chain.png"}
    assert (here / "chain.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--draw",), "--draw draws one network"),
        (("enas-lm", "--out", "cell.svg"), "give --draw too"),
        (("enas-lm", "--draw", "--out", "cell.gif"), "let it end in .svg or .png or .pdf"),
        (("resnet", "--draw"), "has no genotype to draw"),
        (("mine.code:factory",), "retrain RECIPE --network mine.code:factory --dry-run"),
        (("torchvision/resnt18",), "did you mean resnet18"),
    ],
)
def test_networks_that_can_not_be_shown(here: Path, words: tuple[str, ...], sentence: str) -> None:
    before = sorted(here.iterdir())
    assert sentence in refused("networks", *words)
    assert sorted(here.iterdir()) == before


def test_data() -> None:
    assert {row["data"] for row in json.loads(done("data", "--json"))} == DATASETS.keys()
    assert "embedded" in done("data")
    found = json.loads(done("data", "digits", "--json"))
    assert found["examples"] == {"train": 1000, "validation": 297, "test": 500}
    assert "1,000" in done("data", "digits")


# Help


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_says_what_it_does_and_gives_an_example(name: str) -> None:
    text = done(name, "--help")
    assert f"lottery {name}" in text.split("Example", 1)[1]
    assert done(name, "-h") == text
    assert "\\" not in text
    assert "Example" in {line.split(":")[0].strip(" s") for line in text.splitlines()}
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_help_of_the_group_names_every_command_and_exit_code() -> None:
    text = " ".join(done("--help").split())
    assert all(f" {name} " in text for name in cli.commands)
    for code in set(ExitCode):
        assert f"{int(code)} " in text.split("Exit codes:")[1]


def test_help_names_every_control_and_figure() -> None:
    for command, names in (("control", CONTROLS), ("plot", FIGURES)):
        first_words = [line.split()[0] for line in done(command, "--help").splitlines() if line]
        assert set(names) <= set(first_words)


def test_the_version_is_the_projects() -> None:
    assert done("--version") == f"lottery, version {own_version()}\n"


def test_help_is_instant_as_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['lottery', '--help']; from lottery.cli.main import cli\n"
        "try: cli()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Usage: lottery" in ended.stdout
    loaded = {*ended.stderr.split()}
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "scipy", "matplotlib", "seaborn", "sklearn"}
    # Python's own and click's are about 230 of them.
    assert len(loaded) < 400
