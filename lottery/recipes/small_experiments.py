"""Experiments made small: a few levels of a narrow network on a part of the data, in minutes; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from lottery.experiments import Experiment, NetworkConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_changes import small_name, source_of_small
from nas.catalog.catalog import entry
from nas.catalog.sizes import SizeValue
from training.configs import (
    AveragingConfig,
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps

SEEDS = (0, 1, 2)
RATE = 0.5
# So few validations trigger nothing that waits for five.
PATIENCE = 2
FINETUNE = Steps(iterations=120)
# In words, for summaries.
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a recipe is cut down to, so that it takes minutes on two cores.

    Attributes:
        examples: what the data consist of, for summaries.
        data: options of the data, over the recipe's own.
        data_set: in place of the recipe's, one that needs no files, with no options but these; "" for the recipe's.
        size: of the network, over the recipe's own.
        noise: the most that a probability of dropping may be: so short a training has no time for the noise of a long
            one.
        seeds: of the tickets.
        levels: of pruning.
        arms: controls.
        margin: in place of the recipe's; None for that.
        steps: of each training, in iterations.
        eval_every: in iterations.
        batch_size: examples, or columns of text.
        optimizer: in place of the recipe's, where that would learn nothing in so few steps; None for the recipe's.
        rewind_step: in place of a late one, in iterations.
    """

    examples: str
    data: Mapping[str, int]
    data_set: str = ""
    size: Mapping[str, SizeValue] = field(default_factory=dict)
    noise: float
    seeds: tuple[int, ...] = SEEDS
    levels: int
    arms: tuple[str, ...] = ()
    margin: float | None = None
    steps: int
    eval_every: int
    batch_size: int
    optimizer: OptimizerConfig | None = None
    rewind_step: int


IMAGES = Scale(
    examples="images",
    data={"validation": 400, "train": 4000, "test": 800},
    noise=0.1,
    levels=2,
    steps=300,
    eval_every=100,
    batch_size=32,
    rewind_step=10,
)
TEXT = Scale(
    examples="words",
    data={"least_count": 10, "train": 60_000, "validation": 8_000, "test": 8_000, "sequence": 20},
    noise=0.05,
    levels=3,
    arms=("reinitialised", "random-mask"),
    steps=600,
    eval_every=40,
    batch_size=20,
    rewind_step=20,
)


def with_small(summary: str, full: Experiment, scale: Scale) -> Recipe[Experiment]:
    """A recipe with its small one.

    Args:
        summary: of the recipe, one line for lists.
        full: its experiment.
        scale: of the small one.
    """
    cut = "" if scale.data_set else f"{scale.data['train']:,} "
    made = (
        f"`{full.name}` made small: {_NUMBERS[scale.levels]} levels, {scale.steps} steps, "
        f"{cut}{scale.examples}, minutes"
    )
    small = Recipe(summary=made, config=small_experiment(full, scale))
    return Recipe(summary=summary, config=full, small=small)


def small_experiment(full: Experiment, scale: Scale) -> Experiment:
    """A recipe's training, pruning and rewinding at a size that takes minutes on two cores.

    Warm-up and milestones keep their shares of the training, a cosine falls to 0 once, and a late rewind step stays
    late. The scope, rates of single kinds of layers, the switch of embeddings, augmentation and regularisation are the
    recipe's own. The source says what changed.
    """
    late = full.rewinding.step != Steps()
    training = dataclasses.replace(
        full.training,
        steps=Steps(iterations=scale.steps),
        eval_every=Steps(iterations=scale.eval_every),
        batch_size=scale.batch_size,
        optimizer=scale.optimizer or full.training.optimizer,
        schedule=_short_schedule(full.training, scale.steps),
        averaging=_quick_averaging(full.training.averaging),
    )
    small = dataclasses.replace(
        full,
        name=small_name(full.name),
        seeds=scale.seeds,
        levels=scale.levels,
        arms=scale.arms,
        margin=full.margin if scale.margin is None else scale.margin,
        network=dataclasses.replace(
            full.network, size={**_with_little_dropout(full.network, scale.noise), **scale.size}
        ),
        data=_small_data(full.data, scale),
        training=training,
        pruning=dataclasses.replace(full.pruning, rate=RATE),
        rewinding=dataclasses.replace(
            full.rewinding, step=Steps(iterations=scale.rewind_step) if late else Steps()
        ),
    )
    source = source_of_small(_with_all_sizes(full), _with_all_sizes(small))
    return dataclasses.replace(small, source=source)


def _small_data(data: DataConfig, scale: Scale) -> DataConfig:
    if scale.data_set:
        return DataConfig(name=scale.data_set, options=dict(scale.data))
    return dataclasses.replace(data, options={**data.options, **scale.data})


def _with_little_dropout(network: NetworkConfig, most: float) -> dict[str, SizeValue]:
    """The sizes of a recipe's network with every probability of dropping at most `most`.

    They include those of the catalog, where it has some that are on.
    """
    published = {k: v for k, v in entry(network.name).defaults.items() if isinstance(v, float)}
    size = {**(published if any(published.values()) else {}), **network.size}
    return {k: min(v, most) if isinstance(v, float) else v for k, v in size.items()}


def _short_schedule(training: TrainingConfig, steps: int) -> ScheduleConfig:
    """The schedule over fewer steps: each step at the same share of the training, no restarts."""
    schedule = training.schedule

    def moved(step: Steps) -> Steps:
        # A recipe never mixes epochs and iterations, so that one epoch counts as one step here.
        return Steps(iterations=round(step.count(1) * steps / training.steps.count(1)))

    return ScheduleConfig(
        name=schedule.name,
        warmup=moved(schedule.warmup),
        milestones=tuple(map(moved, schedule.milestones)),
        factor=schedule.factor,
    )


def _quick_averaging(averaging: AveragingConfig) -> AveragingConfig:
    """An averaging, if there is one, that is triggered within few validations."""
    if averaging.trigger == "never":
        return averaging
    finetune = FINETUNE if averaging.finetune != Steps() else Steps()
    return dataclasses.replace(averaging, patience=PATIENCE, finetune=finetune)


def _with_all_sizes(experiment: Experiment) -> Experiment:
    """The same experiment, the catalog's sizes of its network written out."""
    network = experiment.network
    size = {**entry(network.name).defaults, **network.size}
    return dataclasses.replace(experiment, network=dataclasses.replace(network, size=size))
