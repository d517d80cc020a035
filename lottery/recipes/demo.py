"""Recipes of the demo: searched and designed networks on embedded data, in seconds; torch-free."""

from __future__ import annotations

from collections.abc import Callable

from lottery.experiments import Experiment, NetworkConfig, PruningConfig, RewindingConfig
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

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
            steps=Steps(iterations=70),
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


DEMO_RECIPES: dict[str, Callable[[], Experiment]] = {
    "demo-digits-enas": demo_digits_enas,
    "demo-digits-resnet": demo_digits_resnet,
    "demo-text-enas": demo_text_enas,
    "demo-text-lstm": demo_text_lstm,
}
