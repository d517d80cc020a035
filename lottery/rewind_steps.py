"""Several rewind steps of one dense training: a run for each step, whose level 0 is trained once and shared.

Each folder is a whole run, equal to one that was carried out with that rewind step alone. Frankle et al. 2020
compare many steps of one training so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lottery.cycle import train_dense
from lottery.experiments import RUN_FOLDER, Experiment
from lottery.history import read_history
from lottery.machine import DEFAULT_MACHINE, Machine
from lottery.own_pieces import NOTHING_OWN, OwnPieces
from lottery.progress import Watcher
from lottery.records import Record, records_from_json, records_to_json
from lottery.runs import Run, end_level, finish_history
from lottery.session import Session
from lottery.sessions import carry_out, note_machine, opened
from lottery.transfer import require_source
from nas.catalog.outside_networks import Factory
from nas.search.configs import SEARCH_FOLDER
from training.environments import ENVIRONMENT
from training.errors import LotteryError
from training.folders import locked
from training.steps import Steps
from training.work_folders import (
    is_there,
    open_folder,
    require_apart,
    stored_config,
    stored_data,
)


@dataclasses.dataclass(frozen=True)
class Variant:
    """An experiment with one of the rewind steps, and the folder of its run."""

    experiment: Experiment
    root: Path


def variants(experiment: Experiment, root: Path, steps: Sequence[Steps]) -> list[Variant]:
    """The experiment with each of some rewind steps.

    Args:
        experiment: in which they are put.
        root: beside which the folders are, such as `root-rewind-100`.
        steps: each named once.

    Raises:
        LotteryError: there is none, or one is named twice.
    """
    if not steps or len(set(steps)) < len(steps):
        raise LotteryError("A rewind step is named twice, or none is; name each once.")
    found = []
    for step in steps:
        rewinding = dataclasses.replace(experiment.rewinding, step=step)
        name = (
            f"{root.name}-rewind-{step}" if step.epochs else f"{root.name}-rewind-{step.iterations}"
        )
        found.append(
            Variant(dataclasses.replace(experiment, rewinding=rewinding), root.parent / name)
        )
    return found


def carry_out_rewind_steps(
    runs: Sequence[Variant],
    machine: Machine = DEFAULT_MACHINE,
    watcher: Watcher | None = None,
    factory: Factory | None = None,
    own: OwnPieces = NOTHING_OWN,
    source: Path | None = None,
) -> list[Record]:
    """Train the dense networks once, keep them at every rewind step, and find tickets from each.

    Args:
        runs: what `variants` gave.
        machine: where and how.
        watcher: is told how it goes, and may ask to stop.
        factory: makes the network, where that is the user's own.
        own: the user's own criteria and controls that the command line names.
        source: folder of the run that masks are taken from, where they are found elsewhere.

    Returns:
        Every record of the runs.

    Raises:
        LotteryError: as `lottery.sessions.carry_out`.
    """
    require_source(runs[0].experiment, source)
    while lacking := _share(runs):
        first, *others = lacking
        with (
            opened(first.experiment, first.root, machine, watcher, factory, own, source) as session,
            ExitStack() as locks,
        ):
            beside = tuple(_begun(session, one, locks) for one in others)
            note_machine(session, [session.run.level(0)])
            train_dense(dataclasses.replace(session, beside=beside))
    return [
        record
        for run in runs
        for record in carry_out(run.experiment, run.root, machine, watcher, factory, own, source)
    ]


def _begun(session: Session, variant: Variant, locks: ExitStack) -> tuple[int, Run]:
    """A run that is begun, or taken up, beside a session's, and the step at which the dense networks are kept in it."""
    require_apart(variant.root, RUN_FOLDER, (RUN_FOLDER, SEARCH_FOLDER))
    rewinding = variant.experiment.rewinding
    experiment = dataclasses.replace(session.experiment, rewinding=rewinding)
    experiment = experiment.resolved(session.task.steps_per_epoch)
    locks.enter_context(locked(variant.root))
    open_folder(variant.root, RUN_FOLDER, experiment, session.task.data.description())
    return experiment.rewinding.step.iterations, Run(variant.root)


def _share(runs: Sequence[Variant]) -> list[Variant]:
    """Copy the level 0 of a run that has finished it to those in which its networks were kept; what still lacks it.

    A run of a step that was added later has nothing of the rewind step: it has to train its own level 0.
    """
    done = [one for one in runs if Run(one.root).level(0).is_done()]
    lacking = [one for one in runs if one not in done]
    for one in [*lacking]:
        donor = next((other for other in done if _has_dense_of(one, other)), None)
        if donor is not None:
            with locked(donor.root), locked(one.root):
                _copy_dense(Run(donor.root), Run(one.root))
            lacking.remove(one)
    return lacking


def _has_dense_of(variant: Variant, donor: Variant) -> bool:
    """Whether a run was begun with another's dense networks, has all that it needs of their training, and they are."""
    run, other = Run(variant.root), Run(donor.root)
    if not is_there(run.root, RUN_FOLDER) or not other.folder.holds(other.level(0).weights):
        return False
    config, theirs = (stored_config(one.root, RUN_FOLDER) for one in (run, other))
    same = dataclasses.replace(
        theirs, levels=config.levels, source=config.source, rewinding=config.rewinding
    )
    fingerprints = {stored_data(one.root)["fingerprint"] for one in (run, other)}
    starts = [run.start(one) for one in config.originals]
    if config.rewinding.optimizer_state == "rewind":
        starts += [run.start_optimizer(one) for one in config.originals]
    return same == config and len(fingerprints) == 1 and all(map(run.folder.holds, starts))


def _copy_dense(donor: Run, run: Run) -> None:
    """Copy a finished level 0, its history and environment, the records last."""
    theirs, files = donor.level(0), run.level(0)
    for name in (ENVIRONMENT, files.execution, files.masks, files.weights, files.predictions):
        if donor.folder.holds(name):
            run.folder.write(name, donor.folder.read(name))
    finish_history(run, [row for row in read_history(donor.root) if row.level == 0])
    path = donor.root / theirs.records
    records = records_from_json(donor.folder.read(theirs.records), path)
    named = [dataclasses.replace(record, run=run.name) for record in records]
    run.folder.write(files.records, records_to_json(named))
    end_level(files)
