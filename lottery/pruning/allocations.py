"""How many weights each layer keeps where its share follows from its shape or depth; torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Density, Group, LayerKinds, Shapes
from training.errors import LotteryError, require

# What linear layers keep beside a smart ratio (Su et al. 2020; `linear_keep_ratio` of their release).
LINEAR_SHARE = 0.3


def check_one_rate(config: PruningConfig) -> None:
    """Refuse rates of their own for kinds of layers.

    Raises:
        LotteryError: there are some.
    """
    for name in ("output_rate", "convolution_rate"):
        rate = getattr(config, name)
        require(rate is None, f"pruning.{name}", rate, "left out unless scope is layerwise")


def uniform(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """The same share of each layer, but for the first, which stays whole.

    Evci et al. 2020 (arXiv 1911.11134), section 3 (1).
    """
    share = density(config.rate)
    first, *others = shapes
    return _groups(shapes, {first: 1.0, **dict.fromkeys(others, share)}, whole=(first,))


def erdos_renyi_kernel(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """Each layer's share in proportion to (sum of its dimensions) / (product of them), at most all of it.

    Evci et al. 2020, section 3 (1), equation for kernels, after Mocanu et al. 2018 (arXiv 1707.04780). What a layer
    that stays whole can't take falls to the others in the same proportion, so that the sum is that of the density.
    """
    sizes = _sizes(shapes)
    raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    return _groups(shapes, _capped(raw, sizes, density(config.rate) * sum(sizes.values())))


def smart_ratio(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """The l-th of L layers keeps a share in proportion to (L - l + 1)^2 + (L - l + 1), linear ones 30 %.

    Su et al. 2020 (arXiv 2009.11094), section 5, as for residual networks.
    """
    return _smart(shapes, density(config.rate), kinds, depth_power=0)


def smart_ratio_deep(
    shapes: Shapes, density: Density, config: PruningConfig, kinds: LayerKinds
) -> list[Group]:
    """As `smart_ratio`, each share over l^2: their release (pruner/SmartRatio.py) has it so for VGG."""
    return _smart(shapes, density(config.rate), kinds, depth_power=2)


def _smart(shapes: Shapes, share: float, kinds: LayerKinds, depth_power: int) -> list[Group]:
    sizes, count = _sizes(shapes), len(shapes)
    kernels = [name for name in shapes if name in kinds.convolutions]
    linear = {name: LINEAR_SHARE for name in shapes if name not in kinds.convolutions}
    total = sum(sizes.values())
    least = sum(LINEAR_SHARE * sizes[name] for name in linear)
    most = least + sum(sizes[name] for name in kernels)
    left = share * total - least
    if not least < share * total <= most:
        raise LotteryError(
            f"A smart ratio can't keep {share:.4g} of these weights: linear layers keep {LINEAR_SHARE} of theirs, so "
            f"what is kept is above {least / total:.4g} and at most {most / total:.4g}; choose such densities with "
            "pruning.schedule = listed and pruning.densities, or another pruning.scope."
        )
    rank = {name: count - index for index, name in enumerate(shapes)}
    raw = {
        name: (rank[name] ** 2 + rank[name]) / (count - rank[name] + 1) ** depth_power
        for name in kernels
    }
    scale = left / sum(raw[name] * sizes[name] for name in kernels)
    shares, surplus = dict(linear), 0.0
    # What is beyond the whole of a layer goes to the next ones, as in the release.
    for name in kernels:
        wanted = scale * raw[name] * sizes[name] + surplus
        shares[name] = min(1.0, wanted / sizes[name])
        surplus = max(0.0, wanted - sizes[name])
    return _groups(shapes, shares)


def _capped(raw: Mapping[str, float], sizes: Mapping[str, int], keep: float) -> dict[str, float]:
    """Shares in proportion to raw ones, at most 1, of which `keep` weights are kept in all."""
    shares: dict[str, float] = {}
    while len(shares) < len(raw):
        others = [name for name in raw if name not in shares]
        left = keep - sum(sizes[name] for name in shares)
        scale = left / sum(raw[name] * sizes[name] for name in others)
        full = [name for name in others if scale * raw[name] > 1]
        if not full:
            return shares | {name: scale * raw[name] for name in others}
        shares |= dict.fromkeys(full, 1.0)
    return shares


def _groups(
    shapes: Shapes, shares: Mapping[str, float], whole: tuple[str, ...] = ()
) -> list[Group]:
    """Each parameter by itself, in the order of the mask."""
    sizes = _sizes(shapes)
    return [
        Group(names=(n,), keep=round(sizes[n] * shares[n]), is_pruned=n not in whole)
        for n in shapes
    ]


def _sizes(shapes: Shapes) -> dict[str, int]:
    return {name: math.prod(shape) for name, shape in shapes.items()}
