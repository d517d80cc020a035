"""Pruning to an exact count: ties are broken by position, and nothing is revived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lottery.experiments import PruningConfig
from lottery.pruning.masks import Mask, Tensors, count
from training.errors import LotteryError

# Parameters whose weights are ranked together, and the share of them that goes at each level.
Group = tuple[list[str], float]


@dataclass(frozen=True, kw_only=True)
class LayerKinds:
    """What the parameters of a network are to it, by name; see `lottery.forward_pass.trace`.

    Attributes:
        output: those of its output layer, whatever that is a layer of.
        convolutions: kernels of convolutions of any kind.
    """

    output: frozenset[str] = frozenset()
    convolutions: frozenset[str] = frozenset()


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
            "lower the learning rate or clip gradients with training.optimizer.clip_norm."
        )
    if 0 < keep < len(ranked):
        # Selecting the least score that stays takes a fraction of the time of sorting all.
        place = len(ranked) - keep
        least = np.partition(ranked.numpy(), place)[place].item()
        chosen = alive & (flat > least)
        ties = (alive & (flat == least)).nonzero().flatten()
        chosen[ties[: keep - int(chosen.count_nonzero())]] = True
    else:
        chosen = alive if keep else torch.zeros_like(alive)
    pieces = torch.split(chosen, [m.numel() for m in mask.values()])
    return {name: piece.view(mask[name].shape) for name, piece in zip(mask, pieces, strict=True)}


def keep_count(total: int, rate: float, level: int) -> int:
    """How many of `total` weights, those of the dense network, are kept at a level when `rate` go at each."""
    return round(total * (1.0 - rate) ** level)


def prune_level(
    scores: Tensors, mask: Mask, level: int, config: PruningConfig, kinds: LayerKinds
) -> Mask:
    """The mask of a level, from that of the level before: the lowest scores go, as the scope ranks them.

    Args:
        scores: by parameter, for every one that the mask covers.
        mask: of the level before; the new one keeps its order.
        level: 1 for the first pruning.
        config: scope and rates.
        kinds: of the network's parameters.
    """
    pruned = dict(mask)
    for names, rate in SCOPES[config.scope]([*mask], config, kinds):
        ranked = {name: mask[name] for name in names}
        pruned |= prune(scores, ranked, keep_count(count(ranked), rate, level))
    return pruned


def count_at(
    mask: Mapping[str, Tensor], level: int, config: PruningConfig, kinds: LayerKinds
) -> int:
    """How many of all weights that a mask covers are kept at a level."""
    return sum(
        keep_count(count({name: mask[name] for name in names}), rate, level)
        for names, rate in SCOPES[config.scope]([*mask], config, kinds)
    )


def unpruned(names: Iterable[str], config: PruningConfig, kinds: LayerKinds) -> frozenset[str]:
    """The parameters that stay whole at every level: those whose rate is 0."""
    groups = SCOPES[config.scope]([*names], config, kinds)
    return frozenset(name for group, rate in groups if rate == 0 for name in group)


def layer_rates(names: Iterable[str], config: PruningConfig, kinds: LayerKinds) -> dict[str, float]:
    """The rate of each parameter by its kind; an output layer that is a convolution has the output's."""
    own = dict.fromkeys(kinds.convolutions, config.convolution_rate)
    own |= dict.fromkeys(kinds.output, config.output_rate)
    rates = {name: own.get(name) for name in names}
    return {name: config.rate if rate is None else rate for name, rate in rates.items()}


def _global_groups(names: Sequence[str], config: PruningConfig, kinds: LayerKinds) -> list[Group]:
    """All parameters together, or the output layer apart (Frankle & Carbin 2019, section 4, leave it whole)."""
    if config.output_rate is None:
        return [([*names], config.rate)]
    others = [name for name in names if name not in kinds.output]
    output = [name for name in names if name in kinds.output]
    groups: list[Group] = [(others, config.rate), (output, config.output_rate)]
    return [(group, rate) for group, rate in groups if group]


def _layerwise_groups(
    names: Sequence[str], config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """Each parameter by itself, at the rate of its kind (Frankle & Carbin 2019, section 2 and figure 2)."""
    return [([name], rate) for name, rate in layer_rates(names, config, kinds).items()]


# Which weights are ranked together, and at which rate they go.
SCOPES: dict[str, Callable[[Sequence[str], PruningConfig, LayerKinds], list[Group]]] = {
    "global": _global_groups,
    "layerwise": _layerwise_groups,
}
