"""Scopes: over what scores are ranked, and how many weights each group keeps; torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lottery.pruning.allocations import (
    check_one_rate,
    erdos_renyi_kernel,
    smart_ratio,
    smart_ratio_deep,
    uniform,
)
from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Density, Group, LayerKinds, Scope, Shapes
from lottery.pruning.schedules import density_at
from training.errors import chosen, require


def groups_at(
    shapes: Shapes, level: int, config: PruningConfig, kinds: LayerKinds, way: float = 1.0
) -> list[Group]:
    """The groups of a level, as scope and schedule have them.

    Args:
        shapes: of the parameters that are pruned, in the order of the mask.
        level: of pruning, from 1 on.
        config: scope, schedule and rates.
        kinds: of the parameters.
        way: the share of the way to the level that is gone, where that is done in rounds.

    Raises:
        LotteryError: there is no such scope or schedule, or the scope can't keep so many.
    """
    scope = chosen("scope", config.scope, SCOPES)
    return scope.groups(shapes, density_at(config, level, way), config, kinds)


def kept_at(shapes: Shapes, level: int, config: PruningConfig, kinds: LayerKinds) -> int:
    """How many of all weights are kept at a level; all of them at level 0."""
    if level == 0:
        return sum(map(math.prod, shapes.values()))
    return sum(group.keep for group in groups_at(shapes, level, config, kinds))


def never_pruned(shapes: Shapes, config: PruningConfig, kinds: LayerKinds) -> frozenset[str]:
    """The parameters that stay whole at every level."""
    groups = groups_at(shapes, 1, config, kinds)
    return frozenset(name for group in groups if not group.is_pruned for name in group.names)


def _group(names: Iterable[str], rate: float, shapes: Shapes, density: Density) -> Group:
    names = tuple(names)
    total = sum(math.prod(shapes[name]) for name in names)
    return Group(names=names, keep=round(total * density(rate)), is_pruned=rate > 0)


def _all_together(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """All parameters together, or the output layer apart (Frankle & Carbin 2019, section 4, leave it whole)."""
    apart = kinds.output if config.output_rate is not None else frozenset()
    others = _group((n for n in shapes if n not in apart), config.rate, shapes, density)
    output = _group((n for n in shapes if n in apart), config.output_rate or 0.0, shapes, density)
    return [group for group in (others, output) if group.names]


def _check_global(config: PruningConfig) -> None:
    what = "left out unless scope is layerwise"
    rate, output = config.convolution_rate, config.output_rate
    require(rate is None, "pruning.convolution_rate", rate, what)
    whole = f"0, which leaves the output layer whole, or {what}"
    require(output in (None, 0), "pruning.output_rate", output, whole)


def _each_alone(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """Each parameter by itself, at the rate of its kind (Frankle & Carbin 2019, section 2 and figure 2).

    An output layer that is a convolution has the output's.
    """
    rates = dict.fromkeys(kinds.convolutions, config.convolution_rate)
    rates |= dict.fromkeys(kinds.output, config.output_rate)
    own = {name: rates.get(name) for name in shapes}
    return [
        _group([name], config.rate if rate is None else rate, shapes, density)
        for name, rate in own.items()
    ]


def _accept(config: PruningConfig) -> None:
    """Every rate has a meaning where each parameter is ranked by itself."""


SCOPES: dict[str, Scope] = {
    "global": Scope(
        summary="all weights are ranked together, but for an output layer that stays whole",
        groups=_all_together,
        check=_check_global,
    ),
    "layerwise": Scope(
        summary="each parameter by itself, convolutions and output layer at rates of their own",
        groups=_each_alone,
        check=_accept,
    ),
    "uniform": Scope(
        summary="each parameter by itself, all at one density but for the first, which stays whole",
        groups=uniform,
        check=check_one_rate,
    ),
    "erk": Scope(
        summary="each parameter by itself, at Erdos-Renyi densities: the fewer weights a unit has, the more stay",
        groups=erdos_renyi_kernel,
        check=check_one_rate,
    ),
    "smart-ratio": Scope(
        summary="each parameter by itself, convolutions at shares that fall with depth, linear layers at 30 %",
        groups=smart_ratio,
        check=check_one_rate,
    ),
    "smart-ratio-deep": Scope(
        summary="as smart-ratio, with shares that fall faster, as for VGG",
        groups=smart_ratio_deep,
        check=check_one_rate,
    ),
}
