"""From what a user typed to what the library carries out: experiments, folders, the user's code, and signals."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lottery.experiments import RUN_FOLDER, Experiment
from lottery.machine import Machine
from lottery.progress import Watcher
from nas.search.configs import SEARCH_FOLDER
from nas.search.watching import SearchWatcher
from training.errors import LotteryError
from training.stopping import StopFlag
from training.storage import to_json
from training.toml_text import from_toml_file
from training.work_folders import is_there, stored_config

if TYPE_CHECKING:
    from lottery.own_pieces import OwnPieces
    from nas.catalog.outside_networks import Factory

RUNS = Path("results/runs")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def named_experiment(target: str, rank: int | None = None) -> Experiment:
    """The experiment that a user named: a recipe, a TOML file, a run, or a search whose architecture is retrained.

    Args:
        target: what was named.
        rank: of the search's architecture; None for the best.

    Raises:
        LotteryError: it is none of these, or the file is not a valid experiment, or a rank is of no search.
    """
    from lottery.recipes.catalog import RECIPES, recipe
    from lottery.recipes.retraining import retraining_experiment
    from lottery.recipes.search_catalog import SEARCHES

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
    if path.suffix or "/" in target:
        raise LotteryError(
            f"There is neither a folder or file {target} nor a recipe of that name; name a recipe of `lottery "
            "recipes`, a .toml file, or the folder of a run or a search."
        )
    return recipe(target)


def factory_of(network: str | None, experiment: Experiment) -> Factory | None:
    """The user's own code, if the command line names it; modules of the current folder are found, as by python -m.

    Args:
        network: that the command line names, if it does.
        experiment: that it is for; a name that only `--set` or a file gives is not imported.

    Raises:
        LotteryError: it can't be imported.
    """
    from nas.catalog.catalog import entry

    if network is None or network != experiment.network.name or entry(network).origin != "own":
        return None
    from nas.catalog.own_code import import_factory

    return import_factory(network, Path.cwd())


def own_of(
    options: Mapping[str, Any], experiment: Experiment, arms: Sequence[str] = ()
) -> OwnPieces:
    """The user's own criteria and controls that the command line names, as `factory_of` has their network.

    Args:
        options: of the command.
        experiment: that they are for; a name that only `--set` or a file gives is not imported.
        arms: controls that the command names beside its options.

    Raises:
        LotteryError: one can't be imported.
    """
    from lottery.own_pieces import NOTHING_OWN, is_own

    criteria = [name for name in [options["criterion"]] if name == experiment.pruning.criterion]
    criteria = [*filter(is_own, criteria)]
    controls = [*filter(is_own, [*options["controls"], *arms])]
    if not criteria and not controls:
        return NOTHING_OWN
    from lottery.own_code import import_own_pieces

    return import_own_pieces(criteria, controls, Path.cwd())


def machine_of(options: Mapping[str, Any]) -> Machine:
    """The options that say where and how, among a command's."""
    names = [field.name for field in dataclasses.fields(Machine)]
    return Machine(**{name: options[name] for name in names if name in options})


def default_folder(target: str, experiment: Experiment) -> Path:
    """Where a run goes unless --out says otherwise: a run stays where it is."""
    return Path(target) if is_there(Path(target), RUN_FOLDER) else RUNS / experiment.name


@contextmanager
def commanded(watcher: Watcher | SearchWatcher) -> Iterator[None]:
    """What surrounds a command that trains: freed memory is kept, and a signal asks the watcher to stop."""
    from training.device import keep_freed_memory

    keep_freed_memory()
    try:
        with stopping(watcher):
            yield
    finally:
        watcher.end()


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
