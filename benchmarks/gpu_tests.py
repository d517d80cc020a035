"""The tests that need CUDA, with what came of each."""

from __future__ import annotations

import faulthandler
from pathlib import Path

import pytest
from gpu_rows import Rows

ROOT = Path(__file__).parents[1]
# Characters of the end of what a failed test says.
SAID = 4000
MARK = "mark.cuda"


class Watcher:
    """Writes down what comes of every test.

    Args:
        rows: where.
        limit: seconds of one test, after which the process is ended.
    """

    def __init__(self, rows: Rows, limit: float) -> None:
        self._rows = rows
        self._limit = limit
        self._outcome = "passed"
        self._said = ""

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what an earlier process has done."""
        items[:] = [item for item in items if not self._rows.has({"test": item.nodeid})]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._outcome, self._said = "passed", ""
        self._rows.begin({"test": nodeid})
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or what it needs before and after, has come to an end."""
        if report.outcome != "passed" and self._outcome != "failed":
            self._outcome, self._said = report.outcome, report.longreprtext[-SAID:]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test is over."""
        faulthandler.cancel_dump_traceback_later()
        row = {"test": nodeid, "outcome": self._outcome}
        self._rows.add(row | ({"error": self._said} if self._outcome == "failed" else {}))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file can't be read."""
        if report.failed:
            said = report.longreprtext[-SAID:]
            self._rows.add({"test": report.nodeid, "outcome": "failed", "error": said})


def run_tests(rows: Rows, limit: float) -> None:
    """Run the tests that are marked as needing CUDA; those of files without the mark are not even read.

    Args:
        rows: what comes of them.
        limit: seconds of one test.
    """
    paths = sorted((ROOT / "tests").glob("test_*.py"))
    marked = [str(path) for path in paths if MARK in path.read_text(encoding="utf-8")]
    words = ["-m", "cuda", "-p", "no:cacheprovider", "--tb=short", f"--rootdir={ROOT}", *marked]
    pytest.main(words, plugins=[Watcher(rows, limit)])
