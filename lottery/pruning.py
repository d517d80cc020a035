"""Pruning to an exact count: ties are broken by position, and nothing is revived."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lottery.experiments import PruningConfig
from lottery.masks import Mask, Tensors
from training.errors import LotteryError


def prune(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], keep: int) -> Mask:
    """The mask that keeps the `keep` highest scores among the weights that are still kept.

    Of equal scores the ones that come first, in the order of the mask's names and then of positions, stay.

    Raises:
        ValueError: more are to be kept than there are.
        LotteryError: a score of a kept weight is not a number.
    """
    alive = torch.cat([m.flatten() for m in mask.values()])
    flat = torch.cat([scores[name].flatten() for name in mask])
    if keep > int(alive.sum()):
        raise ValueError(f"{keep} of {int(alive.sum())} kept weights can't be kept")
    if bool(flat[alive].isnan().any()):
        raise LotteryError(
            "A score of a kept weight is not a number, so the weights can't be ranked; "
            "lower the learning rate or clip gradients with training.optimizer.clip_norm."
        )
    candidates = alive.nonzero().flatten()
    order = torch.sort(flat[alive], descending=True, stable=True).indices[:keep]
    chosen = torch.zeros_like(alive)
    chosen[candidates[order]] = True
    pieces = torch.split(chosen, [m.numel() for m in mask.values()])
    return {name: piece.view(mask[name].shape) for name, piece in zip(mask, pieces, strict=True)}


def keep_count(total: int, rate: float, level: int) -> int:
    """How many of `total` weights, those of the dense network, are kept at a level when `rate` go at each."""
    return round(total * (1.0 - rate) ** level)


def prune_globally(scores: Tensors, mask: Mask, level: int, config: PruningConfig) -> Mask:
    """Rank all weights together."""
    total = sum(m.numel() for m in mask.values())
    return prune(scores, mask, keep_count(total, config.rate, level))


def prune_layerwise(scores: Tensors, mask: Mask, level: int, config: PruningConfig) -> Mask:
    """Rank within each parameter, at the rate of its kind (Frankle & Carbin 2019, section 2 and figure 2)."""
    rates = layer_rates(mask, config)
    pruned: Mask = {}
    for name, m in mask.items():
        keep = keep_count(m.numel(), rates[name], level)
        pruned |= prune({name: scores[name]}, {name: m}, keep)
    return pruned


def layer_rates(mask: Mapping[str, Tensor], config: PruningConfig) -> dict[str, float]:
    """The rate of each parameter: the last one is the output layer, four dimensions make a convolution."""
    *_, output = mask
    kinds = {
        name: "output" if name == output else "convolution" if m.dim() == 4 else "other"
        for name, m in mask.items()
    }
    own = {"output": config.output_rate, "convolution": config.convolution_rate, "other": None}
    rates = {name: own[kind] for name, kind in kinds.items()}
    return {name: config.rate if rate is None else rate for name, rate in rates.items()}


SCOPES: dict[str, Callable[[Tensors, Mask, int, PruningConfig], Mask]] = {
    "global": prune_globally,
    "layerwise": prune_layerwise,
}
