"""Recipes: named functions that return an experiment; torch-free."""

from __future__ import annotations

from collections.abc import Callable

from lottery.awd_ablations import BASE, ablated
from lottery.deep_recipes import DEEP_RECIPES
from lottery.demo_recipes import DEMO_RECIPES
from lottery.experiments import Experiment
from lottery.language_recipes import LANGUAGE_RECIPES
from lottery.lth_recipes import LTH_RECIPES
from lottery.searched_language_recipes import SEARCHED_LANGUAGE_RECIPES
from lottery.searched_recipes import SEARCHED_RECIPES
from lottery.small_language_recipes import SMALL_LANGUAGE_RECIPES
from lottery.small_recipes import SMALL_RECIPES
from training.errors import unknown

RECIPES: dict[str, Callable[[], Experiment]] = {
    **DEMO_RECIPES,
    **LTH_RECIPES,
    **DEEP_RECIPES,
    **SEARCHED_RECIPES,
    **SMALL_RECIPES,
    **LANGUAGE_RECIPES,
    **ablated(LANGUAGE_RECIPES[BASE]),
    **SEARCHED_LANGUAGE_RECIPES,
    **SMALL_LANGUAGE_RECIPES,
}
DEMO = tuple(DEMO_RECIPES)


def recipe(name: str) -> Experiment:
    """The experiment of a recipe.

    Raises:
        LotteryError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES, "lottery recipes")
    return RECIPES[name]()
