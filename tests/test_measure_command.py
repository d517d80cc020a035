"""The command `measure`."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from lottery.experiments import RUN_FOLDER
from lottery.measurements.catalog import MEASUREMENTS
from lottery.measurements.pointer import PointerSettings
from lottery.run_measurements import carry_out_measurement
from tests.commands import done, lottery, refused
from training.errors import ExitCode, LotteryError
from training.work_folders import stored_config

TOML = """\
name = "tiny-text"
seeds = [0, 1]
levels = 1

[network]
name = "lstm"
[network.size]
embedding = 4
hidden = 4
layers = 1

[data]
name = "pydoc"
[data.options]
train = 400
validation = 120
test = 120

[training]
steps = "4it"
batch_size = 4
eval_every = "4it"
[training.optimizer]
name = "adam"
learning_rate = 0.01
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a language model, to which measurements are added."""
    root = tmp_path_factory.mktemp("measure")
    (root / "tiny.toml").write_text(TOML)
    done("prune", root / "tiny.toml", "--out", root / "run", "--quiet")
    done("control", root / "run", "random-mask", "--quiet")
    return root / "run"


def test_the_pointer_of_every_arm_stands_beside_the_plain_perplexity(run: Path) -> None:
    text = done("measure", "pointer", run, "--levels", "1", "--set", "window=50", "--quiet")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for arm in ("ticket", "random-mask"):
        for metric in ("plain perplexity", "pointer perplexity"):
            # A wide table is folded, the settings first.
            (line,) = (line for line in lines if f" {arm} " in line and metric in line)
            assert line.startswith("pointer flatness 1.0, share 0.1, split validation, window")
            assert f" 1 79.7 % {arm} validation end {metric} " in line
            # Of two seeds.
            assert line.endswith("] 2")
    assert "50" in text
    assert "unigram" in text
    assert (run / "readings/pointer-level-01.json").is_file()


def test_json_gives_every_replicate(run: Path) -> None:
    settings = ("split=test", "window=20", "share=0.2")
    words = [word for one in settings for word in ("--set", one)]
    found = json.loads(
        done("measure", "pointer", run, "--levels", "0", *words, "--json", "--quiet")
    )
    assert (found["run"], found["measurement"]) == ("run", "pointer")
    assert found["settings"] == {"split": "test", "window": 20, "share": 0.2, "flatness": 1.0}
    assert [(one["metric"], one["arm"], one["seed"]) for one in found["readings"]] == [
        (metric, "ticket", seed)
        for metric in ("plain perplexity", "pointer perplexity")
        for seed in (0, 1)
    ]
    assert all(one["value"] > 1 for one in found["readings"])
    assert {(one["level"], one["other"], one["at"]) for one in found["readings"]} == {
        (0, "test", "end")
    }


def test_by_default_every_level_is_measured_whose_weights_are_there(
    tmp_path: Path, run: Path
) -> None:
    words = ("--set", "window=30", "--json", "--quiet")
    found = json.loads(done("measure", "pointer", run, *words))
    assert {one["level"] for one in found["readings"]} == {0, 1}
    lean = tmp_path / "lean"
    toml = run.parent / "tiny.toml"
    done("prune", toml, "--out", lean, "--store-weights", "newest", "--quiet")
    found = json.loads(done("measure", "pointer", lean, *words))
    assert {one["level"] for one in found["readings"]} == {1}
    told = refused("measure", "pointer", lean, "--levels", "0", *words)
    assert "level-00/weights.safetensors was removed" in told
    assert not (lean / "readings/pointer-level-00.json").exists()


def test_a_run_that_was_copied_without_its_weights_has_no_level_to_measure(
    run: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(run, copied)
    for weights in copied.glob("level-*/weights.safetensors"):
        weights.unlink()
    assert "has no finished level with trained weights" in refused("measure", "pointer", copied)


def test_what_was_measured_before_is_counted_and_shown_by_show(tmp_path: Path, run: Path) -> None:
    other_run = tmp_path / "other"
    done("prune", run.parent / "tiny.toml", "--out", other_run, "--quiet")

    def measured(window: int, *words: str) -> str:
        setting = f"window={window}"
        told = done("measure", "pointer", other_run, "--set", setting, "--quiet", *words)
        return " ".join(told.split())

    assert "Measured before" not in measured(40)
    other = measured(41, "--levels", "1")
    # A wide table is folded, so that the window stands by itself.
    assert "41" in other.split()
    assert "40" not in other.split()
    told = "Measured before, with other settings or of other levels: {}; lottery show"
    assert told.format(2) in other
    assert told.format(2) in measured(40, "--levels", "0")
    assert {"40", "41"} <= {*done("show", other_run).split()}


def test_it_is_carried_out_from_python(run: Path) -> None:
    experiment = stored_config(run, RUN_FOLDER)
    settings = PointerSettings(window=33)
    readings = carry_out_measurement(experiment, run, "pointer", settings, levels=[0])
    assert {reading.level for reading in readings} == {0}
    words = ("--set", "window=33", "--levels", "0", "--json", "--quiet")
    assert json.loads(done("measure", "pointer", run, *words))["readings"] == [
        asdict(reading) for reading in readings
    ]
    with pytest.raises(LotteryError, match="did you mean pointer"):
        carry_out_measurement(experiment, run, "pointr")


def test_without_a_name_it_says_what_can_be_measured() -> None:
    rows = json.loads(done("measure", "--json"))
    assert {row["measurement"] for row in rows} == MEASUREMENTS.keys()
    pointer = {row["setting"]: row["default"] for row in rows if row["measurement"] == "pointer"}
    assert pointer == {"window": "500", "share": "0.1", "flatness": "1.0", "split": "validation"}
    assert all(one.words.keys() == asdict(one.settings()).keys() for one in MEASUREMENTS.values())
    assert f"pointer: {MEASUREMENTS['pointer'].summary}" in done("measure")


def test_gates_are_shown_and_drawn(run: Path, tmp_path: Path) -> None:
    shown = done("show", run)
    assert "Density of each gate" in shown
    assert any(line.startswith("core 1, from hidden") for line in shown.splitlines())
    printed = done("plot", "density-per-gate", run, "--out", tmp_path).split()
    assert printed == [f"{tmp_path}/density-per-gate-run.{suffix}" for suffix in ("svg", "csv")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--levels", "2"), "has no finished level 2; finished: 0, 1."),
        (("--set", "window=500"), "too large for the 120 of the validation text"),
        (("--set", "share=1"), "share = 1.0 is out of range"),
        (("--set", "shar=1"), "did you mean share"),
        (("--set", "split=train"), "validation, test"),
        (("--network", "gru"), "is a run of lstm, not of gru"),
    ],
)
def test_what_can_not_be_measured_is_refused(
    run: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refused("measure", "pointer", run, *words, "--quiet")


def test_what_is_no_measurement_is_refused(run: Path) -> None:
    told = refused("measure", "pointr", run)
    assert "did you mean pointer" in told
    assert told.endswith(f"Known: {', '.join(sorted(MEASUREMENTS))}.")
    assert lottery("measure", "pointer").exit_code == ExitCode.USAGE


def test_no_run_and_a_run_of_images_are_refused(tmp_path: Path) -> None:
    assert "is not a run" in refused("measure", "pointer", tmp_path)
    (tmp_path / "images.toml").write_text(
        TOML.replace('"lstm"', '"lenet-300-100"')
        .replace("embedding = 4\nhidden = 4\nlayers = 1", "widths = [4, 4]")
        .replace('"pydoc"', '"digits"')
        .replace("validation = 120\n", "")
    )
    done("retrain", tmp_path / "images.toml", "--out", tmp_path / "images", "--quiet")
    assert "learned digits, which is no text" in refused("measure", "pointer", tmp_path / "images")
