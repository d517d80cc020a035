"""What a run in progress looks like on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lottery.progress import Watcher
from lottery.records import Record
from training.errors import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def progress_bars() -> Progress:
    """Bars on the terminal's error stream, each with a text `latest` behind it; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[latest]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    )


def say_beside(console: Console, text: str) -> None:
    """Print a line above the bars, or where there are none; it stays one, whatever names it holds."""
    console.print(visible(text), markup=False, emoji=False, highlight=False, soft_wrap=True)


class TerminalWatcher(Watcher):
    """Draws a bar with the time left on a terminal; elsewhere prints a line per level."""

    def __init__(self) -> None:
        self.progress = progress_bars()
        self.console = self.progress.console
        self.bar: Any = None
        self.title = ""

    def begin(self, run: str, total: int) -> None:
        """Draw a new bar."""
        self.title = visible(run)
        self.progress.start()
        self.bar = self.progress.add_task(self.title, total=total, latest="")

    def notice(self, text: str) -> None:
        """Print it."""
        say_beside(self.console, f"Note: {text}")

    def level(self, level: int, levels: int, arms: Sequence[str], replicates: int) -> None:
        """Say which level is trained."""
        text = f"{self.title}  level {level}/{levels}, {replicates} networks"
        self.progress.update(self.bar, description=text, latest="")
        if not self.console.is_terminal:
            say_beside(self.console, f"{text}: {', '.join(arms)}")

    def steps(self, count: int) -> None:
        """Move the bar."""
        self.progress.advance(self.bar, count)

    def validated(self, step: int, metric: Sequence[float | None]) -> None:
        """Show the mean on the validation split."""
        finite = [value for value in metric if value is not None]
        if finite:
            mean = sum(finite) / len(finite)
            self.progress.update(self.bar, latest=f"validation {mean:.4g}")

    def records(self, records: Sequence[Record]) -> None:
        """Warn of replicates that diverged."""
        lost = sum(record.lost for record in records)
        if lost:
            text = f"{lost} of {len(records)} networks diverged; they are recorded as such."
            say_beside(self.console, f"{self.title}: {text}")

    def end(self) -> None:
        """Leave the finished bar where it is."""
        self.progress.stop()


def watcher_for(quiet: bool) -> Watcher:
    """A display, or none."""
    return Watcher() if quiet else TerminalWatcher()
