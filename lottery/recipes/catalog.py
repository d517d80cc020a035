"""Recipes: named functions that return an experiment; torch-free."""

from __future__ import annotations

from collections.abc import Callable

from lottery.experiments import Experiment
from lottery.recipes.awd_ablations import BASE, ablated
from lottery.recipes.deep import DEEP_RECIPES
from lottery.recipes.demo import DEMO_RECIPES
from lottery.recipes.language import LANGUAGE_RECIPES
from lottery.recipes.lth import LTH_RECIPES
from lottery.recipes.searched_images import SEARCHED_RECIPES
from lottery.recipes.searched_language import SEARCHED_LANGUAGE_RECIPES
from lottery.recipes.small_images import SMALL_RECIPES
from lottery.recipes.small_language import SMALL_LANGUAGE_RECIPES
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
