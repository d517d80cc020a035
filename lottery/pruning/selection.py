"""Pruning to an exact count: ties are broken by position, and nothing is revived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lottery.pruning.groups import Group
from lottery.pruning.masks import Mask
from training.errors import LotteryError


def select(scores: Mapping[str, Tensor], mask: Mask, groups: Sequence[Group]) -> Mask:
    """The mask whose groups keep exactly as many weights as they are to: those of the highest scores.

    Args:
        scores: by parameter, for every one that the mask covers.
        mask: of what is kept so far; the new one has its order.
        groups: of all its parameters.
    """
    selected = dict(mask)
    for group in groups:
        selected |= prune(scores, {name: mask[name] for name in group.names}, group.keep)
    return selected


def prune(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], keep: int) -> Mask:
    """The mask that keeps the `keep` highest scores among the weights that are still kept.

    Of equal scores the ones that come first, in the order of the mask's names and then of positions, stay.

    Raises:
        ValueError: more are to be kept than there are.
        LotteryError: a score of a kept weight is not a number.
    """
    alive = torch.cat([m.flatten() for m in mask.values()])
    flat = torch.cat([scores[name].flatten() for name in mask])
    ranked = flat[alive]
    if keep > len(ranked):
        raise ValueError(f"{keep} of {len(ranked)} kept weights can't be kept")
    if bool(ranked.isnan().any()):
        raise LotteryError(
            "A score of a kept weight is not a number, so the weights can't be ranked; "
            "lower the learning rate, clip gradients with training.optimizer.clip_norm, or choose another "
            "pruning.criterion."
        )
    if 0 < keep < len(ranked):
        # Selecting the least score that stays takes a fraction of the time of sorting all.
        rank = len(ranked) - keep
        least = np.partition(ranked.numpy(), rank)[rank].item()
        chosen = alive & (flat > least)
        ties = (alive & (flat == least)).nonzero().flatten()
        chosen[ties[: keep - int(chosen.count_nonzero())]] = True
    else:
        chosen = alive if keep else torch.zeros_like(alive)
    pieces = torch.split(chosen, [m.numel() for m in mask.values()])
    return {name: piece.view(mask[name].shape) for name, piece in zip(mask, pieces, strict=True)}
