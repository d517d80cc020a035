"""Recipes of Frankle & Carbin 2019 (arXiv 1803.03635) for LeNets and small convolutional networks; torch-free."""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, NetworkConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_experiments import IMAGES, with_small
from training.configs import DataConfig, OptimizerConfig, TrainingConfig
from training.steps import Steps

LENET = Experiment(
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
LENET_SHORT = dataclasses.replace(
    LENET,
    name="lth-lenet-short",
    source=f"{LENET.source}; here 3 trials of 6,000 iterations",
    seeds=(0, 1, 2),
    levels=8,
    training=dataclasses.replace(LENET.training, steps=Steps(iterations=6_000)),
)
LENET_5 = dataclasses.replace(
    LENET,
    name="lenet-5-mnist",
    source="network: LeCun et al. 1998, figure 2; training and pruning: Frankle & Carbin 2019, figure 2, "
    "as of LeNet-300-100; convolutions at 10 % per level, as of Conv-2",
    seeds=(0, 1, 2),
    network=NetworkConfig(name="lenet-5"),
    pruning=PruningConfig(scope="layerwise", rate=0.2, convolution_rate=0.1, output_rate=0.1),
)
LONGER = dataclasses.replace(IMAGES, steps=600, eval_every=200)


def _conv(
    depth: int,
    thousands: int,
    learning_rate: float,
    convolution_rate: float,
    small_blocks: tuple[int, ...],
) -> Recipe[Experiment]:
    """Conv-2, Conv-4 or Conv-6 of Frankle & Carbin 2019, figure 2."""
    full = Experiment(
        name=f"lth-conv{depth}",
        source=f"Frankle & Carbin 2019, figure 2: Adam {learning_rate:g}, batches of 60, {thousands},000 "
        f"iterations, {convolution_rate:.0%} per convolution, 20 % per linear layer and 10 % of the output layer "
        "per level, reset to iteration 0; 5,000 validation images, looked at every 100 iterations; here 3 "
        "trials where the paper has 5",
        seeds=(0, 1, 2),
        levels=20,
        arms=("reinitialised",),
        network=NetworkConfig(name=f"conv-{depth}"),
        data=DataConfig(name="cifar-10", options={"validation": 5000}),
        training=TrainingConfig(
            steps=Steps(iterations=1000 * thousands),
            batch_size=60,
            eval_every=Steps(iterations=100),
            optimizer=OptimizerConfig(name="adam", learning_rate=learning_rate),
        ),
        pruning=PruningConfig(
            scope="layerwise", rate=0.2, convolution_rate=convolution_rate, output_rate=0.1
        ),
    )
    small = dataclasses.replace(
        IMAGES,
        size={"blocks": small_blocks, "widths": (64, 64)},
        optimizer=OptimizerConfig(name="adam", learning_rate=3e-3),
    )
    summary = f"Conv-{depth} on CIFAR-10 as in Frankle & Carbin 2019 (arXiv 1803.03635), section 3 and figure 2"
    return with_small(summary, full, small)


LTH = (
    with_small(
        "LeNet-300-100 on MNIST exactly as in Frankle & Carbin 2019 (arXiv 1803.03635), section 2 and figure 2",
        LENET,
        LONGER,
    ),
    Recipe(summary="`lth-lenet` with 3 trials of 6,000 iterations, 8 levels", config=LENET_SHORT),
    with_small(
        "LeNet-5 on MNIST, trained and pruned as Frankle & Carbin 2019 do with LeNet-300-100",
        LENET_5,
        LONGER,
    ),
    _conv(2, 20, 2e-4, 0.1, (8,)),
    _conv(4, 25, 3e-4, 0.1, (8, 16)),
    _conv(6, 30, 3e-4, 0.15, (8, 16, 32)),
)
