"""A signal that comes before there is anything to save."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.errors import ExitCode

ROOT = Path(__file__).parents[1]
# The signal comes the moment that a module begins to be imported. Ctrl-C is ignored where tests run in the background.
CODE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
module, number = sys.argv[1], int(sys.argv[2])
class Finder:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder())
from lottery.cli.start import main
sys.argv = ["lottery", "prune", "demo-digits-resnet", "--dry-run"]
main()
"""


@pytest.mark.parametrize(
    ("number", "module", "code", "told"),
    [
        # The first that is imported, and the one that takes longest.
        (signal.SIGTERM, "lottery.cli.main", ExitCode.RESUMABLE, "the same command goes on"),
        (signal.SIGUSR1, "click", ExitCode.RESUMABLE, "the same command goes on"),
        (signal.SIGTERM, "torch", ExitCode.RESUMABLE, "the same command goes on"),
        (signal.SIGINT, "click", ExitCode.ABORTED, "Error: Aborted"),
    ],
)
def test_it_ends_in_one_sentence_and_a_code_that_schedulers_know(
    number: signal.Signals, module: str, code: ExitCode, told: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, module, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == code
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_what_is_imported_before_is_light() -> None:
    code = "import sys, lottery.cli.start; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert not loaded & {"click", "torch", "numpy", "pandas", "rich"}
