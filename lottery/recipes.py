"""Recipes: named functions that return an experiment; torch-free."""

from __future__ import annotations

from collections.abc import Callable

from lottery.experiments import Experiment, NetworkConfig, PruningConfig, RewindingConfig
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.errors import unknown
from training.steps import Steps


def lth_lenet() -> Experiment:
    """LeNet-300-100 on MNIST exactly as in Frankle & Carbin 2019 (arXiv 1803.03635), section 2 and figure 2."""
    return Experiment(
        name="lth-lenet",
        source="Frankle & Carbin 2019, figure 2: Adam 1.2e-3, batches of 60, 50,000 iterations, "
        "20 % per layer and 10 % of the output layer per level, reset to iteration 0, 5 trials; "
        "5,000 validation images, looked at every 100 iterations",
        seeds=(0, 1, 2, 3, 4),
        levels=20,
        arms=("reinitialised",),
        network=NetworkConfig(name="lenet-300-100"),
        data=DataConfig(name="mnist", options={"validation": 5000}),
        training=TrainingConfig(
            steps=Steps(iterations=50_000),
            batch_size=60,
            eval_every=Steps(iterations=100),
            optimizer=OptimizerConfig(name="adam", learning_rate=1.2e-3),
        ),
        pruning=PruningConfig(scope="layerwise", rate=0.2, output_rate=0.1),
    )


def lth_lenet_short() -> Experiment:
    """`lth-lenet` with 3 trials of 6,000 iterations, 8 levels."""
    full = lth_lenet()
    return Experiment(
        name="lth-lenet-short",
        source=f"{full.source}; here 3 trials of 6,000 iterations",
        seeds=(0, 1, 2),
        levels=8,
        arms=full.arms,
        network=full.network,
        data=full.data,
        training=TrainingConfig(
            steps=Steps(iterations=6_000),
            batch_size=full.training.batch_size,
            eval_every=full.training.eval_every,
            optimizer=full.training.optimizer,
        ),
        pruning=full.pruning,
    )


DIGITS_ARMS = ("reinitialised", "random-mask")
TEXT_ARMS = ("reinitialised",)


def _digits(name: str, network: NetworkConfig) -> Experiment:
    """A convolutional network on the embedded digits, 5 levels to 10.7 % density."""
    return Experiment(
        name=name,
        source="this project: sizes and steps that train the dense network fully in seconds; the margin "
        "is one point, as one of the 500 test images is 0.2 points",
        seeds=(0, 1, 2),
        levels=5,
        arms=DIGITS_ARMS,
        margin=1.0,
        network=network,
        data=DataConfig(name="digits"),
        training=TrainingConfig(
            steps=Steps(iterations=80),
            batch_size=64,
            eval_every=Steps(iterations=16),
            optimizer=OptimizerConfig(name="adam", learning_rate=1e-2),
            schedule=ScheduleConfig(name="cosine"),
        ),
        pruning=PruningConfig(scope="global", rate=0.36),
        rewinding=RewindingConfig(),
    )


def demo_digits_enas() -> Experiment:
    """The released ENAS micro cell, three small cells, on handwritten digits."""
    size = {"channels": 8, "normal_cells": 1, "reductions": 1}
    return _digits("demo-digits-enas", NetworkConfig(name="enas-micro", size=dict(size)))


def demo_digits_resnet() -> Experiment:
    """A residual network of about as many parameters, on handwritten digits."""
    return _digits(
        "demo-digits-resnet", NetworkConfig(name="resnet", size={"depth": 8, "width": 8})
    )


def _text(name: str, network: NetworkConfig, learning_rate: float) -> Experiment:
    """A language model on Python's documentation, 3 levels to 25 % density."""
    return Experiment(
        name=name,
        source="this project: sizes and steps that take the perplexity well below the unigram's in seconds",
        seeds=(0, 1, 2),
        levels=3,
        arms=TEXT_ARMS,
        network=network,
        data=DataConfig(name="pydoc", options={"least_count": 5, "sequence": 20}),
        training=TrainingConfig(
            steps=Steps(epochs=4),
            batch_size=64,
            eval_every=Steps(iterations=37),
            optimizer=OptimizerConfig(name="adam", learning_rate=learning_rate, clip_norm=1.0),
            schedule=ScheduleConfig(name="cosine"),
        ),
        pruning=PruningConfig(scope="global", rate=0.37),
        rewinding=RewindingConfig(),
    )


def demo_text_enas() -> Experiment:
    """The recurrent cell of 8 nodes that ENAS found, on Python's documentation."""
    size = {
        "hidden": 64,
        "dropout_embedding": 0.02,
        "dropout_input": 0.05,
        "dropout_cell_input": 0.05,
        "dropout_cell_state": 0.05,
        "dropout_output": 0.05,
    }
    return _text("demo-text-enas", NetworkConfig(name="enas-lm", size=dict(size)), 3e-2)


def demo_text_lstm() -> Experiment:
    """One LSTM layer with the dropouts of AWD-LSTM, on Python's documentation."""
    size = {
        "embedding": 64,
        "hidden": 64,
        "layers": 1,
        "dropout_embedding": 0.02,
        "dropout_input": 0.05,
        "dropout_hidden": 0.05,
        "dropout_output": 0.05,
        "dropconnect": 0.1,
    }
    return _text("demo-text-lstm", NetworkConfig(name="awd-lstm", size=dict(size)), 4e-2)


RECIPES: dict[str, Callable[[], Experiment]] = {
    "demo-digits-enas": demo_digits_enas,
    "demo-digits-resnet": demo_digits_resnet,
    "demo-text-enas": demo_text_enas,
    "demo-text-lstm": demo_text_lstm,
    "lth-lenet": lth_lenet,
    "lth-lenet-short": lth_lenet_short,
}
DEMO = ("demo-digits-enas", "demo-digits-resnet", "demo-text-enas", "demo-text-lstm")


def recipe(name: str) -> Experiment:
    """The experiment of a recipe.

    Raises:
        LotteryError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]()
