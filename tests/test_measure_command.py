"""The command `measure`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import done, refused

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
    text = done("measure", "pointer", run, "--window", "50", "--quiet")
    assert "run, level 1: validation perplexity with a cache of 50 tokens" in text
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows if row and row[-1] == "2"] == ["ticket", "random-mask"]
    assert "unigram" in text
    assert (run / "measurements/pointer-level-01.json").is_file()


def test_json_gives_every_replicate(run: Path) -> None:
    words = ("--level", "0", "--split", "test", "--window", "20", "--share", "0.2", "--json")
    found = json.loads(done("measure", "pointer", run, *words, "--quiet"))
    assert (found["level"], found["split"], found["window"], found["share"]) == (0, "test", 20, 0.2)
    assert [(one["arm"], one["seed"]) for one in found["replicates"]] == [
        ("ticket", 0),
        ("ticket", 1),
    ]
    assert all(one["plain"] > 1 and one["pointer"] > 1 for one in found["replicates"])


def test_gates_are_shown_and_drawn(run: Path, tmp_path: Path) -> None:
    shown = done("show", run)
    assert "Density of each gate" in shown
    assert any(line.startswith("core 1, from hidden") for line in shown.splitlines())
    printed = done("plot", "density-per-gate", run, "--out", tmp_path).split()
    assert printed == [f"{tmp_path}/density-per-gate.{suffix}" for suffix in ("svg", "csv")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--level", "2"), "has no finished level 2; finished: 0, 1."),
        (("--window", "500"), "too large for the 120 of the validation text"),
        (("--share", "1"), "share = 1.0 is out of range"),
        (("--network", "gru"), "is a run of lstm, not of gru"),
    ],
)
def test_what_can_not_be_measured_is_refused(
    run: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refused("measure", "pointer", run, *words, "--quiet")


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
