"""The commands, run as a user runs them, on experiments that take a second."""

from __future__ import annotations

import dataclasses
import errno
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
from click.testing import CliRunner, Result

from analysis.plots import FIGURES
from lottery import recipes
from lottery.cli.main import cli
from lottery.controls import CONTROLS
from lottery.experiments import Experiment, NetworkConfig
from lottery.progress import Watcher
from lottery.recipes import RECIPES, recipe
from lottery.runs import Run, stored_experiment
from nas.catalog import NETWORKS
from tests.fake_runs import write_run
from tests.tiny_runs import TINY, TOML, files
from training.configs import Steps
from training.datasets.catalog import DATASETS
from training.errors import ExitCode
from training.storage import locked

ROOT = Path(__file__).parents[1]
RUN = "results/runs/tiny"


def lottery(*words: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(word) for word in words])


def done(*words: str | Path) -> str:
    """Run a command that must succeed; its standard output."""
    result = lottery(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str | Path, code: int = 1) -> str:
    """Run a command that must fail; its one sentence."""
    result = lottery(*words)
    assert result.exit_code == code, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0].removeprefix("Error: ")


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
    assert stored_experiment(Run(here / RUN)) == TINY
    environment = json.loads((here / RUN / "environment.json").read_text())
    assert environment["device"] == "cpu"


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
    stored = stored_experiment(Run(here / "elsewhere"))
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


def test_a_dry_run_writes_nothing(here: Path) -> None:
    planned = json.loads(done("prune", "tiny.toml", "--dry-run", "--json"))
    assert [level["replicates"] for level in planned["levels"]] == [2, 6, 6]
    text = done("prune", "tiny.toml", "--dry-run")
    assert "25.0 %" in text
    assert "MB on disk, about " in text
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
    def searched() -> Experiment:
        """A searched network."""
        cells = NetworkConfig(
            name="enas-micro", size={"channels": 2, "normal_cells": 1, "reductions": 1}
        )
        return dataclasses.replace(changed, name="one", network=cells)

    def designed() -> Experiment:
        """A designed network."""
        return dataclasses.replace(changed, name="two")

    training = dataclasses.replace(TINY.training, steps=Steps(iterations=3))
    changed = dataclasses.replace(
        TINY, training=training, seeds=(0,), levels=1, arms=("reinitialised",)
    )
    monkeypatch.setattr(recipes, "RECIPES", {"one": searched, "two": designed})
    monkeypatch.setattr(recipes, "DEMO", ("one", "two"))


@pytest.mark.usefixtures("tiny_demo")
def test_the_demo_ends_with_verdicts_and_a_report(here: Path) -> None:
    result = lottery("demo")
    assert result.exit_code == 0, result.output
    assert "1/2  A searched network." in result.stderr
    assert "Search or prune" in result.stdout
    page = here / "results/runs/demo/report.html"
    assert str(page) in result.stdout.replace("\n", "")
    assert page.read_text().startswith("<!DOCTYPE html>")
    before = {name: files(here / "results/runs/demo" / name) for name in ("one", "two")}
    page.unlink()
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


@pytest.mark.parametrize("figure", sorted(FIGURES))
def test_plot_writes_every_format_and_the_data(finished: Path, here: Path, figure: str) -> None:
    formats = [word for name in ("svg", "png", "pdf") for word in ("--format", name)]
    printed = done("plot", figure, finished, "--out", "figures", *formats).split()
    assert printed == [f"figures/{figure}.{suffix}" for suffix in ("svg", "png", "pdf", "csv")]
    beginnings = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    for suffix, begins in beginnings.items():
        assert (here / f"figures/{figure}.{suffix}").read_bytes().startswith(begins)
    assert len((here / f"figures/{figure}.csv").read_text().splitlines()) > 2


def test_plot_draws_published_figures_over_ours(finished: Path, here: Path) -> None:
    (here / "p.csv").write_text("arm,density,value,source\nticket,0.5,97.5,Somebody 2019\n")
    done("plot", "metric-vs-density", finished, "--published", "p.csv", "--out", "figures")
    assert "Somebody 2019" in (here / "figures/metric-vs-density.svg").read_text()
    (here / "p.csv").write_text("arm,density\nticket,0.5\n")
    words = ("plot", "metric-vs-density", finished, "--published", "p.csv")
    assert "has no column value" in refused(*words, code=ExitCode.BAD_DATA)


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
    assert "lth-lenet-short" in done("recipes")
    assert json.loads(done("recipes", "lth-lenet", "--json"))["levels"] == 20
    (here / "mine.toml").write_text(done("recipes", "demo-digits-resnet"))
    words = ("--set", "network.size.width=1", "--set", "training.steps=1", "--levels", "0")
    done("prune", "mine.toml", *words, "--out", "mine", "--seeds", "0")
    stored = stored_experiment(Run(here / "mine"))
    assert stored.training.optimizer == recipe("demo-digits-resnet").training.optimizer


def test_networks() -> None:
    assert {row["network"] for row in json.loads(done("networks", "--json"))} == NETWORKS.keys()
    assert "enas-micro" in done("networks")
    found = json.loads(done("networks", "lenet-300-100", "--json"))
    # 784 x 300 + 300 x 100 + 100 x 10 weights and 410 biases.
    assert found["parameters"]["10 classes of 1 x 28 x 28"] == 266_610
    assert "266610" in done("networks", "lenet-300-100").replace("\n", "")


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


def test_help_is_instant_and_does_without_torch() -> None:
    code = (
        "import sys; sys.argv = ['lottery', '--help']; from lottery.cli.main import cli\n"
        "try: cli()\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    times = []
    for _ in range(5):
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        )
        times.append(time.perf_counter() - began)
        assert ended.stderr == "False\n"
        assert "Usage: lottery" in ended.stdout
    assert min(times) < (0.6 if os.environ.get("CI") else 0.3)


# What is refused


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("prune demo-digits-ena", "did you mean demo-digits-enas"),
        ("prune tiny.toml --set pruning.rat=0.5", "did you mean pruning.rate"),
        ("prune tiny.toml --set pruning.scope=layers", "global, layerwise"),
        ("prune tiny.toml --set network.name=lenet-300-10", "did you mean lenet-300-100"),
        ("prune tiny.toml --set network.size.width=3", "did you mean widths"),
        ("prune tiny.toml --set network.size.widths=[0]", "from 1 to 65,536"),
        ("prune tiny.toml --set data.name=digit", "did you mean digits"),
        ("prune tiny.toml --set data.options.validatio=3", "did you mean validation"),
        ("prune tiny.toml --set arms=['reinitialized']", "did you mean reinitialised"),
        ("prune tiny.toml --set pruning.criterion=magnitudes", "did you mean magnitude"),
        ("prune tiny.toml --set pruning.rate=nan", "not finite"),
        ("prune tiny.toml --set training.optimizer.learning_rate=inf", "not finite"),
        ("prune tiny.toml --set pruning.rate=1.0", "from 0 to below 1"),
        ("prune tiny.toml --set training.batch_size=0", "1 or more"),
        ("prune tiny.toml --set training.batch_size=1001", "choose at most that many"),
        ("prune tiny.toml --set training.steps=5x", "2ep, 500it"),
        ("prune tiny.toml --set rewinding.step=20", "before the last step"),
        ("prune tiny.toml --set levels", "FIELD=VALUE"),
        ("prune tiny.toml --seeds 4294967296", "within 32 bits"),
        ("prune tiny.toml --precision fp16", "fp32, bf16"),
        ("prune tiny.toml --device tpu", "auto, cpu, cuda"),
        ("prune tiny.toml --dry-run --set arms=['x']", "Known: dense"),
        ("prune .", "neither a run nor a .toml file"),
        ("recipes lth-lenett", "did you mean lth-lenet"),
        ("networks resnt", "did you mean resnet"),
        ("data mnits", "did you mean mnist"),
        ("show .", "is not a run"),
        ("control . dense", "is not a run"),
        ("data digits --download", "needs no download"),
    ],
)
@pytest.mark.usefixtures("here")
def test_bad_input_is_one_sentence_and_writes_nothing(words: str, hint: str) -> None:
    message = refused(*words.split())
    assert hint in message
    assert [path.name for path in Path.cwd().iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("plot metric-vs-densty RUN", "did you mean metric-vs-density"),
        ("plot metric-vs-density RUN --format svgz", "did you mean svg"),
        ("compare RUN --budget parameter", "did you mean parameters"),
        ("control RUN random-maks", "did you mean random-mask"),
        ("control RUN random-mask", "at every level already"),
        ("report nowhere", "is not a run"),
    ],
)
@pytest.mark.usefixtures("here")
def test_bad_input_to_what_reads_runs(finished: Path, words: str, hint: str) -> None:
    assert hint in refused(*words.replace("RUN", str(finished)).split())


@pytest.mark.parametrize(
    "words",
    ["prune", "prune tiny.toml --seeds a", "prune tiny.toml --levels -1", "plot x", "pruned x"],
)
@pytest.mark.usefixtures("here")
def test_misuse_of_the_command_line_is_2(words: str) -> None:
    assert lottery(*words.split()).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name = ", "is not valid TOML"),
        (TOML.replace("levels = 2", "level = 2"), "did you mean levels"),
        (TOML.replace("levels = 2\n", ""), "'levels' is missing"),
        (TOML.replace("rate = 0.5", "rate = 1.5"), "pruning.rate = 1.5 is out of range"),
        (TOML.replace("learning_rate = 0.01", "learning_rate = -1"), "learning_rate = -1"),
        ("\x00", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_named(here: Path, text: str, hint: str) -> None:
    (here / "bad.toml").write_text(text)
    message = refused("prune", "bad.toml")
    assert message.startswith("bad.toml")
    assert hint in message


def test_a_missing_file_is_named(here: Path) -> None:
    assert refused("prune", "no.toml", code=ExitCode.BAD_DATA) == "no.toml does not exist."


def test_a_folder_of_another_experiment_shows_both_values(here: Path) -> None:
    done("retrain", "tiny.toml", "--quiet")
    before = files(here / RUN)
    message = refused("prune", "tiny.toml", "--set", "training.batch_size=40")
    assert "training.batch_size is 50 there and 40 now" in message
    assert files(here / RUN) == before


def test_missing_and_damaged_data_are_named(here: Path) -> None:
    words = ("prune", "lth-lenet-short", "--data-root", "DATA")
    assert "--data-root" in refused(*words[:2], code=ExitCode.BAD_DATA)
    assert "was not found" in refused(*words, code=ExitCode.BAD_DATA)
    raw = here / "DATA/MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{part}-{kind}-ubyte").write_bytes(b"\x00\x00\x08")
    message = refused(*words, code=ExitCode.BAD_DATA)
    assert "train-images-idx3-ubyte" in message
    assert not (here / "results").exists()


@pytest.mark.parametrize("name", ["level-01/records.json", "level-02/masks.safetensors"])
def test_a_damaged_run_is_3(here: Path, name: str) -> None:
    done("prune", "tiny.toml", "--quiet")
    path = here / RUN / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    words = ("show", RUN) if name.endswith("json") else ("prune", "tiny.toml", "--levels", "3")
    assert "SHA-256 differs" in refused(*words, code=ExitCode.BAD_DATA)


def test_another_process_at_work_is_refused(here: Path) -> None:
    with locked(here / RUN):
        assert "Another process" in refused("prune", "tiny.toml", code=ExitCode.DISK)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "No permission for"), (errno.ENOSPC, "The disk is full")],
)
def test_a_folder_that_can_not_be_written_to_is_4(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    done("retrain", "tiny.toml", "--quiet")
    before = files(here / RUN)
    monkeypatch.setattr(os, "fsync", fsync)
    assert words in refused("prune", "tiny.toml", code=ExitCode.DISK)
    assert words in refused("report", RUN, code=ExitCode.DISK)
    monkeypatch.undo()
    after = files(here / RUN)
    assert {name: after[name] for name in before} == before
    done("prune", here / "tiny.toml", "--out", here / RUN)


def test_no_permission_to_make_the_folder_is_4(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    message = refused("prune", "tiny.toml", code=ExitCode.DISK)
    assert message.startswith("No permission for results/runs/tiny")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried")])
@pytest.mark.usefixtures("here")
def test_too_little_memory_is_5(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: object) -> None:
        raise error

    monkeypatch.setattr("training.tasks.catalog.load_task", load)
    assert "--replicates-at-once" in refused("prune", "tiny.toml", code=ExitCode.OUT_OF_MEMORY)


@pytest.mark.usefixtures("here")
def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("training.tasks.catalog.load_task", load)
    assert isinstance(lottery("prune", "tiny.toml").exception, RuntimeError)
