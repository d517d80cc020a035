"""Recipes of what is asked of tickets: criteria, controls, shares of layers, pruning at once, supermasks; torch-free.

Their small versions train on embedded digits, so that they need no files.
"""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, RewindingConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.deep import RESNET_20
from lottery.recipes.lth import LENET
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_experiments import Scale, with_small
from training.configs import DataConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

FIVE_SEEDS = (0, 1, 2, 3, 4)
# One of the 500 test images is 0.2 points.
DIGITS_LENET = Scale(
    examples="embedded digits",
    data={"validation": 200},
    data_set="digits",
    noise=0.0,
    seeds=FIVE_SEEDS,
    levels=5,
    arms=("reinitialised",),
    margin=1.0,
    steps=600,
    eval_every=50,
    batch_size=32,
    rewind_step=20,
)
DIGITS_RESNET = dataclasses.replace(
    DIGITS_LENET,
    size={"depth": 8, "width": 8},
    arms=("reinitialised", "shuffled-mask"),
    steps=300,
    eval_every=25,
)
# Three densities, of which the largest keeps a tenth.
DIGITS_DENSITIES = dataclasses.replace(DIGITS_RESNET, levels=3)

ZHOU = (
    "Zhou et al. 2019 (arXiv 1905.01067), sections 2 and 3, and their release (uber-research/"
    "deconstructing-lottery-tickets): LeNet-300-100 on MNIST trained as Frankle & Carbin 2019 do, Adam 1.2e-3, batches "
    "of 60, 55 epochs, 20 % per layer and 10 % of the output layer per level, reset to iteration 0, 5 trials; "
    "{criterion}"
)
# Name after `zhou-lenet`, criterion, what the paper calls it, controls.
ZHOU_CRITERIA = (
    (
        *("", "magnitude", "large_final"),
        ("reinitialised", "reinitialised-same-sign", "signed-constant", "shuffled-mask"),
    ),
    ("-magnitude-increase", "magnitude-increase", "magnitude_increase", ("reinitialised",)),
    ("-movement", "movement", "movement", ("reinitialised",)),
    ("-large-initial", "large-initial", "large_init", ("reinitialised",)),
    ("-large-both", "large-initial-large-final", "large_init_large_final", ("reinitialised",)),
    ("-small-final", "small-final", "small_final", ("reinitialised",)),
    ("-random", "random", "random", ("reinitialised",)),
)
MISSING_THE_MARK = (
    "Frankle et al. 2021 (arXiv 2009.08576), sections 3 and 5: one-shot pruning {when}, ticket beside shuffled masks "
    "and new initial weights, 20 % of the rest from level to level; training of ResNet-20 as the default of "
    "facebookresearch/open_lth: SGD with momentum 0.9, 160 epochs, batches of 128, learning rate 0.1, to a tenth at "
    "epochs 80 and 120, weight decay 1e-4; 5,000 validation images; scores {batch}"
)
# Name, criterion, when is pruned, on what it is scored, rewind step.
AT_INITIALISATION = (
    ("snip", "snip", "at initialisation", "on one batch", Steps()),
    ("grasp", "grasp", "at initialisation", "on one batch, logits divided by 200", Steps()),
    ("synflow", "synflow", "at initialisation, in 100 rounds", "without data", Steps()),
    ("initial-magnitude", "large-initial", "at initialisation", "without data", Steps()),
    ("random", "random", "at initialisation", "drawn at random", Steps()),
    (
        *("magnitude", "magnitude", "after training, rewound to step 2,000"),
        *("are trained weights", Steps(iterations=2000)),
    ),
)
SU = (
    "{scope}; random masks of such shares, one-shot at initialisation, to 10, 5 and 2 %: Su et al. 2020 (arXiv "
    "2009.11094), section 4, and the defaults of its release (JingtongSu/sanity-checking-pruning, train_ticket.py): "
    "SGD with momentum 0.9, 160 epochs, batches of 64, learning rate 0.1, to a tenth at epochs 80 and 120, weight "
    "decay 1e-4; 5,000 validation images here, none there"
)
SCOPES = (
    ("smart-ratio", "keep-ratios that fall with depth, linear layers at 30 %"),
    (
        "erk",
        "Erdos-Renyi kernels of Evci et al. 2020 (arXiv 1911.11134), in place of the smart ratio",
    ),
    ("uniform", "equal shares, the first layer whole, in place of the smart ratio"),
)


def _resnet_training(batch_size: int) -> TrainingConfig:
    """160 epochs of SGD at 0.1, to a tenth at 80 and 120."""
    return TrainingConfig(
        steps=Steps(epochs=160),
        batch_size=batch_size,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=ScheduleConfig(name="step", milestones=(Steps(epochs=80), Steps(epochs=120))),
    )


def _resnet(
    name: str, source: str, batch_size: int, levels: int, pruning: PruningConfig
) -> Experiment:
    """ResNet-20 on CIFAR-10, pruned one-shot, beside shuffled masks and new weights."""
    return Experiment(
        name=name,
        source=source,
        seeds=(0, 1, 2),
        levels=levels,
        arms=("reinitialised", "shuffled-mask"),
        network=RESNET_20,
        data=DataConfig(
            name="cifar-10", options={"validation": 5000, "crop_padding": 4, "flip": 1}
        ),
        training=_resnet_training(batch_size),
        pruning=pruning,
    )


def _zhou(suffix: str, criterion: str, published: str, arms: tuple[str, ...]) -> Recipe[Experiment]:
    """LeNet-300-100 pruned by one mask criterion."""
    how = f"mask criterion {published}"
    experiment = dataclasses.replace(
        LENET,
        name=f"zhou-lenet{suffix}",
        source=ZHOU.format(criterion=how),
        arms=arms,
        training=dataclasses.replace(LENET.training, steps=Steps(epochs=55)),
        pruning=dataclasses.replace(LENET.pruning, criterion=criterion),
    )
    summary = (
        f"LeNet-300-100 on MNIST by the {how} of Zhou et al. 2019 (arXiv 1905.01067), figure 3"
    )
    return with_small(summary, experiment, dataclasses.replace(DIGITS_LENET, arms=arms))


def _at_initialisation(
    name: str, criterion: str, when: str, batch: str, step: Steps
) -> Recipe[Experiment]:
    """ResNet-20 pruned one-shot by one criterion."""
    pruning = PruningConfig(criterion=criterion, schedule="one-shot", rate=0.2)
    source = MISSING_THE_MARK.format(when=when, batch=batch)
    experiment = _resnet(f"{name}-resnet20", source, 128, 17, pruning)
    experiment = dataclasses.replace(experiment, rewinding=RewindingConfig(step=step))
    summary = (
        f"ResNet-20 on CIFAR-10 pruned {when} by {criterion}, as in Frankle et al. 2021 (arXiv 2009.08576), "
        "with its sanity checks"
    )
    return with_small(summary, experiment, DIGITS_RESNET)


def _shares(scope: str, words: str) -> Recipe[Experiment]:
    """ResNet-20 with a random mask of given shares of layers."""
    pruning = PruningConfig(
        criterion="random", scope=scope, schedule="one-shot", densities=(0.1, 0.05, 0.02)
    )
    source = SU.format(scope=words)
    experiment = _resnet(f"{scope}-resnet20", source, 64, len(pruning.densities), pruning)
    summary = f"ResNet-20 on CIFAR-10 with random masks, shares of layers by {scope}, after Su et al. 2020"
    return with_small(summary, experiment, DIGITS_DENSITIES)


ONE_SHOT_LENET = dataclasses.replace(
    LENET,
    name="lth-lenet-one-shot",
    source=f"{LENET.source}; one-shot, as section 2 and figure 4 compare: each level straight from the dense network",
    pruning=dataclasses.replace(LENET.pruning, schedule="one-shot"),
)
SNIP_LENET = dataclasses.replace(
    LENET,
    name="snip-lenet",
    source="Lee et al. 2019 (arXiv 1810.02340), section 5.1, densities of its tables, with the defaults of its release "
    "(namhoonlee/snip-public, main.py and model.py): plain SGD at 0.1, batches of 100, 10,000 iterations, weight decay "
    "5e-4, scored on one batch; there biases are ranked too, and new weights are drawn once pruned, as for the control "
    "reinitialised",
    levels=3,
    arms=("reinitialised", "shuffled-mask"),
    training=dataclasses.replace(
        LENET.training,
        steps=Steps(iterations=10_000),
        batch_size=100,
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.1, weight_decay=5e-4),
    ),
    pruning=PruningConfig(criterion="snip", schedule="one-shot", densities=(0.1, 0.05, 0.02)),
)
SUPERMASK_LENET = dataclasses.replace(
    LENET,
    name="supermask-lenet",
    source=ZHOU.format(
        criterion="section 5: mask criterion large_final_same_sign, read before training by "
        "`lottery measure supermask --set weights=signed-constant`"
    ),
    arms=("random-mask",),
    training=dataclasses.replace(LENET.training, steps=Steps(epochs=55)),
    pruning=dataclasses.replace(LENET.pruning, criterion="magnitude-same-sign"),
)
TICKET_SCIENCE = (
    with_small(
        "LeNet-300-100 on MNIST pruned one-shot, as Frankle & Carbin 2019 (arXiv 1803.03635) compare",
        ONE_SHOT_LENET,
        DIGITS_LENET,
    ),
    *(_zhou(*each) for each in ZHOU_CRITERIA),
    with_small(
        "LeNet-300-100 on MNIST with masks that score untrained, after Zhou et al. 2019, section 5",
        SUPERMASK_LENET,
        dataclasses.replace(DIGITS_LENET, arms=("random-mask",)),
    ),
    with_small(
        "LeNet-300-100 on MNIST pruned at initialisation by SNIP (arXiv 1810.02340), as its release trains it",
        SNIP_LENET,
        dataclasses.replace(DIGITS_LENET, levels=3, arms=("reinitialised", "shuffled-mask")),
    ),
    *(_at_initialisation(*each) for each in AT_INITIALISATION),
    *(_shares(*each) for each in SCOPES),
)
