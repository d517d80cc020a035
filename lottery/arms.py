"""The replicates of a level: its tickets, and the controls that are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lottery.levels import Replicate
from lottery.pruning.masks import Tensors, apply_mask, tensors_of
from lottery.pruning.scopes import never_pruned
from lottery.rivals import Draw, rival
from lottery.session import Session, drawn_network
from lottery.ticket_files import Ticket
from training.noise import generator


def with_controls(session: Session, level: int, tickets: Sequence[Ticket]) -> list[Replicate]:
    """The replicates of a level: its tickets, and above level 0 the experiment's controls."""
    found = [
        Replicate(id=ticket.id, mask=ticket.mask, start=apply_mask(ticket.mask, ticket.whole))
        for ticket in tickets
    ]
    for arm in session.experiment.arms if level > 0 else ():
        found += controls(session, level, tickets, arm)
    return found


def controls(session: Session, level: int, tickets: Sequence[Ticket], arm: str) -> list[Replicate]:
    """A control's replicates, each made from a ticket."""

    def network(source: torch.Generator) -> Tensors:
        return tensors_of(drawn_network(session, source))

    if session.experiment.transfer.run:
        # What the source has no mask of, such as a new classifier; one ticket's is as another's.
        whole = frozenset(name for name, mask in tickets[0].mask.items() if bool(mask.all()))
    else:
        shapes, kinds = session.ranked
        whole = never_pruned(shapes, session.experiment.pruning, kinds)
    found = []
    for ticket in tickets:
        source = generator(ticket.id.seed, f"control {arm}", level)
        draw = Draw(generator=source, network=network, never_pruned=whole, units=session.units)
        mask, start = rival(arm, ticket.mask, ticket.whole, draw, session.own)
        found.append(Replicate(id=replace(ticket.id, arm=arm), mask=mask, start=start))
    return found
