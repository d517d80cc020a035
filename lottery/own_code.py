"""Criteria and controls of one's own: imported, and what is asked of what they give."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lottery.own_pieces import OwnControl, OwnPieces
from lottery.pruning.evidence import Criterion, Evidence, Need
from lottery.pruning.masks import Mask, Tensors, apply_mask
from lottery.rivals import Draw
from nas.catalog.outside_networks import their_code
from nas.catalog.own_code import import_own
from training.errors import LotteryError

EVIDENCE = "it is called with the Evidence and returns a dict of scores [R, ...], one for each parameter of its mask"
TICKET = "it is called with a ticket's mask, the whole network's tensors and a Draw, and returns (mask, start)"


def import_own_pieces(
    criteria: Sequence[str], controls: Sequence[str], folder: Path | None = None
) -> OwnPieces:
    """A user's own criteria and controls. This runs their code: call it only for names they typed.

    Args:
        criteria: names `package.module:name`.
        controls: the same.
        folder: where Python looks too, see `nas.catalog.own_code.import_own`.

    Raises:
        LotteryError: one of them can't be imported, or is neither a function nor, of criteria, a `Criterion`.
    """
    return OwnPieces(
        criteria={
            name: own_criterion(name, import_own(name, "criterion", folder)) for name in criteria
        },
        controls={
            name: own_control(name, import_own(name, "control", folder)) for name in controls
        },
    )


def own_criterion(name: str, found: object) -> Criterion:
    """A user's own criterion: a `Criterion`, or a function from evidence to scores, which may look at all of it.

    Its scores are checked each time: of every parameter that the mask covers, as large as its mask `[R, ...]`, real.

    Args:
        name: for messages.
        found: what was imported.

    Raises:
        LotteryError: it is something else.
    """
    if isinstance(found, Criterion):
        scores, own = found.scores, found
    elif callable(found):
        needs: tuple[Need, ...] = ("start", "final", "gradients", "curvature", "flow")
        scores, own = found, Criterion(summary="your own", scores=found, needs=needs)
    else:
        raise LotteryError(
            f"{name} is {type(found).__name__}, but a criterion must be a function from Evidence to scores, or a "
            "Criterion."
        )

    def checked(evidence: Evidence) -> Tensors:
        # What the user's code changes in place is its own.
        own_mask = {n: mask.clone() for n, mask in evidence.mask.items()}
        with their_code(f"The criterion {name} failed", EVIDENCE):
            given = scores(dataclasses.replace(evidence, mask=own_mask))
        return _scores(name, given, evidence.mask)

    return dataclasses.replace(own, scores=checked)


def own_control(name: str, found: object) -> OwnControl:
    """A user's own control: a function (mask, whole, draw) -> (mask, start).

    What it gives is checked each time: a mask of the ticket's parameters and the network's tensors, finite, in their
    shapes. Pruned weights are set to 0.

    Args:
        name: for messages.
        found: what was imported.

    Raises:
        LotteryError: it is no function.
    """
    if not callable(found):
        raise LotteryError(
            f"{name} is {type(found).__name__}, but a control must be a function (mask, whole, draw) -> (mask, start)."
        )

    def checked(mask: Mask, whole: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
        copies = [{n: tensor.clone() for n, tensor in part.items()} for part in (mask, whole)]
        with their_code(f"The control {name} failed", TICKET):
            given = found(*copies, draw)
        if not isinstance(given, tuple) or len(given) != 2:
            raise LotteryError(f"The control {name} gave {type(given).__name__}, but {TICKET}.")
        own, start = (
            _like(name, part, as_before)
            for part, as_before in zip(given, (mask, whole), strict=True)
        )
        return own, apply_mask(own, start)

    return checked


def _scores(name: str, given: object, masks: Mapping[str, Tensor]) -> Tensors:
    if not isinstance(given, Mapping):
        raise LotteryError(f"The criterion {name} gave {type(given).__name__}, but {EVIDENCE}.")
    found = {}
    for key, mask in masks.items():
        scores = given.get(key)
        if not isinstance(scores, Tensor) or scores.shape != mask.shape or scores.is_complex():
            raise LotteryError(
                f"The criterion {name} gave {_in_words(scores)} for {key}, but its scores must be real numbers of "
                f"shape {[*mask.shape]}."
            )
        exact = scores.dtype == torch.float64
        found[key] = scores.detach() if exact else scores.detach().to(torch.float32)
    return found


def _like(name: str, given: object, before: Mapping[str, Tensor]) -> Tensors:
    """What a control gave, in the order of the ticket's, on the CPU."""
    if not isinstance(given, Mapping) or given.keys() != before.keys():
        listed = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise LotteryError(
            f"The control {name} gave {listed}, but it must give a tensor for each of {sorted(before)}."
        )
    for key, tensor in before.items():
        own = given[key]
        fits = isinstance(own, Tensor) and (own.shape, own.dtype) == (tensor.shape, tensor.dtype)
        if not fits or not bool(own.isfinite().all()):
            raise LotteryError(
                f"The control {name} gave {_in_words(own)} for {key}, but it must be finite, {tensor.dtype}, of shape "
                f"{[*tensor.shape]}."
            )
    return {key: given[key].detach().to(tensor.device) for key, tensor in before.items()}


def _in_words(value: object) -> str:
    if not isinstance(value, Tensor):
        return "nothing" if value is None else type(value).__name__
    finite = "" if bool(value.isfinite().all()) else ", not all finite"
    return f"{value.dtype} of shape {[*value.shape]}{finite}"
