"""Schedules: which density each level has; torch-free."""

from __future__ import annotations

from collections.abc import Callable

from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Schedule
from training.errors import chosen, require


def _geometric(config: PruningConfig, level: int, rate: float) -> float:
    """(1 - rate)^level: Frankle & Carbin 2019, section 1."""
    return float((1.0 - rate) ** level)


def _check_geometric(config: PruningConfig, levels: int) -> None:
    densities, what = list(config.densities), "left out unless schedule is listed or one-shot"
    require(not densities, "pruning.densities", densities, what)


def _listed(config: PruningConfig, level: int, rate: float) -> float:
    """The density of the list."""
    return (1.0, *config.densities)[level] if rate else 1.0


def _check_listed(config: PruningConfig, levels: int) -> None:
    densities = list(config.densities)
    require(
        len(densities) >= levels, "pruning.densities", densities, f"one for each of {levels} levels"
    )
    require(config.rate > 0, "pruning.rate", config.rate, "above 0, as listed densities prune")
    for name in ("output_rate", "convolution_rate"):
        rate = getattr(config, name)
        require(
            not rate, f"pruning.{name}", rate, "0 or left out, as listed densities hold for all"
        )


def _one_shot(config: PruningConfig, level: int, rate: float) -> float:
    """The listed density, or else as many rates at once as there are levels."""
    return (_listed if config.densities else _geometric)(config, level, rate)


def _check_one_shot(config: PruningConfig, levels: int) -> None:
    if config.densities:
        _check_listed(config, levels)


def _before(level: int) -> int:
    return level - 1


def _dense(level: int) -> int:
    return 0


SCHEDULES: dict[str, Schedule] = {
    "geometric": Schedule(
        summary="the same share of what is left goes at each level: pruning.rate",
        source=_before,
        density=_geometric,
        check=_check_geometric,
    ),
    "listed": Schedule(
        summary="the densities of pruning.densities, one for each level",
        source=_before,
        density=_listed,
        check=_check_listed,
    ),
    "one-shot": Schedule(
        summary="each level straight from the dense network, to pruning.densities or else by as many pruning.rate",
        source=_dense,
        density=_one_shot,
        check=_check_one_shot,
    ),
}


def density_at(config: PruningConfig, level: int, way: float = 1.0) -> Callable[[float], float]:
    """At a level, or on the way to it: the rate of some weights -> their kept share.

    Args:
        config: that names the schedule.
        level: of pruning.
        way: the share of the way that is gone, by equal factors, from the level whose networks are pruned.

    Raises:
        LotteryError: there is no such schedule.
    """
    schedule = chosen("schedule", config.schedule, SCHEDULES)

    def density(rate: float) -> float:
        after = schedule.density(config, level, rate)
        if way == 1:
            return after
        before = schedule.density(config, schedule.source(level), rate)
        return float(before * (after / before) ** way)

    return density


def source_level(config: PruningConfig, level: int) -> int:
    """The level whose networks are pruned to reach another one.

    Raises:
        LotteryError: there is no such schedule.
    """
    return chosen("schedule", config.schedule, SCHEDULES).source(level)
