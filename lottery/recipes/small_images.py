"""Published recipes made small: two levels of a narrow network on a part of the data, in minutes; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.recipes.deep import DEEP_RECIPES
from lottery.recipes.lth import LTH_RECIPES
from lottery.recipes.searched_images import SEARCHED_RECIPES
from lottery.recipes.small_changes import (
    Sizes,
    changed_optimizer,
    changed_rate,
    changed_schedule,
    changed_sizes,
    quieter,
    shortened,
    source_of,
)
from training.configs import DataConfig, OptimizerConfig, TrainingConfig
from training.steps import Steps

IMAGES = {"validation": 400, "train": 4000, "test": 800}
STEPS = 300
BATCH = 32
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

    Warm-up and milestones keep their places in the training, a cosine falls to 0 once, and a late rewind step stays
    late. The scope, the rates of convolutions and output layer and the augmentation are the recipe's own; the rate of
    the rest is a half. The source says what changed.

    Args:
        full: the recipe.
        size: of the network, over the recipe's own.
        optimizer: in place of the recipe's, where that would learn nothing in so few steps.
        steps: of each training.
    """
    late = full.rewinding.step != Steps()
    made = dataclasses.replace(
        full,
        name=f"{full.name}-small",
        seeds=(0, 1, 2),
        levels=2,
        arms=(),
        network=NetworkConfig(name=full.network.name, size={**quieter(full.network.size), **size}),
        data=DataConfig(name=full.data.name, options={**full.data.options, **IMAGES}),
        training=TrainingConfig(
            steps=Steps(iterations=steps),
            batch_size=BATCH,
            eval_every=Steps(iterations=steps // 3),
            optimizer=optimizer or full.training.optimizer,
            schedule=shortened(full.training, steps),
        ),
        pruning=dataclasses.replace(full.pruning, rate=0.5),
        rewinding=RewindingConfig(
            step=LATE if late else Steps(),
            weights=full.rewinding.weights,
            schedule=full.rewinding.schedule,
        ),
    )
    return dataclasses.replace(made, source=source_of(full, _changes(full, made)))


def _changes(full: Experiment, made: Experiment) -> list[str]:
    """What is otherwise in a small recipe, in words."""
    how, before = made.training, full.training
    found = [
        *changed_sizes(full.network, made.network),
        f"{IMAGES['train']:,} training, {IMAGES['validation']} validation and {IMAGES['test']} test "
        "images",
        f"{how.steps.iterations} steps of {how.batch_size} images, validated every "
        f"{how.eval_every.iterations}, in place of {before.steps} of {before.batch_size}",
        *changed_optimizer(before.optimizer, how.optimizer),
        *changed_schedule(before.schedule),
        f"{made.levels} levels in place of {full.levels}",
        changed_rate(full.pruning, made.pruning),
    ]
    if made.rewinding.step != full.rewinding.step:
        found.append(f"rewinding to {made.rewinding.step} in place of {full.rewinding.step}")
    if len(made.seeds) != len(full.seeds):
        found.append(f"{len(made.seeds)} seeds in place of {len(full.seeds)}")
    if full.arms:
        found.append("no controls")
    return found


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
