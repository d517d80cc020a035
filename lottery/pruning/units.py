"""Units: output channels and neurons, as groups of weights that go together.

A unit's own weights are those that make it; channels that are added together, or that a depthwise kernel turns into one
another, are one unit, with the weights that make each of them. With a unit go the weights that read it, so that nothing
of it arrives anywhere, whatever its biases and its normalisation are. `lottery.pruning.unit_tracing` finds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lottery.pruning.groups import Group, LayerKinds, Shapes
from lottery.pruning.masks import Mask
from lottery.pruning.selection import select
from training.errors import LotteryError


@dataclass(frozen=True, kw_only=True)
class Units:
    """The units of a network that can be pruned, numbered from 0; -1 stands for none.

    Attributes:
        layers: numbers `[n]` of the units that the same parameters make and read, by the name of the first parameter
            that makes them.
        makes: which unit each weight belongs to, by parameter, in its shape.
        reads: which unit each weight is multiplied by, by parameter, in its shape.
        follows: which unit each entry of a bias, or of a batch norm's vectors, belongs to.
        kinds: of the layers.
    """

    layers: Mapping[str, Tensor]
    makes: Mapping[str, Tensor]
    reads: Mapping[str, Tensor]
    follows: Mapping[str, Tensor]
    kinds: LayerKinds

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(numbers) for numbers in self.layers.values())

    @property
    def shapes(self) -> Shapes:
        """Of the layers, each `[n]`, as scopes divide them."""
        return {name: (len(numbers),) for name, numbers in self.layers.items()}


def unit_mask(units: Units, mask: Mask) -> Mask:
    """Which units a mask of weights keeps, by layer: those that have any weight of their own."""
    kept = _sums(units, {name: m.double() for name, m in mask.items()}, mask) > 0
    return {layer: kept[numbers] for layer, numbers in units.layers.items()}


def weight_mask(units: Units, kept: Mask, mask: Mask) -> Mask:
    """The mask of weights, of the parameters of another, that is left of whole layers when these units are kept."""
    # The last entry is that of -1: what belongs to no unit stays.
    stays = torch.ones(units.count + 1, dtype=torch.bool)
    for layer, numbers in units.layers.items():
        stays[numbers] = kept[layer]
    return {
        name: stays[units.makes[name]] & stays[units.reads[name]]
        if name in units.makes
        else torch.ones_like(m)
        for name, m in mask.items()
    }


def unit_scores(units: Units, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """The mean score of each unit's own weights, those that are kept, by layer.

    With magnitudes it is the L1 norm of Li et al. 2017 (arXiv 1608.08710) for each weight, so that units of any size
    can be ranked together.
    """
    weights = _sums(units, {name: m.double() for name, m in mask.items()}, mask)
    mean = _sums(units, scores, mask) / weights
    return {layer: mean[numbers] for layer, numbers in units.layers.items()}


def select_units(
    units: Units, scores: Mapping[str, Tensor], mask: Mask, groups: Sequence[Group]
) -> Mask:
    """The mask whose groups of layers keep exactly as many units as they are to: those of the highest scores.

    The best unit of each layer stays, so that no layer is emptied and the network is not cut.

    Args:
        units: of the network.
        scores: of weights, by parameter.
        mask: of weights, of what is kept so far.
        groups: of layers, counted in units.
    """
    before, ranked = unit_mask(units, mask), unit_scores(units, scores, mask)
    for layer, kept in before.items():
        values = ranked[layer].where(kept, -torch.inf)
        # What is not a number is refused where it is ranked.
        if not bool(values.isnan().any()):
            ranked[layer][values.argmax()] = torch.inf
    left = weight_mask(units, select(ranked, before, groups), mask)
    return {name: m & left[name] for name, m in mask.items()}


def check_counts(groups: Sequence[Group]) -> None:
    """Refuse groups that would keep fewer units than they have layers.

    Raises:
        LotteryError: one would.
    """
    for group in groups:
        if group.keep < len(group.names):
            raise LotteryError(
                f"A level would keep {group.keep} units of {len(group.names)} layers, {group.names[0]} the "
                "first, but each keeps one at least; give fewer levels or a lower pruning.rate."
            )


def _sums(units: Units, values: Mapping[str, Tensor], mask: Mask) -> Tensor:
    """The sum over each unit's own weights that are kept, `[units]`."""
    total = torch.zeros(units.count + 1, dtype=torch.double)
    for name, numbers in units.makes.items():
        if name in mask:
            kept = mask[name]
            total += torch.bincount(numbers[kept] + 1, values[name][kept].double(), units.count + 1)
    return total[1:]
