"""What whoever trains on data should know of them is said where they are trained on, and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands import lottery
from tests.tiny_runs import TOML
from tests.tiny_searches import RANDOM
from training.toml_text import to_toml

TOLD = "3 of the 20 test images of npz are also trained on or validated with, so its test accuracy"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 200 images to train on and 20 to test, of which 3 are known."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (220, 8, 8), dtype=np.uint8)
    images[200:203] = images[:3]
    labels = np.arange(220) % 10
    np.savez(
        tmp_path / "mine.npz",
        train_images=images[:200],
        train_labels=labels[:200],
        test_images=images[200:],
        test_labels=labels[200:],
    )
    (tmp_path / "tiny.toml").write_text(TOML)
    (tmp_path / "search.toml").write_text(to_toml(RANDOM))
    return tmp_path


def notes(text: str) -> list[str]:
    """The notices among some lines, which a terminal of any width may have broken."""
    words = " ".join(text.split())
    return [part for part in words.split("Note: ")[1:] if part]


@pytest.mark.parametrize("command", ["retrain", "prune"])
def test_known_test_images_are_told_where_they_are_trained_on(here: Path, command: str) -> None:
    words = (command, "tiny.toml", "--data-root", "mine.npz", "--set", "data.name=npz")
    small = ("--set", "training.steps=2it", "--seeds", "0", "--set", "arms=[]", "--out", "run")
    result = lottery(*words, *small)
    assert result.exit_code == 0, result.output
    (note,) = notes(result.stderr)
    assert note.startswith(TOLD)
    assert "Note" not in result.stdout
    held = json.loads((here / "run" / "data.json").read_text())
    assert held["notices"][0].startswith(TOLD)
    assert held["copies"]["of those in test"] == 3
    again = lottery(*words, *small)
    assert len(notes(again.stderr)) == 1
    assert notes(lottery(*words, *small, "--quiet").stderr) == []


def test_a_control_that_is_added_tells_them_too(here: Path) -> None:
    words = ("prune", "tiny.toml", "--set", "data.name=npz", "--quiet")
    small = ("--set", "training.steps=2it", "--seeds", "0", "--set", "arms=[]", "--levels", "1")
    # The library that multiplies would be measured, each time anew, and another one told.
    here_too = ("--data-root", "mine.npz", "--products", "mkl")
    assert lottery(*words, *small, *here_too, "--out", "run").exit_code == 0
    result = lottery("control", "run", "random-mask", *here_too)
    assert result.exit_code == 0, result.output
    (note,) = notes(result.stderr)
    assert note.startswith(TOLD)


def test_a_search_tells_them_too(here: Path) -> None:
    words = ("search", "search.toml", "--data-root", "mine.npz", "--out", "found")
    options = (
        "--set",
        "data.name=npz",
        "--set",
        "data.options={}",
        "--set",
        "shared.batch_size=20",
    )
    result = lottery(*words, *options, "--set", "derive.alone.batch_size=20")
    assert result.exit_code == 0, result.output
    (note,) = notes(result.stderr)
    assert note.startswith(TOLD)
    assert json.loads((here / "found" / "data.json").read_text())["notices"][0].startswith(TOLD)


def test_data_tells_them(here: Path) -> None:
    told = json.loads(lottery("data", "npz", "--data-root", "mine.npz", "--json").stdout)
    assert told["notices"][0].startswith(TOLD)
    shown = lottery("data", "npz", "--data-root", "mine.npz").stdout
    assert TOLD in " ".join(shown.split())
    assert "notices" not in lottery("data", "digits").stdout
