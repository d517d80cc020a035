"""Recipes of Frankle & Carbin 2019 (arXiv 1803.03635) for LeNets and small convolutional networks; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lottery.experiments import Experiment, NetworkConfig, PruningConfig
from training.configs import DataConfig, OptimizerConfig, TrainingConfig
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


def lenet_5_mnist() -> Experiment:
    """LeNet-5 on MNIST, trained and pruned as Frankle & Carbin 2019 do with LeNet-300-100."""
    return dataclasses.replace(
        lth_lenet(),
        name="lenet-5-mnist",
        source="network: LeCun et al. 1998, figure 2; training and pruning: Frankle & Carbin 2019, figure 2, "
        "as of LeNet-300-100; convolutions at 10 % per level, as of Conv-2",
        seeds=(0, 1, 2),
        network=NetworkConfig(name="lenet-5"),
        pruning=PruningConfig(scope="layerwise", rate=0.2, convolution_rate=0.1, output_rate=0.1),
    )


def _conv(depth: int, thousands: int, learning_rate: float, convolution_rate: float) -> Experiment:
    """Conv-2, Conv-4 or Conv-6 of Frankle & Carbin 2019, figure 2."""
    return Experiment(
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


def lth_conv2() -> Experiment:
    """Conv-2 on CIFAR-10 as in Frankle & Carbin 2019 (arXiv 1803.03635), section 3 and figure 2."""
    return _conv(2, 20, 2e-4, 0.1)


def lth_conv4() -> Experiment:
    """Conv-4 on CIFAR-10 as in Frankle & Carbin 2019 (arXiv 1803.03635), section 3 and figure 2."""
    return _conv(4, 25, 3e-4, 0.1)


def lth_conv6() -> Experiment:
    """Conv-6 on CIFAR-10 as in Frankle & Carbin 2019 (arXiv 1803.03635), section 3 and figure 2."""
    return _conv(6, 30, 3e-4, 0.15)


LTH_RECIPES: dict[str, Callable[[], Experiment]] = {
    "lth-lenet": lth_lenet,
    "lth-lenet-short": lth_lenet_short,
    "lenet-5-mnist": lenet_5_mnist,
    "lth-conv2": lth_conv2,
    "lth-conv4": lth_conv4,
    "lth-conv6": lth_conv6,
}
