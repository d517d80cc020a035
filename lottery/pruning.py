"""Pruning to an exact count: ties are broken by position, and nothing is revived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lottery.experiments import PruningConfig
from lottery.masks import Mask, Tensors, count
from training.errors import LotteryError

# Parameters whose weights are ranked together, and the share of them that goes at each level.
Group = tuple[list[str], float]


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
    """Rank all weights together, but for those of an output layer that stays whole."""
    return _prune_groups(scores, mask, level, _global_groups(mask, config))


def prune_layerwise(scores: Tensors, mask: Mask, level: int, config: PruningConfig) -> Mask:
    """Rank within each parameter, at the rate of its kind (Frankle & Carbin 2019, section 2 and figure 2)."""
    return _prune_groups(scores, mask, level, _layerwise_groups(mask, config))


def count_at(mask: Mapping[str, Tensor], level: int, config: PruningConfig) -> int:
    """How many of all weights that a mask covers are kept at a level."""
    return sum(
        keep_count(count({name: mask[name] for name in names}), rate, level)
        for names, rate in _GROUPS[config.scope](mask, config)
    )


def unpruned(mask: Mapping[str, Tensor], config: PruningConfig) -> frozenset[str]:
    """The parameters that stay whole at every level: those whose rate is 0."""
    groups = _GROUPS[config.scope](mask, config)
    return frozenset(name for names, rate in groups if rate == 0 for name in names)


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


def _global_groups(mask: Mapping[str, Tensor], config: PruningConfig) -> list[Group]:
    """One group of all parameters, or the output layer apart (Frankle & Carbin 2019, section 4, leave it whole)."""
    if config.output_rate is None:
        return [([*mask], config.rate)]
    *others, output = mask
    apart: list[Group] = [([output], config.output_rate)]
    return [(others, config.rate), *apart] if others else apart


def _layerwise_groups(mask: Mapping[str, Tensor], config: PruningConfig) -> list[Group]:
    return [([name], rate) for name, rate in layer_rates(mask, config).items()]


def _prune_groups(scores: Tensors, mask: Mask, level: int, groups: Sequence[Group]) -> Mask:
    """Rank the weights of each group together; the mask keeps its order."""
    pruned = dict(mask)
    for names, rate in groups:
        ranked = {name: mask[name] for name in names}
        pruned |= prune(scores, ranked, keep_count(count(ranked), rate, level))
    return pruned


_GROUPS: dict[str, Callable[[Mapping[str, Tensor], PruningConfig], list[Group]]] = {
    "global": _global_groups,
    "layerwise": _layerwise_groups,
}
SCOPES: dict[str, Callable[[Tensors, Mask, int, PruningConfig], Mask]] = {
    "global": prune_globally,
    "layerwise": prune_layerwise,
}
