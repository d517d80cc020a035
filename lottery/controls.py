"""Controls: what a ticket is compared with. Each turns a ticket's (mask, start) into the control's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lottery.experiments import Experiment
from lottery.pruning.masks import Mask, Tensors, apply_mask, dense_mask
from training.errors import LotteryError, unknown


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What a control draws from.

    Attributes:
        generator: of this control, seed and level.
        network: gives a whole network's tensors with new initial weights.
        unpruned: parameters of the mask of which the experiment never prunes anything; no control does.
    """

    generator: torch.Generator
    network: Callable[[torch.Generator], Tensors]
    unpruned: frozenset[str] = frozenset()


Control = Callable[[Mask, Tensors, Draw], tuple[Mask, Tensors]]


def reinitialised(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The same mask on new initial weights (Frankle & Carbin 2019, section 2)."""
    return mask, draw.network(draw.generator)


def reinitialised_same_sign(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The same mask on new initial weights with the ticket's signs (Zhou et al. 2019, section 4)."""
    new = draw.network(draw.generator)
    signed = {name: new[name].abs() * start[name].sign() for name in mask}
    return mask, {**new, **signed}


def signed_constant(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The same mask and signs, each weight as large as its parameter's deviation (Zhou et al. 2019, section 4)."""
    constant = {name: start[name].sign() * start[name].std() for name in mask}
    return mask, {**start, **constant}


def shuffled_mask(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The ticket's start with each parameter's mask shuffled (Frankle et al. 2021, arXiv 2009.08576, section 5)."""
    return {name: _shuffled(m, draw.generator) for name, m in mask.items()}, start


def random_mask(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The ticket's start with as many weights kept anywhere among those that can be pruned."""
    pruned = {name: m for name, m in mask.items() if name not in draw.unpruned}
    if not pruned:
        return mask, start
    flat = torch.cat([m.flatten() for m in pruned.values()])
    pieces = torch.split(_shuffled(flat, draw.generator), [m.numel() for m in pruned.values()])
    drawn = {n: piece.view(mask[n].shape) for n, piece in zip(pruned, pieces, strict=True)}
    return {name: drawn.get(name, m) for name, m in mask.items()}, start


def random_ticket(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """A random mask on new initial weights (Morcos et al. 2019, arXiv 1906.02773, section 3)."""
    return random_mask(mask, start, draw)[0], draw.network(draw.generator)


def inverted_mask(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The ticket's start with exactly those weights kept that the ticket lost, and what is never pruned."""
    return {name: m if name in draw.unpruned else ~m for name, m in mask.items()}, start


def dense(mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """The whole network from the ticket's start: dense at the same budget of steps."""
    return dense_mask(mask), start


CONTROLS: dict[str, Control] = {
    "reinitialised": reinitialised,
    "reinitialised-same-sign": reinitialised_same_sign,
    "signed-constant": signed_constant,
    "shuffled-mask": shuffled_mask,
    "random-mask": random_mask,
    "random-ticket": random_ticket,
    "inverted-mask": inverted_mask,
    "dense": dense,
}


# These keep weights that the ticket lost, so they need values for them.
NEED_PRUNED_WEIGHTS = frozenset({"shuffled-mask", "random-mask", "inverted-mask", "dense"})
# These draw new initial weights.
REDRAWN = frozenset({"reinitialised", "reinitialised-same-sign", "random-ticket"})


def control(name: str) -> Control:
    """The control of a name.

    Raises:
        LotteryError: there is none.
    """
    if name not in CONTROLS:
        raise unknown("control", name, CONTROLS)
    return CONTROLS[name]


def contestant(name: str, mask: Mask, start: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    """A control's mask, and its starting tensors with the pruned weights at 0.

    Args:
        name: of the control.
        mask: the ticket's.
        start: the whole network that the ticket is taken from, with what the ticket's mask prunes.
        draw: what the control draws from.
    """
    mask, start = control(name)(mask, start, draw)
    return mask, apply_mask(mask, start)


def _shuffled(mask: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(mask.numel(), generator=generator)
    return mask.flatten()[order].view(mask.shape)


def check_control(experiment: Experiment, arm: str) -> None:
    """Refuse a control that there is not, or that needs weights which an experiment does not have.

    Raises:
        LotteryError: one of these.
    """
    control(arm)
    if experiment.rewinding.weights == "keep" and arm in NEED_PRUNED_WEIGHTS:
        raise LotteryError(
            f"The control {arm} needs values for weights that were pruned, which rewinding.weights = "
            "keep does not have; use reinitialised, or rewinding.weights = start."
        )
