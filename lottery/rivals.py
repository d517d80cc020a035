"""Rivals: a control's mask and starting weights, made from a ticket's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lottery.controls import CONTROLS, MaskRule, WeightRule
from lottery.own_pieces import NOTHING_OWN, OwnPieces
from lottery.pruning.masks import Mask, Tensors, apply_mask, dense_mask
from lottery.pruning.units import Units, unit_mask, weight_mask
from training.errors import chosen


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What a control draws from.

    Attributes:
        generator: of this control, seed and level.
        network: gives a whole network's tensors with new initial weights.
        never_pruned: parameters of the mask, or layers of units, of which the experiment never prunes anything; no
            control does.
        units: that go as one; None where single weights do.
    """

    generator: torch.Generator
    network: Callable[[torch.Generator], Tensors]
    never_pruned: frozenset[str] = frozenset()
    units: Units | None = None


def rival(
    name: str, mask: Mask, whole: Tensors, draw: Draw, own: OwnPieces = NOTHING_OWN
) -> tuple[Mask, Tensors]:
    """A control's mask, and its starting tensors with the pruned weights at 0.

    Args:
        name: of the control.
        mask: the ticket's.
        whole: the network that the ticket is taken from, with what the ticket's mask prunes.
        draw: what the control draws from.
        own: the user's own controls that the command line names.

    Raises:
        LotteryError: there is no such control.
    """
    if name in own.controls:
        return own.controls[name](mask, whole, draw)
    control = chosen("control", name, CONTROLS)
    kept = _mask(control.mask, mask, draw)
    return kept, apply_mask(kept, WEIGHT_RULES[control.weights](mask, whole, draw))


def _mask(rule: MaskRule, mask: Mask, draw: Draw) -> Mask:
    """A control's mask: what it does with weights, it does with units where these go as one."""
    if draw.units is None or rule in ("ticket", "dense"):
        return MASK_RULES[rule](mask, draw)
    kept = MASK_RULES[rule](unit_mask(draw.units, mask), draw)
    return weight_mask(draw.units, kept, mask)


def _the_tickets_mask(mask: Mask, draw: Draw) -> Mask:
    return mask


def _shuffled(mask: Mask, draw: Draw) -> Mask:
    """Each parameter keeps as many weights, anywhere."""
    return {name: _permuted(m, draw.generator) for name, m in mask.items()}


def _random(mask: Mask, draw: Draw) -> Mask:
    """As many weights are kept anywhere among those that can be pruned."""
    pruned = {name: m for name, m in mask.items() if name not in draw.never_pruned}
    if not pruned:
        return mask
    flat = torch.cat([m.flatten() for m in pruned.values()])
    pieces = torch.split(_permuted(flat, draw.generator), [m.numel() for m in pruned.values()])
    drawn = {n: piece.view(mask[n].shape) for n, piece in zip(pruned, pieces, strict=True)}
    return {name: drawn.get(name, m) for name, m in mask.items()}


def _inverted(mask: Mask, draw: Draw) -> Mask:
    """Exactly those weights are kept that the ticket lost, and what is never pruned."""
    return {name: m if name in draw.never_pruned else ~m for name, m in mask.items()}


def _dense(mask: Mask, draw: Draw) -> Mask:
    return dense_mask(mask)


def _the_tickets_weights(mask: Mask, whole: Tensors, draw: Draw) -> Tensors:
    return whole


def _new(mask: Mask, whole: Tensors, draw: Draw) -> Tensors:
    return draw.network(draw.generator)


def _new_same_sign(mask: Mask, whole: Tensors, draw: Draw) -> Tensors:
    """New weights, of which those under the mask have the ticket's signs."""
    new = draw.network(draw.generator)
    return {**new, **{name: new[name].abs() * whole[name].sign() for name in mask}}


def _signed_constant(mask: Mask, whole: Tensors, draw: Draw) -> Tensors:
    """The ticket's signs, each weight as large as its parameter's standard deviation."""
    return {**whole, **{name: whole[name].sign() * whole[name].std() for name in mask}}


def _permuted(mask: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(mask.numel(), generator=generator)
    return mask.flatten()[order].view(mask.shape)


MASK_RULES: dict[MaskRule, Callable[[Mask, Draw], Mask]] = {
    "ticket": _the_tickets_mask,
    "shuffled": _shuffled,
    "random": _random,
    "inverted": _inverted,
    "dense": _dense,
}
WEIGHT_RULES: dict[WeightRule, Callable[[Mask, Tensors, Draw], Tensors]] = {
    "ticket": _the_tickets_weights,
    "new": _new,
    "new-same-sign": _new_same_sign,
    "signed-constant": _signed_constant,
}
