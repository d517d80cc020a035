"""From what a user named to a run in progress: loading, locking, watching, and stopping on a signal."""

from __future__ import annotations

import dataclasses
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lottery.experiments import RUN_FOLDER, Experiment, NetworkConfig
from lottery.progress import Watcher
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.search_catalog import SEARCHES, retraining_experiment
from lottery.records import Record
from lottery.runs import Run, open_run
from nas.search.configs import SEARCH_FOLDER
from training.errors import LotteryError
from training.stopping import StopFlag
from training.storage import to_json
from training.toml_text import from_toml_file, override
from training.work_folders import is_there, require_apart, stored_config

if TYPE_CHECKING:
    from lottery.cycle import Setting
    from nas.catalog.outside_networks import Factory

RUNS = Path("results/runs")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The options that say where and how to run, which change nothing of what comes out.

    Attributes:
        device: auto, cpu or cuda.
        products: auto, mkl or onednn.
        data_root: where data files are.
        batching: stacked, looped or None.
        replicates_at_once: trained in one stack; None for as many as fit.
        quiet: no display.
        network: the one that the command line names, if it does: only then is a user's own code imported.
        keep_weights: all, newest or None.
    """

    device: str
    products: str
    data_root: Path | None
    batching: Any
    replicates_at_once: int | None
    quiet: bool
    network: str | None = None
    keep_weights: Any = None


def named_experiment(target: str, rank: int | None = None) -> Experiment:
    """The experiment that a user named: a recipe, a TOML file, a run, or a search whose architecture is retrained.

    Args:
        target: what was named.
        rank: of the search's architecture; None for the best.

    Raises:
        LotteryError: it is none of these, or the file is not a valid experiment, or a rank is of no search.
    """
    path = Path(target)
    if is_there(path, SEARCH_FOLDER):
        return retraining_experiment(path, rank or 1)
    if rank is not None:
        raise LotteryError(
            f"--rank is of what a search found, and {target} is no search; leave it out."
        )
    if target in RECIPES:
        return recipe(target)
    if path.suffix == ".toml":
        return from_toml_file(Experiment, path)
    if is_there(path, RUN_FOLDER):
        return stored_config(path, RUN_FOLDER)
    if path.exists():
        raise LotteryError(f"{path} is neither a run nor a .toml file.")
    if target in SEARCHES:
        raise LotteryError(
            f"{target} is a search; run lottery search {target}, and name its folder, such as "
            f"results/searches/{target}."
        )
    return recipe(target)


def changed(
    experiment: Experiment,
    *,
    network: str | None = None,
    seeds: Sequence[int] | None,
    levels: int | None,
    precision: str | None,
    assignments: Sequence[str],
) -> Experiment:
    """The experiment with what the options change: the network, then `--set`, then the others."""
    if network is not None:
        experiment = with_network(experiment, network)
    last = [] if precision is None else [f"training.precision={precision}"]
    experiment = override(experiment, *assignments, *last)
    if seeds is not None:
        experiment = dataclasses.replace(experiment, seeds=tuple(seeds))
    if levels is not None:
        experiment = dataclasses.replace(experiment, levels=levels)
    return experiment


def with_network(experiment: Experiment, network: str) -> Experiment:
    """The experiment with another network in its default sizes, and named after it; the same one if it is the same."""
    from nas.catalog.catalog import entry

    entry(network)
    if network == experiment.network.name:
        return experiment
    name = f"{experiment.name}-{re.sub('[^A-Za-z0-9._-]+', '-', network)}"
    kept = experiment.network if entry(network).given else NetworkConfig(name=network)
    config = NetworkConfig(name=network, genotype=kept.genotype, found=kept.found)
    return dataclasses.replace(experiment, name=name, network=config)


def factory_of(network: str | None, experiment: Experiment) -> Factory | None:
    """The user's own code, if the command line names it; modules of the current folder are found, as by python -m.

    Args:
        network: that the command line names, if it does.
        experiment: that it is for; a name that only `--set` or a file gives is not imported.

    Raises:
        LotteryError: it can't be imported.
    """
    from nas.catalog.catalog import is_own

    if network is None or network != experiment.network.name or not is_own(network):
        return None
    from nas.catalog.outside_networks import import_factory

    return import_factory(network, Path.cwd())


def default_folder(target: str, experiment: Experiment) -> Path:
    """Where a run goes unless --out says otherwise: a run stays where it is."""
    return Path(target) if is_there(Path(target), RUN_FOLDER) else RUNS / experiment.name


@contextmanager
def prepared(
    experiment: Experiment, machine: Machine, watcher: Watcher
) -> Iterator[tuple[Experiment, Setting]]:
    """Load data and device; inside, signals ask the watcher to stop.

    Yields:
        The experiment with its steps resolved, and the setting to run it in.
    """
    from lottery.checks import check
    from lottery.cycle import Setting
    from training.device import (
        check_precision,
        choose_device,
        keep_freed_memory,
    )
    from training.matrix_libraries import choose_library, multiplying, slow_bf16
    from training.tasks.catalog import load_task

    keep_freed_memory()
    device = choose_device(machine.device)
    precision = experiment.training.precision
    check_precision(precision, device)
    if notice := slow_bf16(precision, device):
        watcher.notice(notice)
    task = load_task(experiment.data, experiment.training, machine.data_root, device)
    setting = Setting(
        task=task,
        batching=machine.batching,
        at_once=machine.replicates_at_once,
        keep_weights=machine.keep_weights,
        watcher=watcher,
        factory=factory_of(machine.network, experiment),
    )
    with multiplying(choose_library(machine.products, device)), stopping(watcher):
        checked = check(experiment, setting)
        yield experiment.resolved(task.steps_per_epoch), checked


def carry_out(
    experiment: Experiment, root: Path, machine: Machine, watcher: Watcher
) -> list[Record]:
    """Find tickets in a run's folder, from the beginning or from where it stopped."""
    from lottery.cycle import find_tickets

    require_apart(root, RUN_FOLDER, (RUN_FOLDER, SEARCH_FOLDER))
    with _opened(experiment, root, machine, watcher) as (resolved, setting, run):
        places = [run.level(level) for level in range(resolved.levels + 1)]
        _tell_environment(resolved, setting, run, places)
        return find_tickets(resolved, run, setting)


def carry_out_control(
    experiment: Experiment, root: Path, arm: str, machine: Machine, watcher: Watcher
) -> list[Record]:
    """Train one more control beside every finished level of a run; the records of that arm."""
    from lottery.cycle import add_control, control_levels

    with _opened(experiment, root, machine, watcher) as (resolved, setting, run):
        levels = control_levels(resolved, run, arm)
        _tell_environment(resolved, setting, run, [run.level(level, arm) for level in levels])
        return add_control(resolved, run, setting, arm)


@contextmanager
def _opened(
    experiment: Experiment, root: Path, machine: Machine, watcher: Watcher
) -> Iterator[tuple[Experiment, Setting, Run]]:
    """Prepare an experiment, say what is to be known of its data, and open its run; inside, the run is locked."""
    from training.folders import locked

    machine = _batching_as_before(experiment, root, machine)
    with prepared(experiment, machine, watcher) as (resolved, setting), locked(root):
        data = setting.task.facts()
        for text in data["notices"]:
            watcher.notice(text)
        yield resolved, setting, open_run(root, resolved, data)


def _batching_as_before(experiment: Experiment, root: Path, machine: Machine) -> Machine:
    """A network from outside is timed when its run begins, and goes on as it began, unless a batching is asked for."""
    from lottery.levels import noted_batching
    from nas.catalog.catalog import is_known

    if (
        machine.batching is not None
        or is_known(experiment.network.name)
        or not is_there(root, RUN_FOLDER)
    ):
        return machine
    return dataclasses.replace(machine, batching=noted_batching(Run(root)))


def _tell_environment(
    experiment: Experiment, setting: Setting, run: Run, places: Sequence[str]
) -> None:
    """Record what a run is about to be computed with, and say what differs from before, unless all places are done."""
    from training.device import environment
    from training.environments import note_environment

    if all(map(run.is_done, places)):
        return
    now = environment(setting.task.device, experiment.training.precision)
    notice = note_environment(run.folder, now)
    if notice:
        setting.watcher.notice(notice)


@contextmanager
def stopping(flag: StopFlag) -> Iterator[None]:
    """While inside, the first signal asks for a checkpoint and an end; a second Ctrl-C aborts."""

    def ask(number: int, frame: FrameType | None) -> None:
        if flag.stop_requested() and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.request_stop()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_json(value: Any) -> None:
    """Print JSON for scripts."""
    click.echo(to_json(value), nl=False)
