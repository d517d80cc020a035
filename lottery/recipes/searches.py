"""Recipes of searches as published, with their data; torch-free.

What a search ends with is this project's: the published codes print what they sampled and leave the choice to their
user, or choose by the test images. Here the strategy's suggestions are scored on the whole validation split, and 20
architectures drawn at random beside the best five are trained alone, which says what the scores are worth.
"""

from __future__ import annotations

import dataclasses

from lottery.recipes.language import WINDOW
from lottery.recipes.search_sources import (
    ENAS_MACRO_SOURCE,
    ENAS_MICRO_SOURCE,
    ENAS_RNN_SOURCE,
    NAO_CELL_SOURCE,
    NAO_RNN_SOURCE,
    NAO_WS_CELL_SOURCE,
)
from lottery.recipes.small_searches import CELLS, LAYERS, RECURRENT, with_small
from nas.search.configs import SearchConfig
from nas.search.controller_config import CONTROLLERS
from nas.search.derive_config import DeriveConfig
from nas.search.nao_config import NAO_DEFAULTS
from training.configs import (
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps
from training.tasks.settings import TextTraining

CIFAR_10 = DataConfig(name="cifar-10", options={"validation": 5000, "crop_padding": 4, "flip": 1})
PENN_TREEBANK = DataConfig(name="ptb", options={"sequence": WINDOW})


def _sgd(
    rate: float, decay: float, *, nesterov: bool = False, clip: float | None
) -> OptimizerConfig:
    return OptimizerConfig(
        name="sgd",
        learning_rate=rate,
        momentum=0.9,
        nesterov=nesterov,
        weight_decay=decay,
        clip_norm=clip,
    )


def _derive(shared: TrainingConfig, schedule: ScheduleConfig, epochs: int) -> DeriveConfig:
    """20 architectures drawn at random and the best five, trained alone as the shared weights are, for fewer epochs."""
    steps, every = Steps(epochs=epochs), Steps(epochs=1)
    alone = dataclasses.replace(shared, steps=steps, eval_every=every, schedule=schedule)
    return DeriveConfig(random=20, alone=alone, alone_best=5)


def _enas_images(epochs: int, batch_size: int, decay: float) -> TrainingConfig:
    return TrainingConfig(
        steps=Steps(epochs=epochs),
        batch_size=batch_size,
        eval_every=Steps(epochs=1),
        optimizer=_sgd(0.05, decay, nesterov=True, clip=None),
        schedule=ScheduleConfig(
            name="cosine", restart=Steps(epochs=10), restart_factor=2, least=5e-4 / 0.05
        ),
    )


_MICRO_WEIGHTS = _enas_images(150, 160, 2e-4)
ENAS_MICRO = with_small(
    "ENAS looks for two convolutional cells on CIFAR-10",
    SearchConfig(
        name="enas-micro-search",
        source=ENAS_MICRO_SOURCE,
        method="enas",
        space="cell",
        network={
            "channels": 20,
            "normal_cells": 2,
            "reductions": 2,
            "dropout": 0.1,
            "auxiliary": 1,
        },
        data=CIFAR_10,
        shared=_MICRO_WEIGHTS,
        reward_dropout=True,
        controller=CONTROLLERS["cell"],
        derive=_derive(_MICRO_WEIGHTS, ScheduleConfig(name="cosine"), epochs=10),
        retraining="enas-micro-cifar10",
    ),
    CELLS,
)

_MACRO_WEIGHTS = _enas_images(310, 128, 5e-4)
ENAS_MACRO = with_small(
    "ENAS looks for 12 layers and their skips on CIFAR-10",
    SearchConfig(
        name="enas-macro-search",
        source=ENAS_MACRO_SOURCE,
        method="enas",
        space="layers",
        network={"channels": 36, "dropout": 0.1},
        data=CIFAR_10,
        shared=_MACRO_WEIGHTS,
        controller=CONTROLLERS["layers"],
        derive=_derive(_MACRO_WEIGHTS, ScheduleConfig(name="cosine"), epochs=10),
        retraining="enas-macro-cifar10",
    ),
    LAYERS,
)

_ENAS_RNN_WEIGHTS = TrainingConfig(
    steps=Steps(epochs=100),
    batch_size=20,
    eval_every=Steps(epochs=1),
    optimizer=OptimizerConfig(
        name="sgd", learning_rate=WINDOW * 0.25, weight_decay=2e-7 / WINDOW, clip_norm=10.0 / WINDOW
    ),
    # `lr_dec_start` of 12: the rate is 0.25 * 0.95^(epoch - 12) from epoch 12 on, counted from 0.
    schedule=ScheduleConfig(
        name="step", milestones=tuple(Steps(epochs=epoch) for epoch in range(13, 100)), factor=0.95
    ),
)
ENAS_RNN = with_small(
    "ENAS looks for a recurrent cell of 12 nodes on Penn Treebank",
    SearchConfig(
        name="enas-rnn-search",
        source=ENAS_RNN_SOURCE,
        method="enas",
        space="recurrent",
        network={
            "hidden": 720,
            "dropout_embedding": 0.25,
            "dropout_input": 0.0,
            "dropout_cell_input": 0.75,
            "dropout_cell_state": 0.25,
            "dropout_output": 0.75,
        },
        data=PENN_TREEBANK,
        shared=_ENAS_RNN_WEIGHTS,
        controller=CONTROLLERS["recurrent"],
        derive=_derive(_ENAS_RNN_WEIGHTS, ScheduleConfig(), epochs=5),
        retraining="enas-rnn-ptb",
    ),
    RECURRENT,
)

NAO_CELL = with_small(
    "NAO looks for two convolutional cells on CIFAR-10, each candidate trained from scratch",
    SearchConfig(
        name="nao-cell-search",
        source=NAO_CELL_SOURCE,
        method="nao",
        space="cell",
        words="nao",
        network={
            "channels": 32,
            "normal_cells": 3,
            "reductions": 2,
            "drop_path": 0.3,
            "auxiliary": 1,
        },
        data=CIFAR_10,
        nao=NAO_DEFAULTS["cell", False],
        derive=DeriveConfig(
            random=20,
            alone=TrainingConfig(
                steps=Steps(epochs=25),
                batch_size=128,
                eval_every=Steps(epochs=1),
                optimizer=_sgd(0.024, 5e-4, clip=5.0),
                schedule=ScheduleConfig(name="cosine", restart=Steps(epochs=100), restart_factor=1),
            ),
            alone_best=5,
        ),
        retraining="naonet-a-cifar10",
    ),
    dataclasses.replace(CELLS, what=f"{CELLS.what}, each trained alone", phase=1, alone=40),
)

_WS_COSINE = ScheduleConfig(name="cosine", least=0.001 / 0.025)
_WS_WEIGHTS = TrainingConfig(
    steps=Steps(epochs=150),
    batch_size=64,
    eval_every=Steps(epochs=1),
    optimizer=_sgd(0.025, 3e-4, clip=5.0),
    schedule=_WS_COSINE,
)
NAO_WS_CELL = with_small(
    "NAO looks for two convolutional cells on CIFAR-10, with shared weights",
    SearchConfig(
        name="nao-ws-cell-search",
        source=NAO_WS_CELL_SOURCE,
        method="nao",
        space="cell",
        network={"channels": 20, "normal_cells": 3, "reductions": 2},
        data=CIFAR_10,
        shared=_WS_WEIGHTS,
        reward_batch=500,
        nao=NAO_DEFAULTS["cell", True],
        derive=_derive(_WS_WEIGHTS, _WS_COSINE, epochs=10),
        retraining="nao-ws-cnn-cifar10",
    ),
    CELLS,
)

_NAO_RNN_WEIGHTS = TrainingConfig(
    steps=Steps(epochs=1000),
    batch_size=256,
    eval_every=Steps(epochs=1),
    optimizer=OptimizerConfig(name="sgd", learning_rate=0.25, weight_decay=5e-7, clip_norm=10.0),
    text=TextTraining(slowness=1e-3, varied_windows=True, window_cap=0, window_deviation=0.0),
)
NAO_RNN = with_small(
    "NAO looks for a recurrent cell of 11 searched nodes on Penn Treebank, with shared weights",
    SearchConfig(
        name="nao-rnn-search",
        source=NAO_RNN_SOURCE,
        method="nao",
        space="recurrent",
        words="nao",
        network={
            "hidden": 300,
            "dropout_embedding": 0.0,
            "dropout_input": 0.2,
            "dropout_cell_input": 0.75,
            "dropout_cell_state": 0.25,
            "dropout_output": 0.75,
        },
        data=PENN_TREEBANK,
        shared=_NAO_RNN_WEIGHTS,
        initial=0.04,  # INITRANGE
        nao=NAO_DEFAULTS["recurrent", True],
        derive=_derive(_NAO_RNN_WEIGHTS, ScheduleConfig(), epochs=20),
        retraining="nao-rnn-ptb",
    ),
    dataclasses.replace(
        RECURRENT, what="a recurrent cell of 5 searched nodes for Python's documentation", phase=2
    ),
)

PUBLISHED_SEARCHES = (ENAS_MICRO, ENAS_MACRO, ENAS_RNN, NAO_CELL, NAO_WS_CELL, NAO_RNN)
