"""A user's own criterion and controls are tried on one replicate before anything is written."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lottery.arms import controls
from lottery.identity import TICKET, ReplicateId
from lottery.own_pieces import is_own
from lottery.pruning.masks import Mask, Tensors, dense_mask, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.scoring import gathered
from lottery.session import Session, new_network
from lottery.ticket_files import Ticket
from training.errors import LotteryError

# Of the largest: what two passes of the same numbers may differ by on a device that adds in no fixed order.
ROUNDING = 1e-3


def try_own(session: Session) -> None:
    """Try the experiment's own criterion and controls.

    Raises:
        LotteryError: one fails, gives something else than is asked of it, scores that are not finite, or something
            else when it is called again.
    """
    if is_own(session.experiment.pruning.criterion) and not session.experiment.transfer.run:
        _try_criterion(session)
    for arm in filter(is_own, session.experiment.arms):
        try_control(session, arm)


def try_control(session: Session, arm: str) -> None:
    """Try a control of the user's own.

    Raises:
        LotteryError: as `try_own`.
    """
    one, whole = _replicate(session)
    mask = {name: _every_other(tensor) for name, tensor in _weights(session, whole).items()}
    ticket = Ticket(id=one, mask=mask, whole=whole)
    (first,), (again,) = (controls(session, 1, [ticket], arm) for _ in range(2))
    _require_same("control", arm, first.mask | first.start, again.mask | again.start)
    _require_same("control", arm, first.mask, again.mask)


def _try_criterion(session: Session) -> None:
    name = session.experiment.pruning.criterion
    one, start = _replicate(session)
    mask = dense_mask(_weights(session, start))

    def scores() -> Tensors:
        return session.criterion.scores(gathered(session, [one], 1, [start], [start], [mask]))

    first, again = scores(), scores()
    for key, tensor in first.items():
        if not bool(tensor.isfinite().all()):
            raise LotteryError(
                f"The criterion {name} gave scores for {key} that are not all finite; give a finite number for "
                "each weight."
            )
    _require_same("criterion", name, first, again)


def _replicate(session: Session) -> tuple[ReplicateId, Tensors]:
    seed = session.experiment.seeds[0]
    return ReplicateId(TICKET, seed), tensors_of(new_network(session, seed))


def _weights(session: Session, tensors: Tensors) -> Tensors:
    names = prunable_names(session.network, session.experiment.pruning.embeddings)
    return {name: tensors[name] for name in names}


def _every_other(tensor: Tensor) -> Tensor:
    return (torch.arange(tensor.numel()) % 2 == 0).view(tensor.shape)


def _require_same(
    kind: str, name: str, first: Mapping[str, Tensor] | Mask, again: Mapping[str, Tensor]
) -> None:
    for key, tensor in first.items():
        one, other = tensor.double(), again[key].double()
        if tensor.numel() and bool((one - other).abs().max() > ROUNDING * one.abs().max()):
            what = "Evidence.uniform" if kind == "criterion" else "Draw.generator"
            raise LotteryError(
                f"The {kind} {name} does not repeat: called twice alike, it differs in {key}; draw from {what}, "
                "which repeats by seed."
            )
