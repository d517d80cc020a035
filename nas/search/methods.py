"""Every search method by name, and what a search's configuration says of its own; torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.search.enas_method import ENAS
from nas.search.method import Method
from nas.search.nao_method import NAO
from training.errors import chosen

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig


METHODS: dict[str, Method] = {
    "enas": ENAS,
    "nao": NAO,
    "random": Method(
        title="random search",
        summary="architectures are drawn from the whole space (Li & Talwalkar 2019)",
        module="nas.search.random_search",
    ),
}
# What every other method must beat.
BASELINE = "random"


def learning() -> dict[str, Method]:
    """The methods that learn from rewards: all but the baseline."""
    return {name: method for name, method in METHODS.items() if name != BASELINE}


def method_of(config: SearchConfig) -> Method:
    """The method of a search.

    Raises:
        LotteryError: there is none of that name.
    """
    return chosen("search method", config.method, METHODS)


def no_settings() -> dict[str, Any]:
    """None for the settings of every method, by the fields of `SearchConfig` that they stand in."""
    return {method.section: None for method in METHODS.values() if method.section}


def own_settings(config: SearchConfig) -> dict[str, Any]:
    """The settings in use of a search's own method, by their field; None for those of the others."""
    method = method_of(config)
    own = {method.section: method.settings(config)} if method.section else {}
    return {**no_settings(), **own}


def all_settings(config: SearchConfig) -> dict[str, Any]:
    """What the settings of every method would be in a search, by their field."""
    return {
        method.section: method.settings(config) for method in METHODS.values() if method.section
    }


def phases_of(config: SearchConfig) -> int:
    """How many phases a search has, its steps resolved: with shared weights, until these have taken all their steps."""
    if config.shared is not None:
        return -(-config.shared.steps.iterations // config.phase.iterations)
    return method_of(config).phases(config)
