"""The commands as a user runs them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from lottery.cli.main import cli


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
    lines = [
        line for line in result.stderr.splitlines() if line.startswith(("Error: ", "Stopped at"))
    ]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0].removeprefix("Error: ")
