"""Searches by name, and by method and space; torch-free."""

from __future__ import annotations

import dataclasses
from typing import Literal

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
from nas.search.controller_config import SpaceName
from training.configs import DataConfig
from training.errors import chosen

Method = Literal["enas", "nao", "random"]
METHODS: tuple[Method, ...] = ("enas", "nao", "random")
SEARCHES: dict[str, Recipe[SearchConfig]] = by_name(
    [*PUBLISHED_SEARCHES, DEMO_SEARCH, *small_recipes(PUBLISHED_SEARCHES)]
)


def search_recipe(name: str) -> SearchConfig:
    """The search of a recipe.

    Raises:
        LotteryError: there is no such search recipe.
    """
    return chosen("search recipe", name, SEARCHES, "lottery search").config


def _in_place_of_enas(
    method: Method, name: str, enas: Recipe[SearchConfig], scale: SearchScale
) -> Recipe[SearchConfig]:
    """Another strategy with ENAS's training of the shared weights, so that only the strategy differs."""
    config = dataclasses.replace(
        enas.config,
        name=name,
        source=f"this project: {method} in place of ENAS, all else as in {enas.name}: {enas.config.source}",
        method=method,
        controller=None,
        nao=None,
    )
    return with_small(f"`{enas.name}` with {method} in place of ENAS", config, scale)


# What `lottery search METHOD --space SPACE` begins with.
USUAL: dict[tuple[Method, SpaceName], Recipe[SearchConfig]] = {
    ("enas", "cell"): ENAS_MICRO,
    ("enas", "layers"): ENAS_MACRO,
    ("enas", "recurrent"): ENAS_RNN,
    ("nao", "cell"): NAO_WS_CELL,
    ("nao", "layers"): _in_place_of_enas("nao", "nao-macro-search", ENAS_MACRO, LAYERS),
    ("nao", "recurrent"): NAO_RNN,
    ("random", "cell"): _in_place_of_enas("random", "random-micro-search", ENAS_MICRO, CELLS),
    ("random", "layers"): _in_place_of_enas("random", "random-macro-search", ENAS_MACRO, LAYERS),
    ("random", "recurrent"): _in_place_of_enas("random", "random-rnn-search", ENAS_RNN, RECURRENT),
}


def usual_search(method: Method, space: SpaceName, data: str | None) -> SearchConfig:
    """The search of a method in a space: its recipe, on other data where one is named.

    On the data of the small recipe it is the small one.

    Args:
        method: enas, nao or random.
        space: cell, layers or recurrent.
        data: name of a data set; None for the recipe's.
    """
    usual = USUAL[method, space]
    small = usual.small
    config = small.config if small is not None and data == small.config.data.name else usual.config
    if data in (None, config.data.name):
        return config
    return dataclasses.replace(
        config, name=f"{config.name}-{data}", data=DataConfig(name=str(data))
    )
