"""The cycle: train, prune the least, rewind the rest, and repeat, beside controls."""

from __future__ import annotations

from collections.abc import Sequence

from lottery.arms import controls, with_controls
from lottery.controls import check_control
from lottery.disk_use import drop_weights, stored_weights
from lottery.identity import TICKET
from lottery.levels import Replicate, Stack
from lottery.pruning.prunable import left_whole
from lottery.pruning.schedules import source_level
from lottery.records import Record, read_records
from lottery.runs import LevelFiles, end_level
from lottery.session import Session
from lottery.stacks import train_stack
from lottery.ticket_files import read_tickets
from lottery.tickets import dense_tickets, prune_and_rewind
from training.errors import LotteryError


def find_tickets(session: Session) -> list[Record]:
    """Train, prune the smallest weights, rewind the rest, and repeat (Frankle & Carbin 2019; Frankle et al. 2020).

    Every finished level is taken from disk, so this is also how a stopped run goes on.

    Args:
        session: whose run is open, see `lottery.sessions`.

    Returns:
        Every record of the run.

    Raises:
        LotteryError: stopped on request (exit code 75), or a file of the run is damaged.
    """
    experiment, run = session.experiment, session.run
    session.watcher.begin(run.name, replicate_steps(session))
    whole = left_whole(session.network, experiment.pruning.embeddings)
    if whole:
        session.watcher.notice(whole)
    for level in range(experiment.levels + 1):
        if _is_told_done(session, run.level(level)):
            continue
        tickets = dense_tickets(session) if level == 0 else prune_and_rewind(session, level)
        train(session, run.level(level), with_controls(session, level, tickets))
        if level > 0 and _stores_newest(session):
            _drop_unneeded(session, level)
    return read_records(run.root)


def train_dense(session: Session) -> None:
    """Level 0 alone; `find_tickets` goes on from there.

    Raises:
        LotteryError: as `find_tickets`.
    """
    experiment, files = session.experiment, session.run.level(0)
    total = len(experiment.tickets) * experiment.level_steps(0)
    session.watcher.begin(f"{session.run.name}, dense", total)
    if not _is_told_done(session, files):
        train(session, files, with_controls(session, 0, dense_tickets(session)))


def add_control(session: Session, arm: str) -> list[Record]:
    """Train one more control beside every finished level of a run.

    Returns:
        The records of that arm.

    Raises:
        LotteryError: see `control_levels`.
    """
    run, experiment = session.run, session.experiment
    levels = control_levels(session, arm)
    total = len(levels) * len(experiment.tickets) * experiment.level_steps(1)
    session.watcher.begin(f"{run.name}, {arm}", total)
    for level in levels:
        files = run.level(level, arm)
        if _is_told_done(session, files):
            continue
        train(session, files, controls(session, level, read_tickets(experiment, run, level), arm))
        if level < levels[-1] and _stores_newest(session):
            drop_weights(files)
    return [record for record in read_records(run.root) if record.arm == arm]


def control_levels(session: Session, arm: str) -> list[int]:
    """The levels beside which one more control is trained: every finished one that is pruned.

    Raises:
        LotteryError: there is no such control, or the run has it already, has no pruned level, or lacks the tensors.
    """
    experiment, run = session.experiment, session.run
    check_control(experiment, arm, session.own)
    if arm in experiment.arms:
        raise LotteryError(f"{run.root} has the arm {arm} at every level already.")
    levels = [n for n in range(1, experiment.levels + 1) if run.level(n).is_done()]
    if not levels:
        raise LotteryError(
            f"{run.root} has no finished level above 0; finish it first with the command that began it."
        )
    starts = [run.start(one) for one in experiment.originals]
    for name in (*starts, *(run.level(n).tickets for n in levels)):
        if not run.folder.holds(name):
            raise LotteryError(
                f"{run.root} has no {name}, which a control is made from; a run that was copied without its tensors "
                "can be shown and compared, and the whole one can be trained further."
            )
    return levels


def train(session: Session, files: LevelFiles, replicates: Sequence[Replicate]) -> None:
    """Train the replicates of a level side by side, and write what came of them."""
    train_stack(Stack(session=session, files=files, replicates=tuple(replicates)))


def _is_told_done(session: Session, files: LevelFiles) -> bool:
    """Tell the watcher which level comes, and whether it is finished already."""
    experiment, level = session.experiment, files.number
    own = (TICKET, *(experiment.arms if level > 0 else ()))
    arms = (files.added_arm,) if files.added_arm else own
    count = len(arms) * len(experiment.tickets)
    session.watcher.level(level, experiment.levels, arms, count)
    if not files.is_done():
        return False
    # A process may have been killed between its records and this.
    end_level(files)
    session.watcher.steps(count * experiment.level_steps(level))
    return True


def replicate_steps(session: Session) -> int:
    """Steps of training in a whole run, each replicate's counted."""
    experiment = session.experiment
    levels = range(experiment.levels + 1)
    return sum(experiment.replicates_at(n) * experiment.level_steps(n) for n in levels)


def _drop_unneeded(session: Session, level: int) -> None:
    """Remove the trained weights of the level before one, unless a later level, or one to come, is pruned from it."""
    pruning, last = session.experiment.pruning, session.experiment.levels
    needed = {source_level(pruning, later) for later in range(level + 1, last + 2)}
    if level - 1 not in needed:
        drop_weights(session.run.level(level - 1))


def _stores_newest(session: Session) -> bool:
    """Whether only the newest level's trained weights stay on disk."""
    asked = session.store_weights
    return stored_weights(session.experiment, session.network, asked) == "newest"
