"""From what a user named to a run in progress: loading, locking, watching, and stopping on a signal."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lottery.experiments import Experiment
from lottery.progress import Watcher
from lottery.recipes import RECIPES, recipe
from lottery.records import ENVIRONMENT, Record, is_run
from lottery.runs import Run, stored_experiment
from training.errors import LotteryError
from training.plain import from_toml, override
from training.storage import read_file

if TYPE_CHECKING:
    from lottery.cycle import Setting

RUNS = Path("results/runs")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The options that say where and how to run, which change nothing of what comes out."""

    device: str
    data_root: Path | None
    batching: Any
    replicates_at_once: int | None
    quiet: bool


def named_experiment(target: str) -> Experiment:
    """The experiment that a user named: a recipe, a TOML file or a run.

    Raises:
        LotteryError: it is none of these, or the file is not a valid experiment.
    """
    path = Path(target)
    if target in RECIPES:
        return recipe(target)
    if path.suffix == ".toml":
        text = read_file(path).decode(errors="replace")
        return from_toml(Experiment, text, str(path))
    if is_run(path):
        return stored_experiment(Run(path))
    if path.exists():
        raise LotteryError(f"{target} is neither a run nor a .toml file.")
    return recipe(target)


def changed(
    experiment: Experiment,
    *,
    seeds: Sequence[int] | None,
    levels: int | None,
    precision: str | None,
    assignments: Sequence[str],
) -> Experiment:
    """The experiment with what the options change; `--set` first."""
    for assignment in assignments:
        experiment = override(experiment, assignment)
    if precision is not None:
        experiment = override(experiment, f"training.precision={precision}")
    if seeds is not None:
        experiment = dataclasses.replace(experiment, seeds=tuple(seeds))
    if levels is not None:
        experiment = dataclasses.replace(experiment, levels=levels)
    return experiment


def default_folder(target: str, experiment: Experiment) -> Path:
    """Where a run goes unless --out says otherwise: a run stays where it is."""
    return Path(target) if is_run(Path(target)) else RUNS / experiment.name


@contextmanager
def prepared(
    experiment: Experiment, machine: Machine, watcher: Watcher
) -> Iterator[tuple[Experiment, Setting]]:
    """Load data and device; inside, signals ask the watcher to stop.

    Yields:
        The experiment with its steps resolved, and the setting to run it in.
    """
    from lottery.cycle import Setting, check
    from training.device import choose_device, exact_convolutions, keep_freed_memory
    from training.tasks.catalog import load_task

    keep_freed_memory()
    exact_convolutions()
    device = choose_device(machine.device)
    task = load_task(experiment.data, experiment.training.batch_size, machine.data_root, device)
    check(experiment, task)
    setting = Setting(
        task=task,
        batching=machine.batching,
        at_once=machine.replicates_at_once,
        watcher=watcher,
    )
    with stopping(watcher):
        yield experiment.resolved(task.steps_per_epoch), setting


def carry_out(
    experiment: Experiment, root: Path, machine: Machine, watcher: Watcher
) -> list[Record]:
    """Find tickets in a run's folder, from the beginning or from where it stopped."""
    from lottery.cycle import find_tickets
    from lottery.runs import open_run
    from training.device import environment
    from training.storage import locked, to_json

    with prepared(experiment, machine, watcher) as (resolved, setting), locked(root):
        run = open_run(root, resolved, setting.task.facts())
        if not run.folder.holds(ENVIRONMENT):
            run.folder.write(ENVIRONMENT, to_json(environment(setting.task.device)))
        return find_tickets(resolved, run, setting)


@contextmanager
def stopping(watcher: Watcher) -> Iterator[None]:
    """While inside, the first signal asks for a checkpoint and an end; a second Ctrl-C aborts."""

    def ask(number: int, frame: FrameType | None) -> None:
        if watcher.stop_requested() and number == signal.SIGINT:
            raise KeyboardInterrupt
        watcher.request_stop()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class TerminalWatcher(Watcher):
    """Draws a bar with the time left on a terminal; elsewhere prints a line per level."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self.console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.bar: Any = None
        self.title = ""

    def begin(self, run: str, total: int) -> None:
        """Draw a new bar."""
        self.title = run
        self.progress.start()
        self.bar = self.progress.add_task(run, total=total, latest="")

    def level(self, level: int, levels: int, arms: Sequence[str], replicates: int) -> None:
        """Say which level is trained."""
        text = f"{self.title}  level {level}/{levels}, {replicates} networks"
        self.progress.update(self.bar, description=text, latest="")
        if not self.console.is_terminal:
            self.console.print(f"{text}: {', '.join(arms)}", markup=False, highlight=False)

    def steps(self, count: int) -> None:
        """Move the bar."""
        self.progress.advance(self.bar, count)

    def looked(self, step: int, metric: Sequence[float | None]) -> None:
        """Show the mean on the validation split."""
        finite = [value for value in metric if value is not None]
        if finite:
            mean = sum(finite) / len(finite)
            self.progress.update(self.bar, latest=f"validation {mean:.4g}")

    def records(self, records: Sequence[Record]) -> None:
        """Warn of replicates that diverged."""
        lost = sum(record.diverged_at is not None for record in records)
        if lost:
            self.console.print(
                f"{self.title}: {lost} of {len(records)} networks diverged; they are recorded as such.",
                markup=False,
                highlight=False,
            )

    def end(self) -> None:
        """Leave the finished bar where it is."""
        self.progress.stop()


def watcher_for(machine: Machine) -> Watcher:
    """A display, or none."""
    return Watcher() if machine.quiet else TerminalWatcher()


def print_json(value: Any) -> None:
    """Print JSON for scripts."""
    click.echo(json.dumps(value, indent=1, sort_keys=True, allow_nan=False))
