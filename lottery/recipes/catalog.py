"""Experiments by name; torch-free."""

from __future__ import annotations

from lottery.experiments import Experiment
from lottery.recipes.awd_ablations import AWD_ABLATIONS
from lottery.recipes.deep import DEEP
from lottery.recipes.demo import DEMO
from lottery.recipes.instability import INSTABILITY, RENDA, YU
from lottery.recipes.language import LANGUAGE
from lottery.recipes.lth import LTH
from lottery.recipes.recipe import Recipe, by_name, small_recipes
from lottery.recipes.searched_images import SEARCHED_IMAGES
from lottery.recipes.searched_language import SEARCHED_LANGUAGE
from lottery.recipes.ticket_science import TICKET_SCIENCE
from training.errors import chosen

_IMAGES = (*LTH, *DEEP, *SEARCHED_IMAGES)
_SCIENCE = (*TICKET_SCIENCE, *INSTABILITY, *RENDA, *YU)
RECIPES: dict[str, Recipe[Experiment]] = by_name(
    [
        *DEMO,
        *_IMAGES,
        *small_recipes(_IMAGES),
        *_SCIENCE,
        *small_recipes(_SCIENCE),
        *LANGUAGE,
        *AWD_ABLATIONS,
        *SEARCHED_LANGUAGE,
        *small_recipes((*LANGUAGE, *SEARCHED_LANGUAGE, *AWD_ABLATIONS)),
    ]
)


def recipe(name: str) -> Experiment:
    """The experiment of a recipe.

    Raises:
        LotteryError: there is no recipe of that name.
    """
    return chosen("recipe", name, RECIPES, "lottery recipes").config
