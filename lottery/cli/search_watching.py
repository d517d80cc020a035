"""What a search in progress looks like on the terminal."""

from __future__ import annotations

from typing import Any

from lottery.cli.watching import progress_bars, say_beside
from nas.search.records import SearchHistoryRow
from nas.search.watching import SearchWatcher
from training.errors import visible


class TerminalSearchWatcher(SearchWatcher):
    """Draws a bar with loss, reward, baseline and entropy, elsewhere prints a line per phase; and each new best."""

    def __init__(self) -> None:
        self.progress = progress_bars()
        self.console = self.progress.console
        self.bar: Any = None
        self.stand_alone: Any = None
        self.title = self.best = ""
        self.phases = 0

    def notice(self, text: str) -> None:
        """Print it."""
        say_beside(self.console, f"Note: {text}")

    def begin(self, run: str, steps: int, phases: int, done: int) -> None:
        """Draw a new bar: of steps, or of phases where no weights are shared."""
        self.title, self.phases = visible(run), phases
        self.by_phase = steps == 0
        self.progress.start()
        total = steps or phases
        self.bar = self.progress.add_task(self.title, total=total, completed=done, latest="")

    def steps(self, count: int) -> None:
        """Move the bar."""
        if not self.by_phase:
            self.progress.advance(self.bar, count)

    def phase(self, row: SearchHistoryRow, best: str) -> None:
        """Show what the phase gave."""
        if row.event == "rollback":
            text = f"rolled back at step {row.step:,}: the shared loss exploded"
        else:
            text = ", ".join(figures(row))
        if self.by_phase:
            self.progress.advance(self.bar, 1)
        self.progress.update(self.bar, latest=text)
        if not self.console.is_terminal:
            say_beside(self.console, f"{self.title}  phase {row.epoch + 1}/{self.phases}: {text}")
        if best != self.best:
            self.best = best
            say_beside(self.console, f"{self.title}  best reward so far {best}")

    def alone(self, done: int, total: int) -> None:
        """Draw a second bar while architectures are trained alone."""
        if self.stand_alone is None:
            name = f"{self.title}, trained alone"
            self.stand_alone = self.progress.add_task(name, total=total, latest="")
        self.progress.update(self.stand_alone, completed=done, total=total)
        if not self.console.is_terminal and done == total:
            say_beside(self.console, f"{self.title}  {total} architectures trained alone")

    def end(self) -> None:
        """Leave the finished bars where they are."""
        self.progress.stop()


def figures(row: SearchHistoryRow) -> list[str]:
    """What a phase gave, in words.

    >>> figures(SearchHistoryRow(event="phase", epoch=0, step=9, loss=1.25, reward=0.5))
    ['loss 1.25', 'reward 0.5']
    """
    values = {
        "loss": row.loss,
        "reward": row.reward,
        "baseline": row.baseline,
        "entropy": row.entropy,
        "best": row.best,
    }
    return [f"{name} {value:.4g}" for name, value in values.items() if value is not None]


def search_watcher(quiet: bool) -> SearchWatcher:
    """A display, or none."""
    return SearchWatcher() if quiet else TerminalSearchWatcher()
