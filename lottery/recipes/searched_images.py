"""Recipes that retrain searched convolutional networks on CIFAR-10 as published, and prune them; torch-free.

The published recipes train on all 50,000 images and read the test images after each epoch; here 5,000 are held out for
validation, and an epoch has the fewer steps. Learning rates change by the step here, by the epoch there. None of them
prunes: levels, rate and control are this project's.
"""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, NetworkConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_experiments import IMAGES, Scale, with_small
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

ENAS_MICRO_SOURCE = (
    "melodyguan/enas, scripts/cifar10_micro_final.sh: batches of 144, 630 epochs, learning rate 0.05 to 1e-4 by "
    "cosines of 10, 20, ... 320 epochs (by the step here, by the epoch there), SGD with Nesterov momentum 0.9, "
    "l2_reg 2e-4 without the half, which is weight decay 4e-4, dropout 0.2, drop-path to 0.4, auxiliary head at 0.4; "
    "no clipping, as clip_mode norm discards what it clips; no cutout (--child_cutout_size=16 adds it); crops padded "
    "with black here, with the mean there; all 50,000 images there, 5,000 of them held out here"
)
ENAS_MACRO_SOURCE = (
    "melodyguan/enas, scripts/cifar10_macro_final.sh: batches of 100, 310 epochs, learning rate 0.05 to 0.001 by "
    "cosines of 10, 20, ... 160 epochs (by the step here, by the epoch there), SGD with Nesterov momentum 0.9, "
    "l2_reg 2e-4 without the half, which is weight decay 4e-4, dropout 0.5; no clipping, as clip_mode norm discards "
    "what it clips; crops padded with black here, with the mean there; all 50,000 images there, 5,000 of them held out "
    "here"
)
NAO_SOURCE = (
    "renqianluo/NAO_pytorch, {script} and train_cifar.py: batches of 128, 600 epochs, learning rate 0.025 to 0 by a "
    "cosine (by the step here, by the epoch there), SGD with momentum 0.9, weight decay {decay:g}, norm clipped at 5, "
    "dropout 0.4, drop-path to {drop_path:g} by the step, auxiliary head at 0.4, cutout 16, crops padded with black; "
    "all 50,000 images there, 5,000 of them held out here"
)
DARTS_SOURCE = (
    "quark0/darts, cnn/train.py with --auxiliary --cutout: batches of 96, 600 epochs, learning rate 0.025 to 0 by a "
    "cosine and drop-path to 0.2 (both by the step here, by the epoch there), SGD with momentum 0.9, weight decay "
    "3e-4, norm clipped at 5, auxiliary head at 0.4, cutout 16, crops padded with black; all 50,000 images there, "
    "5,000 of them held out here"
)


# Searched networks are deep and their operations many: they take fewer steps.
_ADAM = OptimizerConfig(name="adam", learning_rate=1e-2)
SMALL_CELLS = dataclasses.replace(
    IMAGES,
    size={"channels": 4, "normal_cells": 1, "reductions": 2},
    optimizer=_ADAM,
    steps=100,
    eval_every=33,
)
SMALL_LAYERS = dataclasses.replace(
    IMAGES, size={"channels": 4}, optimizer=_ADAM, steps=60, eval_every=20
)


def _retraining(
    summary: str,
    source: str,
    network: NetworkConfig,
    training: TrainingConfig,
    small: Scale,
    *,
    name: str = "",
    cutout: int = 0,
) -> Recipe[Experiment]:
    """A searched network on CIFAR-10 with crops and flips; 10 levels of 20 %, to 10.7 % density.

    Its name is that of the network and the data, unless it is given.
    """
    options = {"validation": 5000, "crop_padding": 4, "flip": 1, "cutout": cutout}
    experiment = Experiment(
        name=name or f"{network.name}-cifar10",
        source=source,
        seeds=(0, 1, 2),
        levels=10,
        arms=("reinitialised",),
        network=network,
        data=DataConfig(name="cifar-10", options=options),
        training=training,
        pruning=PruningConfig(scope="global", rate=0.2),
    )
    return with_small(summary, experiment, small)


def _enas_training(epochs: int, batch_size: int, least: float) -> TrainingConfig:
    """SGD with warm restarts after 10 epochs, each period twice as long as the one before."""
    return TrainingConfig(
        steps=Steps(epochs=epochs),
        batch_size=batch_size,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(
            name="sgd", learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=4e-4
        ),
        schedule=ScheduleConfig(
            name="cosine", restart=Steps(epochs=10), restart_factor=2, least=least
        ),
    )


def _enas_micro(summary: str, network: str, source: str = ENAS_MICRO_SOURCE) -> Recipe[Experiment]:
    config = NetworkConfig(name=network, size={"drop_path": 0.4, "dropout": 0.2, "auxiliary": 1})
    training = _enas_training(630, 144, 1e-4 / 0.05)
    return _retraining(summary, source, config, training, SMALL_CELLS)


def _enas_macro(summary: str, network: str, source: str = ENAS_MACRO_SOURCE) -> Recipe[Experiment]:
    config = NetworkConfig(name=network, size={"dropout": 0.5})
    training = _enas_training(310, 100, 0.001 / 0.05)
    return _retraining(summary, source, config, training, SMALL_LAYERS)


def _one_cosine(batch_size: int, weight_decay: float) -> TrainingConfig:
    """600 epochs of SGD, clipped, with one cosine from 0.025 to 0."""
    return TrainingConfig(
        steps=Steps(epochs=600),
        batch_size=batch_size,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(
            name="sgd", learning_rate=0.025, momentum=0.9, weight_decay=weight_decay, clip_norm=5.0
        ),
        schedule=ScheduleConfig(name="cosine"),
    )


def _nao(
    summary: str,
    network: str,
    script: str,
    *,
    name: str = "",
    channels: int = 36,
    weight_decay: float = 3e-4,
    drop_path: float = 0.2,
) -> Recipe[Experiment]:
    source = NAO_SOURCE.format(script=script, decay=weight_decay, drop_path=drop_path)
    config = NetworkConfig(
        name=network,
        size={"channels": channels, "drop_path": drop_path, "dropout": 0.4, "auxiliary": 1},
    )
    training = _one_cosine(128, weight_decay)
    return _retraining(summary, source, config, training, SMALL_CELLS, name=name, cutout=16)


def _darts(summary: str, network: str, source: str = DARTS_SOURCE) -> Recipe[Experiment]:
    config = NetworkConfig(name=network, size={"drop_path": 0.2, "auxiliary": 1})
    return _retraining(summary, source, config, _one_cosine(96, 3e-4), SMALL_CELLS, cutout=16)


SEARCHED_IMAGES = (
    _enas_micro("The cells that ENAS released, retrained as its script does", "enas-micro"),
    _enas_micro(
        "The cells of ENAS's paper (arXiv 1802.03268, figure 8), retrained as its script does",
        "enas-micro-paper",
    ),
    _enas_macro(
        "The 24 layers that ENAS released, with separable convolutions, retrained as its script does",
        "enas-macro",
    ),
    _enas_macro(
        "The 24 layers that ENAS released, with full convolutions as its code has them",
        "enas-macro-released",
    ),
    _nao(
        "NAONet-A with 36 channels, retrained as NAO_pytorch does",
        "naonet-a",
        "NAO_V1/train_NAONet_A_36_cifar10.sh",
    ),
    _nao(
        "NAONet-A with 128 channels, 145 million parameters, retrained as NAO_pytorch does",
        "naonet-a",
        "NAO_V1/train_NAONet_A_128_cifar10_4cards.sh",
        name="naonet-a-128-cifar10",
        channels=128,
        weight_decay=5e-4,
        drop_path=0.3,
    ),
    _nao(
        "NAONet-B, found with shared weights, retrained as NAO_pytorch does",
        "naonet-b",
        "NAO_V1/train_NAONet_B_36_cifar10.sh",
    ),
    _enas_micro(
        "The cells that NAO found with shared weights in TensorFlow, wired and retrained as ENAS's",
        "nao-ws-cnn",
        "renqianluo/NAO, NAO-WS/cnn/train_final.sh and model.py, which wire and train them as ENAS does: "
        f"{ENAS_MICRO_SOURCE}",
    ),
    _nao(
        "The cells of NAO-V2 (arXiv 1909.10815), retrained as NAO_pytorch does",
        "nao-v2",
        "NAO_V2/train_NAONet_V2_36_cifar10.sh",
        weight_decay=5e-4,
    ),
    _darts(
        "The cells of first-order DARTS (arXiv 1806.09055), retrained as its code does", "darts-v1"
    ),
    _darts(
        "The cells of second-order DARTS (arXiv 1806.09055), retrained as its code does", "darts-v2"
    ),
    _darts(
        "NASNet-A (arXiv 1707.07012), retrained as DARTS does to compare itself with it", "nasnet-a"
    ),
    _darts(
        "AmoebaNet-A (arXiv 1802.01548), retrained as DARTS does to compare itself with it",
        "amoebanet-a",
    ),
    _darts(
        "PNASNet-5 (arXiv 1712.00559), retrained as DARTS retrains its like",
        "pnasnet-5",
        f"this project, as DARTS trains NASNet-A: {DARTS_SOURCE}",
    ),
    _enas_micro(
        "Cells drawn at random from ENAS's micro space, the control of a search, retrained as ENAS's",
        "random-micro",
        f"this project, as ENAS's own cells: {ENAS_MICRO_SOURCE}",
    ),
    _enas_macro(
        "Layers drawn at random from ENAS's macro space, the control of a search, retrained as ENAS's",
        "random-macro",
        f"this project, as ENAS's own layers: {ENAS_MACRO_SOURCE}",
    ),
)
