"""AWD-LSTM without each of its strategies in turn, as in table 4 of Merity et al. 2018; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from lottery.experiments import Experiment
from nas.catalog.catalog import entry
from nas.catalog.sizes import SizeValue
from training.configs import AveragingConfig, TrainingConfig
from training.steps import Steps
from training.tasks.settings import TextTraining

BASE = "awd-lstm-ptb"


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One row of the table.

    Attributes:
        what: is otherwise, in words.
        published: perplexity on the Penn Treebank that the paper has for it, validation / test.
        change: an AWD-LSTM's recipe -> the same without the strategy.
    """

    what: str
    published: str
    change: Callable[[Experiment], Experiment]


def _trained(recipe: Experiment, change: Callable[[TrainingConfig], TrainingConfig]) -> Experiment:
    return dataclasses.replace(recipe, training=change(recipe.training))


def _sized(recipe: Experiment, name: str, value: SizeValue) -> Experiment:
    network = recipe.network
    return dataclasses.replace(
        recipe, network=dataclasses.replace(network, size={**network.size, name: value})
    )


def _without_finetuning(training: TrainingConfig) -> TrainingConfig:
    steps, last = training.steps, training.averaging.finetune
    return dataclasses.replace(
        training,
        steps=Steps(
            epochs=steps.epochs - last.epochs, iterations=steps.iterations - last.iterations
        ),
        averaging=dataclasses.replace(training.averaging, finetune=Steps()),
    )


def _without_averaging(training: TrainingConfig) -> TrainingConfig:
    return dataclasses.replace(training, averaging=AveragingConfig())


def _without_varied_windows(training: TrainingConfig) -> TrainingConfig:
    return dataclasses.replace(
        training, text=dataclasses.replace(training.text, varied_windows=False)
    )


def _without_weight_decay(training: TrainingConfig) -> TrainingConfig:
    return dataclasses.replace(
        training, optimizer=dataclasses.replace(training.optimizer, weight_decay=0.0)
    )


def _without_regularisation(training: TrainingConfig) -> TrainingConfig:
    plain = TextTraining()
    kept = dataclasses.replace(training.text, activation=plain.activation, slowness=plain.slowness)
    return dataclasses.replace(training, text=kept)


def _with_full_embedding(recipe: Experiment) -> Experiment:
    """The embedding, and with it the last layer, as wide as the others."""
    sizes = {**entry(recipe.network.name).defaults, **recipe.network.size}
    return _sized(recipe, "embedding", sizes["hidden"])


ABLATIONS: dict[str, Ablation] = {
    "without-finetuning": Ablation(
        what="no fine-tuning stage, nor its steps",
        published="60.7 / 58.8",
        change=lambda recipe: _trained(recipe, _without_finetuning),
    ),
    "without-averaging": Ablation(
        what="SGD alone for as many steps, and so no fine-tuning of the average",
        published="66.3 / 63.7",
        change=lambda recipe: _trained(recipe, _without_averaging),
    ),
    "without-varied-windows": Ablation(
        what="windows of one length",
        published="61.3 / 58.9",
        change=lambda recipe: _trained(recipe, _without_varied_windows),
    ),
    "without-embedding-dropout": Ablation(
        what="no dropout of words",
        published="65.1 / 62.7",
        change=lambda recipe: _sized(recipe, "dropout_embedding", 0.0),
    ),
    "without-weight-decay": Ablation(
        what="no weight decay",
        published="63.7 / 61.0",
        change=lambda recipe: _trained(recipe, _without_weight_decay),
    ),
    "without-regularisation": Ablation(
        what="neither AR nor TAR",
        published="62.7 / 60.3",
        change=lambda recipe: _trained(recipe, _without_regularisation),
    ),
    "with-full-embedding": Ablation(
        what="an embedding as wide as the hidden layers",
        published="68.0 / 65.6",
        change=_with_full_embedding,
    ),
    "without-dropconnect": Ablation(
        what="no DropConnect",
        published="71.1 / 68.9",
        change=lambda recipe: _sized(recipe, "dropconnect", 0.0),
    ),
}


def _made(
    base: Callable[[], Experiment], name: str, ablation: Ablation
) -> Callable[[], Experiment]:
    """An ablation of a recipe, as a function with a docstring of its own, which lists show."""

    def make() -> Experiment:
        whole = base()
        source = (
            f"{whole.name} with {ablation.what}; the paper's perplexity for that row of its table 4, of a network of "
            f"full size, validation / test: {ablation.published}. {whole.name} is from {whole.source}"
        )
        return dataclasses.replace(ablation.change(whole), name=name, source=source)

    make.__doc__ = f"AWD-LSTM with {ablation.what}: a row of the paper's table 4."
    return make


def ablated(
    base: Callable[[], Experiment], suffix: str = ""
) -> dict[str, Callable[[], Experiment]]:
    """The recipes of all rows, by name.

    Args:
        base: makes the recipe with every strategy.
        suffix: of the names.
    """
    names = {row: f"{BASE}-{row}{suffix}" for row in ABLATIONS}
    return {names[row]: _made(base, names[row], found) for row, found in ABLATIONS.items()}
