"""Files of runs and searches are read once, with the check of their manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.search_tables import read_searches
from analysis.tables import read_study
from tests.commands import done
from tests.fake_runs import write_run
from tests.fake_searches import write_search
from tests.refusals import refusal
from training.errors import ExitCode
from training.folders import MANIFEST, Folder
from training.metrics import PERPLEXITY
from training.storage import to_json


def counting(monkeypatch: pytest.MonkeyPatch, root: Path) -> Counter[str]:
    """How often each file below a folder is read from now on, its manifest aside."""
    counts: Counter[str] = Counter()
    opened = Path.open

    def counted(self: Path, *arguments: Any, **options: Any) -> Any:
        if root in self.parents and self.name != MANIFEST:
            counts[self.relative_to(root).as_posix()] += 1
        return opened(self, *arguments, **options)

    for name in ("read_bytes", "read_text"):
        mode, wanted = ("rb", None) if name == "read_bytes" else ("r", "utf-8")

        def read(self: Path, *_: Any, mode: str = mode, wanted: Any = wanted, **__: Any) -> Any:
            with self.open(mode, encoding=wanted) as file:
                return file.read()

        monkeypatch.setattr(Path, name, read)
    monkeypatch.setattr(Path, "open", counted)
    return counts


def test_a_study_reads_each_file_of_a_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "a", levels=1, metric=PERPLEXITY)
    counts = counting(monkeypatch, run)
    assert read_study([run]).descriptions["a"]["experiment"]["name"] == "demo"
    assert counts["experiment.json"] == counts["data.json"] == counts["metrics.jsonl"] == 1
    assert max(counts.values()) == 1


@pytest.mark.parametrize(
    ("write", "read", "name"),
    [(write_run, read_study, "experiment.json"), (write_search, read_searches, "search.json")],
)
def test_a_folder_of_another_version_is_refused_before_anything_else_in_it_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], Path],
    read: Callable[[list[Path]], object],
    name: str,
) -> None:
    path = write(tmp_path / "old")
    older = {k: v for k, v in json.loads((path / name).read_bytes()).items() if k != "format"}
    Folder(path).write(name, to_json(older))
    counts = counting(monkeypatch, path)
    error = refusal(read, [path])
    assert f"{name} has no format number, and this version reads format 2; use the" in str(error)
    assert error.exit_code is ExitCode.BAD_DATA
    assert counts == {name: 1}


def test_show_reads_each_file_of_a_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "a", levels=1, metric=PERPLEXITY)
    counts = counting(monkeypatch, run)
    assert "Density of each gate" in done("show", run)
    assert counts["level-01/records.json"] == 1
    assert max(counts.values()) == 1


def test_the_settings_of_a_search_are_those_that_were_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_search(tmp_path / "enas")
    counts = counting(monkeypatch, path)
    assert read_searches([path]).descriptions["enas"]["search"]["reward_constant"] == 80.0
    assert counts["search.json"] == counts["data.json"] == 1
    assert max(counts.values()) == 1
