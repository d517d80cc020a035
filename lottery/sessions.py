"""Carrying out an experiment, from Python as from the command line.

from lottery.recipes.catalog import recipe
from lottery.sessions import carry_out

records = carry_out(recipe("demo-digits-resnet"), Path("results/runs/digits"))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lottery.checks import check, check_names
from lottery.controls import check_control
from lottery.cycle import add_control, control_levels, find_tickets
from lottery.execution import noted_batching
from lottery.experiments import RUN_FOLDER, Experiment
from lottery.machine import DEFAULT_MACHINE, Machine
from lottery.progress import Watcher
from lottery.records import Record
from lottery.runs import LevelFiles, Run
from lottery.session import Session
from nas.catalog.catalog import is_known
from nas.catalog.outside_networks import Factory
from nas.search.configs import SEARCH_FOLDER
from training.device import check_precision, choose_device, environment
from training.environments import library_before, note_environment
from training.folders import locked
from training.graphs import GRAPH, NO_GRAPH
from training.matrix_libraries import choose_library, multiplying, slow_bf16
from training.repeatable import check_products_repeat
from training.replay import NO_REPLAY, REPLAY
from training.stopping import stopped_before
from training.tasks.catalog import load_task
from training.work_folders import is_there, open_folder, require_apart


def carry_out(
    experiment: Experiment,
    root: Path,
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
) -> list[Record]:
    """Find tickets in a run's folder, from the beginning or from where it stopped.

    Args:
        experiment: what is carried out.
        root: the run's folder.
        machine: where and how.
        watcher: is told how it goes, and may ask to stop.
        factory: makes the network, where that is the user's own.

    Returns:
        Every record of the run.

    Raises:
        LotteryError: the experiment can't be carried out, the folder holds another one, or it was stopped.
    """
    with opened(experiment, root, machine, watcher, factory) as session:
        levels = range(session.experiment.levels + 1)
        note_machine(session, [session.run.level(level) for level in levels])
        return find_tickets(session)


def carry_out_control(
    experiment: Experiment,
    root: Path,
    arm: str,
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
) -> list[Record]:
    """Train one more control beside every finished level of a run; the records of that arm.

    Args:
        experiment: of the run.
        root: the run's folder.
        arm: the control.
        machine: where and how.
        watcher: is told how it goes, and may ask to stop.
        factory: makes the network, where that is the user's own.

    Raises:
        LotteryError: as `carry_out`, or as `lottery.cycle.control_levels`.
    """
    check_control(experiment, arm)
    with opened(experiment, root, machine, watcher, factory) as session:
        levels = control_levels(session, arm)
        note_machine(session, [session.run.level(level, arm) for level in levels])
        return add_control(session, arm)


@contextmanager
def opened(
    experiment: Experiment,
    root: Path,
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
) -> Iterator[Session]:
    """A session whose run is begun, or taken up, and locked while inside; see `carry_out` for the arguments."""
    require_apart(root, RUN_FOLDER, (RUN_FOLDER, SEARCH_FOLDER))
    machine = _batching_as_before(experiment, root, machine)
    with prepared(experiment, root, machine, watcher, factory) as session, locked(root):
        about = session.task.data.description()
        for text in about["notices"]:
            session.watcher.notice(text)
        open_folder(root, RUN_FOLDER, session.experiment, about)
        yield session


@contextmanager
def prepared(
    experiment: Experiment,
    root: Path,
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
) -> Iterator[Session]:
    """A session with its data on the device and everything checked, of which nothing is written; see `carry_out`."""
    watcher = watcher or Watcher()
    check_names(experiment)
    device = choose_device(machine.device)
    precision = experiment.training.precision
    check_precision(precision, device)
    check_products_repeat(device)
    if notice := slow_bf16(precision, device):
        watcher.notice(notice)
    task = load_task(experiment.data, experiment.training, machine.data_root, device)
    session = Session(
        experiment=experiment.resolved(task.steps_per_epoch),
        run=Run(root),
        task=task,
        batching=machine.batching,
        at_once=machine.replicates_at_once,
        store_weights=machine.store_weights,
        replay=REPLAY if machine.replay else NO_REPLAY,
        graph=GRAPH if machine.graph else NO_GRAPH,
        watcher=watcher,
        factory=factory,
    )
    before = library_before(session.run.folder)
    with multiplying(choose_library(machine.products, device, before=before)):
        session = check(session)
        if watcher.stop_requested():
            raise stopped_before()
        yield session


def note_machine(session: Session, levels: Sequence[LevelFiles]) -> None:
    """Record what levels are about to be trained with, and say what differs from before, unless all are done."""
    if all(files.is_done() for files in levels):
        return
    now = environment(session.task.device, session.experiment.training.precision)
    if notice := note_environment(session.run.folder, now):
        session.watcher.notice(notice)


def _batching_as_before(experiment: Experiment, root: Path, machine: Machine) -> Machine:
    """A network from outside is timed when its run begins, and goes on as it began, unless a batching is asked for."""
    if (
        machine.batching is not None
        or is_known(experiment.network.name)
        or not is_there(root, RUN_FOLDER)
    ):
        return machine
    return dataclasses.replace(machine, batching=noted_batching(Run(root)))
