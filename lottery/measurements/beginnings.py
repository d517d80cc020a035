"""The networks of a level as their training began, for measurements that go back there."""

from __future__ import annotations

from lottery.arms import controls, with_controls
from lottery.identity import TICKET
from lottery.levels import Replicate
from lottery.measurements.measuring import TrainedLevel
from lottery.session import Session
from lottery.ticket_files import read_tickets
from lottery.tickets import dense_tickets


def untrained(session: Session, trained: TrainedLevel) -> list[Replicate]:
    """The networks of a level, of the arms that were added too, before their training.

    Raises:
        LotteryError: a file of the run is damaged.
    """
    level, experiment = trained.level, session.experiment
    tickets = dense_tickets(session) if level == 0 else read_tickets(experiment, session.run, level)
    found = with_controls(session, level, tickets)
    added = {one.arm for one in trained.tensors} - {TICKET, *experiment.arms}
    for arm in sorted(added):
        found += controls(session, level, tickets, arm)
    return found
