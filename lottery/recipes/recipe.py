"""Recipes: experiments and searches that have a name and a summary; torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lottery.experiments import Experiment
from nas.search.configs import SearchConfig

Config = TypeVar("Config", Experiment, SearchConfig)


@dataclass(frozen=True, kw_only=True)
class Recipe(Generic[Config]):
    """An experiment or a search that a user can name.

    Attributes:
        summary: one line for lists.
        config: what is carried out; the recipe has its name.
        small: the same at a size that takes minutes on two cores; None where there is none.
    """

    summary: str
    config: Config
    small: Recipe[Config] | None = None

    @property
    def name(self) -> str:
        """What a user types."""
        return self.config.name


def small_recipes(recipes: Iterable[Recipe[Config]]) -> list[Recipe[Config]]:
    """The small recipes of those that have one."""
    return [recipe.small for recipe in recipes if recipe.small is not None]


def by_name(recipes: Iterable[Recipe[Config]]) -> dict[str, Recipe[Config]]:
    """A table of recipes; their names are distinct."""
    return {recipe.name: recipe for recipe in recipes}
