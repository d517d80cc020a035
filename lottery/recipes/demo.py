"""The demo: a search, and searched and designed networks on embedded data, in seconds each; torch-free."""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, NetworkConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.searches import ENAS_MICRO
from lottery.recipes.small_searches import CELLS, small_search
from nas.catalog.sizes import SizeValue
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps


def _digits(
    summary: str, name: str, network: str, size: dict[str, SizeValue]
) -> Recipe[Experiment]:
    """A convolutional network on the embedded digits, 5 levels to 10.7 % density."""
    experiment = Experiment(
        name=name,
        source="this project: sizes and steps that train the dense network fully in seconds; the margin "
        "is one point, as one of the 500 test images is 0.2 points",
        seeds=(0, 1, 2),
        levels=5,
        arms=("reinitialised", "random-mask"),
        margin=1.0,
        network=NetworkConfig(name=network, size=size),
        data=DataConfig(name="digits"),
        training=TrainingConfig(
            steps=Steps(iterations=70),
            batch_size=64,
            eval_every=Steps(iterations=16),
            optimizer=OptimizerConfig(name="adam", learning_rate=1e-2),
            schedule=ScheduleConfig(name="cosine"),
        ),
        pruning=PruningConfig(scope="global", rate=0.36),
    )
    return Recipe(summary=summary, config=experiment)


def _text(
    summary: str, name: str, network: str, size: dict[str, SizeValue], learning_rate: float
) -> Recipe[Experiment]:
    """A language model on Python's documentation, 3 levels to 25 % density."""
    experiment = Experiment(
        name=name,
        source="this project: sizes and steps that take the perplexity well below the unigram's in seconds",
        seeds=(0, 1, 2),
        levels=3,
        arms=("reinitialised",),
        network=NetworkConfig(name=network, size=size),
        data=DataConfig(name="pydoc", options={"least_count": 5, "sequence": 20}),
        training=TrainingConfig(
            steps=Steps(epochs=4),
            batch_size=64,
            eval_every=Steps(iterations=37),
            optimizer=OptimizerConfig(name="adam", learning_rate=learning_rate, clip_norm=1.0),
            schedule=ScheduleConfig(name="cosine"),
        ),
        pruning=PruningConfig(scope="global", rate=0.37),
    )
    return Recipe(summary=summary, config=experiment)


DEMO = (
    _digits(
        "The released ENAS micro cell, three small cells, on handwritten digits",
        "demo-digits-enas",
        "enas-micro",
        {"channels": 8, "normal_cells": 1, "reductions": 1},
    ),
    _digits(
        "A residual network of about as many parameters, on handwritten digits",
        "demo-digits-resnet",
        "resnet",
        {"depth": 8, "width": 8},
    ),
    _text(
        "The recurrent cell of 8 nodes that ENAS found, on Python's documentation",
        "demo-text-enas",
        "enas-lm",
        {
            "hidden": 64,
            "dropout_embedding": 0.02,
            "dropout_input": 0.05,
            "dropout_cell_input": 0.05,
            "dropout_cell_state": 0.05,
            "dropout_output": 0.05,
        },
        3e-2,
    ),
    _text(
        "One LSTM layer with the dropouts of AWD-LSTM, on Python's documentation",
        "demo-text-lstm",
        "awd-lstm",
        {
            "embedding": 64,
            "hidden": 64,
            "layers": 1,
            "dropout_embedding": 0.02,
            "dropout_input": 0.05,
            "dropout_hidden": 0.05,
            "dropout_output": 0.05,
            "dropconnect": 0.1,
        },
        4e-2,
    ),
)

DEMO_SEARCH = Recipe(
    summary="ENAS looks for convolutional cells of 2 nodes for handwritten digits",
    config=dataclasses.replace(
        small_search(
            ENAS_MICRO.config,
            # A third of the steps of the small search.
            dataclasses.replace(CELLS, epochs=21, phase=3, random=10, alone_best=3),
        ),
        name="demo-digits-search",
    ),
)
# How the demo retrains what that found: few parameters take more steps, and cost no more for it; the place of weights
# is asked of the published cell.
DEMO_RETRAINING = ("training.steps=140it", "levels=3", 'arms=["reinitialised"]')
