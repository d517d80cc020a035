"""Groups of weights that are ranked together, and what schedules and scopes are that say how many stay; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lottery.pruning.config import PruningConfig

# The shape of each parameter that a mask covers, by name.
Shapes = Mapping[str, tuple[int, ...]]
# Rate of some weights -> their kept share at a level.
Density = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class LayerKinds:
    """What the parameters of a network are to it, by name; see `lottery.forward_pass.trace`.

    Attributes:
        output: those of its output layer, whatever that is a layer of.
        convolutions: kernels of convolutions of any kind.
    """

    output: frozenset[str] = frozenset()
    convolutions: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters whose weights are ranked together.

    Attributes:
        names: of the parameters.
        keep: exact number of their weights that stay, of all that the dense network has.
        is_pruned: whether any of them ever goes, at any level.
    """

    names: tuple[str, ...]
    keep: int
    is_pruned: bool


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How weights are divided into groups.

    Attributes:
        summary: in one line.
        groups: of the parameters, each of which stands in one.
        check: refuses a configuration that has no meaning in this scope.
    """

    summary: str
    groups: Callable[[Shapes, Density, PruningConfig, LayerKinds], list[Group]]
    check: Callable[[PruningConfig], None]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the density falls from level to level.

    Attributes:
        summary: in one line.
        source: level -> the earlier one whose networks are pruned to reach it.
        density: (config, level, rate) -> kept share, after that many prunings, of weights that go at that rate.
        check: refuses a configuration, of so many levels, that the schedule can't follow.
    """

    summary: str
    source: Callable[[int], int]
    density: Callable[[PruningConfig, int, float], float]
    check: Callable[[PruningConfig, int], None]
