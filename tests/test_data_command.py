"""The command `data`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lottery.cli.main import cli
from training.datasets.catalog import DATASETS
from training.errors import ExitCode


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOTTERY_DATA", raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["data", *words])


def npz_file(root: Path) -> Path:
    """12 training images, two of them alike, and 2 test images, one of which is trained on."""
    images = np.random.default_rng(0).integers(0, 256, (14, 4, 4), dtype=np.uint8)
    images[1] = images[13] = images[0]
    path, labels = root / "mine.npz", np.arange(14) % 2
    held: dict[str, Any] = {"train_images": images[:12], "train_labels": labels[:12]}
    np.savez(path, **held, test_images=images[12:], test_labels=labels[12:])
    return path


def test_the_list_says_where_each_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "cifar-10.npz").touch()
    rows = {row["data"]: row for row in json.loads(run("--json").stdout)}
    assert rows.keys() == DATASETS.keys()
    assert rows["digits"]["files"] == "embedded"
    assert rows["mnist"]["files"] == "no data root: MNIST/raw in --data-root or LOTTERY_DATA"
    there = run("--json", "--data-root", str(tmp_path)).stdout
    files = {row["data"]: row["files"] for row in json.loads(there)}
    assert files["cifar-10"] == f"found in {tmp_path}"
    assert files["svhn"] == f"missing: {tmp_path / 'train_32x32.mat'}"


def test_a_data_set_is_checked(tmp_path: Path) -> None:
    path = npz_file(tmp_path)
    found = json.loads(run("npz", "--data-root", str(path), "--json").stdout)
    assert found["examples"] == {"train": 11, "validation": 1, "test": 2}
    assert found["copies"] == {
        "within train and validation": 1,
        "within test": 0,
        "of those in test": 1,
    }
    assert found["shape"] == {"channels": 1, "height": 4, "width": 4, "classes": 2}
    assert found["images per class"]["test"] == [1, 1]
    assert len(found["SHA-256"][str(path)]) == 64
    shown = run("npz", "--data-root", str(path)).stdout
    assert "within train and validation 1, within test 0, of those in test 1" in shown
    assert "channels 1, height 4, width 4, classes 2" in shown


def test_a_shortened_copy_of_a_published_data_set_is_told(tmp_path: Path) -> None:
    npz_file(tmp_path)
    held: dict[str, Any] = {
        f"{split}_{kind}": np.zeros((count, *shape), dtype=np.uint8)
        for split, count in (("train", 6000), ("test", 10))
        for kind, shape in (("images", (32, 32, 3)), ("labels", ()))
    }
    np.savez_compressed(tmp_path / "cifar-10.npz", **held)
    wanted = "no (6,000 and 10 images, not 50,000 and 10,000)"
    words = ("cifar-10", "--data-root", str(tmp_path))
    assert json.loads(run(*words, "--json").stdout)["as published"] == wanted
    assert wanted in run(*words).stdout
    mine = run("npz", "--data-root", str(tmp_path / "mine.npz"), "--json").stdout
    assert "as published" not in json.loads(mine)


def test_what_is_embedded_has_no_files() -> None:
    assert "SHA-256" not in json.loads(run("digits", "--json").stdout)
    assert "unigram" in run("pydoc").stdout


def test_options_can_be_tried(tmp_path: Path) -> None:
    words = ("--set", "characters=1", "--set", "data.options.train=5000", "--json")
    found = json.loads(run("pydoc", *words).stdout)
    assert found["cut into"] == "characters"
    assert found["tokens"]["train"] == 5000
    assert (found["options"]["characters"], found["options"]["train"]) == (1, 5000)
    assert found["words"]["train"] < 1500
    shown = run("pydoc", *words[:-1]).stdout
    assert "most frequent  ' ' " in shown
    # Of English letters, their frequencies alone tell some 4 to 5 bits.
    assert "unigram perplexity per word: validation" in shown
    bits = re.search(
        r"unigram bits per character: validation (\d\.\d\d), test", " ".join(shown.split())
    )
    assert bits is not None
    assert 4 < float(bits[1]) < 5
    path = str(npz_file(tmp_path))
    kept = json.loads(run("npz", "--data-root", path, "--set", "train=7", "--json").stdout)
    assert kept["examples"]["train"] == 7


def test_what_is_cut_short_is_not_compared_with_what_is_published(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        (tmp_path / f"ptb.{split}.txt").write_text(" a b \n c \n")
    words = ("ptb", "--data-root", str(tmp_path), "--json")
    assert json.loads(run(*words).stdout)["as published"].startswith("no (5, 5, 5 words, not")
    assert "as published" in json.loads(run(*words, "--set", "characters=1").stdout)
    assert "as published" not in json.loads(run(*words, "--set", "test=3").stdout)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("pydoc", "--set", "charcters=1"), "did you mean characters?"),
        (("pydoc", "--set", "sequence=0"), "data.options.sequence = 0 is out of range"),
        (("pydoc", "--set", "characters=x"), "'x' is not a whole number"),
        (("pydoc", "--set", "characters"), "write OPTION=VALUE, such as characters=1"),
        (("--set", "characters=1"), "--set changes an option of one data set; name it"),
    ],
)
def test_options_that_can_not_be_set(words: tuple[str, ...], sentence: str) -> None:
    refused = run(*words)
    assert refused.exit_code == ExitCode.ERROR
    assert sentence in refused.stderr


def test_bad_files_end_with_3(tmp_path: Path) -> None:
    path = npz_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    refused = run("npz", "--data-root", str(path))
    assert refused.exit_code == ExitCode.BAD_DATA
    assert refused.stderr.startswith(f"Error: {path}: it can't be read as an .npz file")
    assert run("cifar-10").exit_code == ExitCode.BAD_DATA


def test_downloads_need_a_place_and_a_source() -> None:
    assert "--download needs a --data-root" in run("svhn", "--download").stderr
    assert "folder can't be fetched: it is data of your own" in run("folder", "--download").stderr
    assert "ptb can't be fetched: put its files into ptb below" in run("ptb", "--download").stderr
    assert "digits needs no download" in run("digits", "--download").stderr
