"""Recipes of residual and VGG networks on CIFAR-10, as lottery-ticket papers train and prune them; torch-free.

5,000 training images are held out for validation, with which the best step is chosen. Frankle & Carbin 2019 do so too,
every 100 iterations; facebookresearch/open_lth and kuangliu/pytorch-cifar train on all 50,000 and read the test images.
"""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_experiments import IMAGES, Scale, with_small
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

RESNET_20 = NetworkConfig(name="resnet", size={"depth": 20, "width": 16})
GLOROT_20 = NetworkConfig(name="resnet-glorot", size={"depth": 20, "width": 16})
EVERYTHING = PruningConfig(scope="global", rate=0.2)
# Frankle & Carbin 2019, figure 2: 20 % of the convolutions and 0 % of the output layer.
CONVOLUTIONS = PruningConfig(scope="global", rate=0.2, output_rate=0.0)
TO_THE_START = RewindingConfig()

SMALL_RESNET = dataclasses.replace(IMAGES, size={"depth": 8, "width": 8})
SMALL_VGG = dataclasses.replace(
    IMAGES, size={"width": 8}, optimizer=OptimizerConfig(name="adam", learning_rate=3e-3)
)
SHORT_TRAINING = dataclasses.replace(
    IMAGES, steps=60, eval_every=20, optimizer=OptimizerConfig(name="adam", learning_rate=1e-3)
)


def _deep(
    summary: str,
    name: str,
    source: str,
    network: NetworkConfig,
    training: TrainingConfig,
    small: Scale,
    *,
    levels: int,
    arms: tuple[str, ...] = ("reinitialised",),
    pruning: PruningConfig = EVERYTHING,
    rewinding: RewindingConfig = TO_THE_START,
) -> Recipe[Experiment]:
    """A residual or VGG network on CIFAR-10 with crops and flips, pruned globally by 20 % per level."""
    experiment = Experiment(
        name=name,
        source=source,
        seeds=(0, 1, 2),
        levels=levels,
        arms=arms,
        network=network,
        data=DataConfig(
            name="cifar-10", options={"validation": 5000, "crop_padding": 4, "flip": 1}
        ),
        training=training,
        pruning=pruning,
        rewinding=rewinding,
    )
    return with_small(summary, experiment, small)


def _steps_down(
    steps: str,
    milestones: tuple[str, ...],
    learning_rate: float,
    batch_size: int,
    *,
    weight_decay: float = 1e-4,
    nesterov: bool = False,
    warmup: str = "0it",
    eval_every: str = "1ep",
) -> TrainingConfig:
    """SGD with momentum 0.9 whose learning rate falls to a tenth at each milestone; steps are such as 500it or 2ep."""
    return TrainingConfig(
        steps=Steps.parse(steps),
        batch_size=batch_size,
        eval_every=Steps.parse(eval_every),
        optimizer=OptimizerConfig(
            name="sgd",
            learning_rate=learning_rate,
            momentum=0.9,
            nesterov=nesterov,
            weight_decay=weight_decay,
        ),
        schedule=ScheduleConfig(
            name="step",
            milestones=tuple(map(Steps.parse, milestones)),
            warmup=Steps.parse(warmup),
        ),
    )


def _lmc(
    summary: str,
    name: str,
    network: NetworkConfig,
    small: Scale,
    *,
    rewind: int,
    levels: int,
    own: str,
) -> Recipe[Experiment]:
    """A network of Frankle et al. 2020, table 1, rewound to the step at which it is stable."""
    return _deep(
        summary,
        name,
        "Frankle et al. 2020, table 1: SGD with momentum 0.9, 63,000 iterations, batches of 128, learning rate 0.1, to "
        "a tenth at 32,000 and 48,000, 20 % per level globally, rewound to the step at which the dense network is "
        f"stable, {rewind:,} (section 3); weight decay 1e-4 from facebookresearch/open_lth, which {own}",
        network,
        _steps_down("63000it", ("32000it", "48000it"), 0.1, 128),
        small,
        levels=levels,
        arms=("reinitialised", "random-mask"),
        rewinding=RewindingConfig(step=Steps(iterations=rewind)),
    )


DEEP = (
    _deep(
        "ResNet-20 on CIFAR-10, which Frankle & Carbin 2019 (arXiv 1803.03635), section 4, call Resnet-18",
        "lth-resnet18",
        "Frankle & Carbin 2019, section 4 and figures 2 and 8: SGD with momentum 0.9, 30,000 iterations, batches of "
        "128, learning rate 0.03 after 20,000 iterations of warm-up, to a tenth at 20,000 and 25,000, 20 % per level "
        "globally, the output layer left whole, 5,000 validation images, looked at every 100 iterations; the network "
        "is ResNet-20, as Frankle's retrospective says; weight decay 1e-4 from facebookresearch/open_lth",
        GLOROT_20,
        _steps_down(
            "30000it", ("20000it", "25000it"), 0.03, 128, warmup="20000it", eval_every="100it"
        ),
        SMALL_RESNET,
        pruning=CONVOLUTIONS,
        levels=15,
    ),
    _deep(
        "VGG-19 on CIFAR-10 as in Frankle & Carbin 2019 (arXiv 1803.03635), section 4, with warm-up",
        "lth-vgg19",
        "Frankle & Carbin 2019, section 4 and figures 2 and 7: SGD with momentum 0.9, 112,480 iterations (160 epochs), "
        "batches of 64, learning rate 0.1 after 10,000 iterations of warm-up, to a tenth at 80 and 120 epochs, 20 % "
        "per level globally, the output layer left whole, 5,000 validation images, looked at every 100 iterations; "
        "weight decay 1e-4 from facebookresearch/open_lth",
        NetworkConfig(name="vgg-19"),
        _steps_down(
            "112480it", ("56240it", "84360it"), 0.1, 64, warmup="10000it", eval_every="100it"
        ),
        SMALL_VGG,
        pruning=CONVOLUTIONS,
        levels=20,
    ),
    _lmc(
        "ResNet-20 on CIFAR-10, rewound to step 2,000, as in Frankle et al. 2020 (arXiv 1912.05671), table 1",
        "lmc-resnet20",
        RESNET_20,
        SMALL_RESNET,
        rewind=2000,
        levels=12,
        own="draws the scales of batch norm and the output layer's bias uniformly; here they start at 1 and 0",
    ),
    _lmc(
        "VGG-16 on CIFAR-10, rewound to step 1,000, as in Frankle et al. 2020 (arXiv 1912.05671), table 1",
        "lmc-vgg16",
        NetworkConfig(name="vgg-16"),
        SMALL_VGG,
        rewind=1000,
        levels=20,
        own="draws Kaiming normal weights, and the scales of batch norm and biases uniformly, has biases in its "
        "convolutions and leaves the output layer whole; here weights are Gaussian Glorot, scales start at 1, the bias "
        "at 0, convolutions have none and the output layer is ranked with the rest",
    ),
    _deep(
        "ResNet-20 on CIFAR-10 with learning-rate rewinding, as in Renda et al. 2020 (arXiv 2003.02389)",
        "renda-resnet20",
        "Renda et al. 2020, table 1: SGD with Nesterov momentum 0.9, weight decay 2e-4, 182 epochs, batches of 128, "
        "learning rate 0.1, to a tenth at epochs 91 and 136; section 4: 20 % per level globally, then the whole "
        "schedule again from the trained weights; the release (lottery-ticket/rewinding-iclr20-public) has plain "
        "momentum, and draws convolutions with variance 1 / inputs and the output layer with 1e-4, here 2 / inputs",
        RESNET_20,
        _steps_down("182ep", ("91ep", "136ep"), 0.1, 128, weight_decay=2e-4, nesterov=True),
        SMALL_RESNET,
        levels=10,
        rewinding=RewindingConfig(weights="keep", schedule="rewind"),
    ),
    _deep(
        "The ResNet-18 of torchvision on CIFAR-10, as an example of a network from there",
        "torchvision-resnet18-cifar10",
        "kuangliu/pytorch-cifar, main.py: SGD with momentum 0.9, learning rate 0.1 to 0 by a cosine (by the step "
        "here, by the epoch there), weight decay 5e-4, 200 epochs, batches of 128; the network itself is "
        "torchvision's, made for larger images",
        NetworkConfig(name="torchvision/resnet18"),
        TrainingConfig(
            steps=Steps(epochs=200),
            batch_size=128,
            eval_every=Steps(epochs=1),
            optimizer=OptimizerConfig(
                name="sgd", learning_rate=0.1, momentum=0.9, weight_decay=5e-4
            ),
            schedule=ScheduleConfig(name="cosine"),
        ),
        SHORT_TRAINING,
        levels=10,
    ),
)
