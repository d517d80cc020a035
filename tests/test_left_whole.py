"""Which weights stay whole though they may be matrices is said when a run begins and by --dry-run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import done, lottery
from tests.tiny_runs import TOML

CODE = """
import torch
from torch import nn


class Kernel(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(2, 1, 3, 3))
        self.last = nn.Linear(2 * 36, spec.classes)

    def forward(self, x):
        return self.last(nn.functional.conv2d(x, self.kernel).relu().flatten(1))
"""
NETWORK = "left_whole_own_code:Kernel"
SENTENCE = "18 weights are never pruned, those of kernel: no layer that torch knows holds them"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "left_whole_own_code.py").write_text(CODE)
    (tmp_path / "tiny.toml").write_text(TOML.replace("widths = [8, 6]", ""))
    return tmp_path


def test_bare_kernels_are_said_to_stay_whole(here: Path) -> None:
    words = ("prune", "tiny.toml", "--network", NETWORK, "--levels", "1", "--seeds", "0")
    assert SENTENCE in done(*words, "--dry-run")
    assert json.loads(done(*words, "--dry-run", "--json"))["notice"].startswith(SENTENCE)
    told = " ".join(lottery(*words).stderr.split())
    assert told.count(SENTENCE) == 1
    assert lottery(*words, "--quiet").stderr == ""


def test_nothing_is_said_where_nothing_is_left_out(here: Path) -> None:
    words = ("prune", "tiny.toml", "--levels", "0", "--seeds", "0")
    assert "never pruned" not in done(*words, "--dry-run")
    assert "never pruned" not in lottery(*words).stderr
