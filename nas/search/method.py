"""What a search method is: what makes its strategy, and what a search's configuration says to it; torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig
    from nas.search.strategy import Strategy


def _nothing(config: SearchConfig) -> None:
    """It has no settings, and nothing to refuse."""


def _any_phases(config: SearchConfig, phases: int) -> None:
    """So many phases will do."""


def _no_rows(config: SearchConfig) -> dict[str, str]:
    return {}


def _one_phase(config: SearchConfig) -> int:
    return 1


def _all_suggestions(config: SearchConfig) -> int:
    return config.derive.sampled


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to search.

    Attributes:
        title: how sentences name it.
        summary: what it does, in one line.
        module: that its strategy is in, where a function `strategy_of` makes it from a configuration; imported only
            then, as it needs torch.
        section: the field of `SearchConfig` that its settings stand in; "" where it has none.
        settings: those in use: what the configuration has in `section`, or what was published for its space.
        needs_sharing: whether it has to have shared weights.
        check: refuses settings that the search can't have, whatever its method, by a `LotteryError`.
        check_phases: refuses a search by this method whose shared weights leave it so many phases, likewise.
        phases: how many the strategy has in a search without shared weights.
        trained_alone: how many architectures a search without shared weights trains alone before its end, at most.
        plan: what it does, by what that is, for whoever reads the plan of a search.
    """

    title: str
    summary: str
    module: str
    section: str = ""
    settings: Callable[[SearchConfig], Any] = _nothing
    needs_sharing: bool = False
    check: Callable[[SearchConfig], None] = _nothing
    check_phases: Callable[[SearchConfig, int], None] = _any_phases
    phases: Callable[[SearchConfig], int] = _one_phase
    trained_alone: Callable[[SearchConfig], int] = _all_suggestions
    plan: Callable[[SearchConfig], dict[str, str]] = _no_rows

    def strategy(self, config: SearchConfig) -> Strategy:
        """Its strategy in a search, before it has learned anything."""
        made: Strategy = import_module(self.module).strategy_of(config)
        return made
