"""Published recipes made small: two levels of a narrow network on a part of the data, in minutes; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from lottery.deep_recipes import DEEP_RECIPES
from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.lth_recipes import LTH_RECIPES
from lottery.searched_recipes import SEARCHED_RECIPES
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

Sizes = Mapping[str, int | float | tuple[int, ...]]
IMAGES = {"validation": 400, "train": 4000, "test": 800}
STEPS = 300
BATCH = 32
# A training of a few hundred steps has no time for the noise of one of 600 epochs.
MOST_NOISE = 0.1
LATE = Steps(iterations=10)
ADAM = OptimizerConfig(name="adam", learning_rate=1e-2)
WIDE_ADAM = OptimizerConfig(name="adam", learning_rate=1e-3)
SLOW_ADAM = OptimizerConfig(name="adam", learning_rate=3e-3)


def small(
    full: Experiment,
    size: Sizes,
    *,
    optimizer: OptimizerConfig | None = None,
    steps: int = STEPS,
) -> Experiment:
    """A recipe's training, pruning and rewinding at a size that takes at most a few minutes on two cores.

    Warm-up and milestones keep their places in the training, a cosine falls to 0 once, a late rewind step stays late,
    and every scope, layer rate and augmentation is the recipe's own.

    Args:
        full: the recipe.
        size: of the network, over the recipe's own.
        optimizer: in place of the recipe's, where that would learn nothing in so few steps.
        steps: of each training.
    """
    late = full.rewinding.step != Steps()
    return dataclasses.replace(
        full,
        name=f"{full.name}-small",
        source=f"this project: {full.name} with fewer channels, {steps} steps of {BATCH} images and 4,000 of the "
        f"training images, to be tried in minutes. {full.name} is from {full.source}",
        seeds=(0, 1, 2),
        levels=2,
        arms=(),
        network=NetworkConfig(name=full.network.name, size={**_quieter(full.network.size), **size}),
        data=DataConfig(name=full.data.name, options={**full.data.options, **IMAGES}),
        training=TrainingConfig(
            steps=Steps(iterations=steps),
            batch_size=BATCH,
            eval_every=Steps(iterations=steps // 3),
            optimizer=optimizer or full.training.optimizer,
            schedule=_shorter(full.training, steps),
        ),
        pruning=dataclasses.replace(full.pruning, rate=0.5),
        rewinding=RewindingConfig(
            step=LATE if late else Steps(),
            weights=full.rewinding.weights,
            schedule=full.rewinding.schedule,
        ),
    )


def _quieter(size: Sizes) -> dict[str, int | float | tuple[int, ...]]:
    """Sizes with every probability of dropping at most `MOST_NOISE`."""
    return {k: min(v, MOST_NOISE) if isinstance(v, float) else v for k, v in size.items()}


def _shorter(training: TrainingConfig, steps: int) -> ScheduleConfig:
    """The schedule over fewer steps: each place at the same share of the training, no restarts."""
    # Epochs and iterations are never mixed in a recipe, so that one epoch may count as one step here.
    ratio = steps / training.steps.count(1)

    def moved(place: Steps) -> Steps:
        return Steps(iterations=round(place.count(1) * ratio))

    schedule = training.schedule
    return ScheduleConfig(
        name=schedule.name,
        warmup=moved(schedule.warmup),
        milestones=tuple(map(moved, schedule.milestones)),
        factor=schedule.factor,
    )


def _made(
    name: str,
    make: Callable[[], Experiment],
    size: Sizes,
    optimizer: OptimizerConfig | None = None,
    steps: int = STEPS,
) -> Callable[[], Experiment]:
    """The small recipe of a recipe, as a function with a docstring of its own, which lists show."""

    def make_small() -> Experiment:
        return small(make(), size, optimizer=optimizer, steps=steps)

    make_small.__doc__ = f"`{name}` made small: two levels, {steps} steps, 4,000 images, minutes."
    return make_small


CELLS: Sizes = {"channels": 4, "normal_cells": 1, "reductions": 2}
LAYERS: Sizes = {"channels": 4}
RESIDUAL: Sizes = {"depth": 8, "width": 8}
NARROW: Sizes = {"width": 8}
HEADS: Sizes = {"widths": (64, 64)}

_DESIGNED: dict[str, tuple[Sizes, OptimizerConfig | None, int]] = {
    "lth-lenet": ({}, None, 600),
    "lenet-5-mnist": ({}, None, 600),
    "lth-conv2": ({"blocks": (8,), **HEADS}, SLOW_ADAM, STEPS),
    "lth-conv4": ({"blocks": (8, 16), **HEADS}, SLOW_ADAM, STEPS),
    "lth-conv6": ({"blocks": (8, 16, 32), **HEADS}, SLOW_ADAM, STEPS),
    "lth-resnet18": (RESIDUAL, None, STEPS),
    "lth-vgg19": (NARROW, SLOW_ADAM, STEPS),
    "lmc-resnet20": (RESIDUAL, None, STEPS),
    "lmc-vgg16": (NARROW, SLOW_ADAM, STEPS),
    "renda-resnet20": (RESIDUAL, None, STEPS),
    "torchvision-resnet18-cifar10": ({}, WIDE_ADAM, 60),
}
# Searched networks are deep and their operations many: they take fewer steps.
MICRO = (CELLS, ADAM, 100)
MACRO = (LAYERS, ADAM, 60)
_FULL = {**LTH_RECIPES, **DEEP_RECIPES}

SMALL_RECIPES: dict[str, Callable[[], Experiment]] = {
    **{f"{name}-small": _made(name, _FULL[name], *changes) for name, changes in _DESIGNED.items()},
    **{
        f"{name}-small": _made(name, make, *(MACRO if "macro" in name else MICRO))
        for name, make in SEARCHED_RECIPES.items()
    },
}
