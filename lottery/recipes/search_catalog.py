"""Searches by name, and by method and space; torch-free."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lottery.recipes.demo import DEMO_SEARCH
from lottery.recipes.recipe import Recipe, by_name, small_recipes
from lottery.recipes.searches import (
    ENAS_MACRO,
    ENAS_MICRO,
    ENAS_RNN,
    NAO_RNN,
    NAO_WS_CELL,
    PUBLISHED_SEARCHES,
)
from lottery.recipes.small_searches import CELLS, LAYERS, RECURRENT, SearchScale, with_small
from nas.search.configs import SearchConfig
from nas.search.methods import METHODS, no_settings
from training.configs import DataConfig
from training.errors import chosen

SEARCHES: dict[str, Recipe[SearchConfig]] = by_name(
    [*PUBLISHED_SEARCHES, DEMO_SEARCH, *small_recipes(PUBLISHED_SEARCHES)]
)


def search_recipe(name: str) -> SearchConfig:
    """The search of a recipe.

    Raises:
        LotteryError: there is no such search recipe.
    """
    return chosen("search recipe", name, SEARCHES, "lottery search").config


@dataclass(frozen=True, kw_only=True)
class EnasSearch:
    """The search of a space by ENAS, in whose place other methods that have no published one there come.

    Attributes:
        recipe: of the search.
        scale: of its small one.
        named: the space in the names of searches.
    """

    recipe: Recipe[SearchConfig]
    scale: SearchScale
    named: str


# By space.
BY_ENAS = {
    "cell": EnasSearch(recipe=ENAS_MICRO, scale=CELLS, named="micro"),
    "layers": EnasSearch(recipe=ENAS_MACRO, scale=LAYERS, named="macro"),
    "recurrent": EnasSearch(recipe=ENAS_RNN, scale=RECURRENT, named="rnn"),
}
# What others than ENAS published, by method and space.
BY_OTHERS = {("nao", "cell"): NAO_WS_CELL, ("nao", "recurrent"): NAO_RNN}


def _in_place_of_enas(method: str, enas: EnasSearch) -> Recipe[SearchConfig]:
    """Another strategy with ENAS's training of the shared weights, so that only the strategy differs."""
    full = enas.recipe
    config = dataclasses.replace(
        full.config,
        name=f"{method}-{enas.named}-search",
        source=f"this project: {method} in place of ENAS, all else as in {full.name}: {full.config.source}",
        method=method,
        **no_settings(),
    )
    return with_small(f"`{full.name}` with {method} in place of ENAS", config, enas.scale)


def _usual(method: str, space: str) -> Recipe[SearchConfig]:
    if method == BY_ENAS[space].recipe.config.method:
        return BY_ENAS[space].recipe
    return BY_OTHERS.get((method, space)) or _in_place_of_enas(method, BY_ENAS[space])


# What `lottery search METHOD --space SPACE` begins with.
USUAL: dict[tuple[str, str], Recipe[SearchConfig]] = {
    (method, space): _usual(method, space) for method in METHODS for space in BY_ENAS
}


def usual_search(method: str, space: str, data: str | None) -> SearchConfig:
    """The search of a method in a space: its recipe, on other data where one is named.

    On the data of the small recipe it is the small one.

    Args:
        method: a name of `METHODS`.
        space: a name of `nas.search.spaces.SPACES`.
        data: name of a data set; None for the recipe's.

    Raises:
        LotteryError: there is no recipe of the method for the space.
    """
    by_space = {where: recipe for (own, where), recipe in USUAL.items() if own == method}
    usual = chosen(f"recipe of {method} for the space", space, by_space, "lottery search")
    small = usual.small
    config = small.config if small is not None and data == small.config.data.name else usual.config
    if data in (None, config.data.name):
        return config
    return dataclasses.replace(
        config, name=f"{config.name}-{data}", data=DataConfig(name=str(data))
    )
