"""Published language recipes made small: a narrow network on a part of the text, in minutes; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.recipes.awd_ablations import BASE, ablated
from lottery.recipes.language import ARMS, LANGUAGE_RECIPES
from lottery.recipes.searched_language import SEARCHED_LANGUAGE_RECIPES
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
from nas.catalog.catalog import entry
from training.configs import AveragingConfig, DataConfig, OptimizerConfig
from training.steps import Steps

TEXT = {"least_count": 10, "train": 60_000, "validation": 8_000, "test": 8_000, "sequence": 20}
STEPS = 600
# Of searched cells, whose operations are many.
CELL_STEPS = 400
# A training of a few hundred steps has no time for more.
MOST_NOISE = 0.05
BATCH = 20
LOOK = Steps(iterations=40)
LATE = Steps(iterations=20)
# In so few looks nothing triggers that waits for five.
PATIENCE = 2
FINETUNE = Steps(iterations=120)
# At the published 20 to 30 a training diverges or idles for its first hundreds of steps.
SGD_RATE = 10.0
# Of ENAS's training, whose rate falls.
FALLING_RATE = 20.0
CLIP_NORM = 0.25
ADAM_RATE = 3e-2


def small_text(
    full: Experiment, size: Sizes, steps: int = STEPS, sgd_rate: float = SGD_RATE
) -> Experiment:
    """A language model's training, pruning and rewinding at a size that takes minutes on two cores.

    Regularisation, varied windows, averaging and its fine-tuning, weight decay, scope and the switch of embeddings are
    the recipe's own; the milestones of a schedule keep their places in the training. The source says what changed.

    Args:
        full: the recipe.
        size: of the network, over the recipe's own.
        steps: of each training.
        sgd_rate: the learning rate where the optimizer is SGD.
    """
    training = full.training
    made = dataclasses.replace(
        full,
        name=f"{full.name}-small",
        levels=3,
        arms=ARMS,
        network=dataclasses.replace(full.network, size={**_quieter(full.network), **size}),
        data=DataConfig(name=full.data.name, options={**full.data.options, **TEXT}),
        training=dataclasses.replace(
            training,
            steps=Steps(iterations=steps),
            batch_size=BATCH,
            eval_every=LOOK,
            optimizer=_optimizer(training.optimizer, sgd_rate),
            schedule=shortened(training, steps),
            averaging=_averaging(training.averaging),
        ),
        pruning=dataclasses.replace(full.pruning, rate=0.5),
        rewinding=RewindingConfig(step=LATE),
    )
    return dataclasses.replace(made, source=source_of(full, _changes(full, made)))


def _quieter(network: NetworkConfig) -> dict[str, int | float | tuple[int, ...]]:
    """The sizes of a recipe's network, each of its probabilities of dropping at most `MOST_NOISE`."""
    noise = {k: v for k, v in entry(network.name).defaults.items() if isinstance(v, float)}
    return quieter({**noise, **network.size}, MOST_NOISE)


def _optimizer(full: OptimizerConfig, sgd_rate: float) -> OptimizerConfig:
    if full.name == "sgd":
        return dataclasses.replace(full, learning_rate=sgd_rate, clip_norm=CLIP_NORM)
    return dataclasses.replace(full, learning_rate=ADAM_RATE)


def _averaging(full: AveragingConfig) -> AveragingConfig:
    if full.trigger == "never":
        return full
    finetune = FINETUNE if full.finetune != Steps() else Steps()
    return dataclasses.replace(full, patience=PATIENCE, finetune=finetune)


def _changes(full: Experiment, made: Experiment) -> list[str]:
    """What is otherwise in a small recipe, in words."""
    how, before = made.training, full.training
    return [
        *changed_sizes(full.network, made.network),
        f"{TEXT['train']:,} training, {TEXT['validation']:,} validation and {TEXT['test']:,} test "
        f"tokens, words known that stand {TEXT['least_count']} times",
        *_changed_windows(full),
        f"{how.steps.iterations} steps of {how.batch_size} columns, validated every "
        f"{how.eval_every.iterations}, in place of {before.steps} of {before.batch_size}",
        *changed_optimizer(before.optimizer, how.optimizer),
        *changed_schedule(before.schedule),
        *_changed_averaging(before.averaging, how.averaging),
        f"{made.levels} levels in place of {full.levels}",
        changed_rate(full.pruning, made.pruning),
        f"rewinding to {made.rewinding.step} in place of {full.rewinding.step}",
        *([] if full.arms == made.arms else [f"controls {', '.join(made.arms)}"]),
    ]


def _changed_windows(full: Experiment) -> list[str]:
    before, now = full.data.options["sequence"], TEXT["sequence"]
    return [] if before == now else [f"windows of {now} in place of {before}"]


def _changed_averaging(full: AveragingConfig, made: AveragingConfig) -> list[str]:
    found = []
    if made.patience != full.patience:
        found.append(f"averaging with patience {made.patience} in place of {full.patience}")
    if made.finetune != full.finetune:
        found.append(f"fine-tuning for {made.finetune} in place of {full.finetune}")
    return found


def _made(
    make: Callable[[], Experiment],
    size: Sizes,
    steps: int = STEPS,
    sgd_rate: float = SGD_RATE,
) -> Callable[[], Experiment]:
    """The small recipe of a recipe, as a function with a docstring of its own, which lists show."""

    def make_small() -> Experiment:
        return small_text(make(), size, steps, sgd_rate)

    make_small.__doc__ = f"`{make().name}` made small: three levels, {steps} steps, {TEXT['train']:,} words, minutes."
    return make_small


STACK: Sizes = {"embedding": 64, "hidden": 128, "layers": 2}
ORDERED: Sizes = {**STACK, "chunk": 8}
SHALLOW: Sizes = {"embedding": 96, "hidden": 96}
CELL: Sizes = {"hidden": 64}
_DESIGNED: dict[str, Sizes] = {
    "awd-lstm-ptb": STACK,
    "awd-lstm-wt2": STACK,
    "on-lstm-ptb": ORDERED,
    "lstm-ptb": SHALLOW,
    "gru-ptb": SHALLOW,
    "yu20-lstm-wt2": {"hidden": 96},
}
_CELL_RATES = {"enas-rnn-ptb": FALLING_RATE, "random-rnn-ptb": FALLING_RATE}

_SMALL = {
    **{f"{name}-small": _made(LANGUAGE_RECIPES[name], size) for name, size in _DESIGNED.items()},
    **{
        f"{name}-small": _made(make, CELL, CELL_STEPS, _CELL_RATES.get(name, SGD_RATE))
        for name, make in SEARCHED_LANGUAGE_RECIPES.items()
    },
}
SMALL_LANGUAGE_RECIPES: dict[str, Callable[[], Experiment]] = {
    **_SMALL,
    **ablated(_SMALL[f"{BASE}-small"], "-small"),
}
