"""Recipes of instability, of what survivors return to and of late rewinding in text; torch-free.

Their small versions train on embedded digits or Python's documentation, so that they need no files.
"""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, RewindingConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.deep import DEEP
from lottery.recipes.language import YU20_LSTM_WT2, YU_ADAM
from lottery.recipes.lth import LENET
from lottery.recipes.recipe import Recipe, by_name
from lottery.recipes.small_experiments import TEXT, with_small
from lottery.recipes.ticket_science import DIGITS_LENET, DIGITS_RESNET
from training.steps import Steps

LMC_RESNET_20 = by_name(DEEP)["lmc-resnet20"].config
RENDA_RESNET_20 = by_name(DEEP)["renda-resnet20"].config
COPIES = 3
COPIED = (
    "sections 2 to 4: 3 copies of each ticket that differ in noise alone, whose errors on the straight lines between "
    "them `lottery measure connectivity` reads; the dense control begins at the same step"
)
INSTABILITY_LENET = dataclasses.replace(
    LENET,
    name="instability-lenet",
    source="Frankle et al. 2020 (arXiv 1912.05671), table 1: LeNet-300-100 on MNIST, Adam 1.2e-3, batches of 60, "
    f"24,000 iterations, 20 % per level globally, rewound to iteration 0; {COPIED}",
    seeds=(0, 1, 2),
    copies=COPIES,
    levels=15,
    arms=("dense", "reinitialised", "random-mask"),
    training=dataclasses.replace(LENET.training, steps=Steps(iterations=24_000)),
    pruning=PruningConfig(scope="global", rate=0.2),
)


def _instability(step: int, small_step: int) -> Recipe[Experiment]:
    """ResNet-20 in copies, rewound to one of the steps of Frankle et al. 2020, figure 5."""
    experiment = dataclasses.replace(
        LMC_RESNET_20,
        name=f"instability-resnet20-step{step}",
        source=f"{LMC_RESNET_20.source}; {COPIED}; rewound to step {step:,} here",
        copies=COPIES,
        levels=8,
        arms=("dense", "reinitialised", "random-mask"),
        rewinding=RewindingConfig(step=Steps(iterations=step)),
    )
    small = dataclasses.replace(
        DIGITS_RESNET,
        seeds=(0, 1, 2),
        levels=3,
        arms=("dense", "random-mask"),
        rewind_step=small_step,
    )
    summary = f"ResNet-20 in three copies, rewound to step {step:,}: the instability of Frankle et al. 2020"
    return with_small(summary, experiment, small)


def _renda(suffix: str, summary: str, words: str, rewinding: RewindingConfig) -> Recipe[Experiment]:
    """ResNet-20 retrained in one of the ways that Renda et al. 2020 compare."""
    experiment = dataclasses.replace(
        RENDA_RESNET_20,
        name=f"renda-resnet20-{suffix}",
        source=f"{RENDA_RESNET_20.source}; in place of that {words}",
        rewinding=rewinding,
    )
    # 72 of 182 epochs.
    small = dataclasses.replace(DIGITS_RESNET, arms=("reinitialised",), rewind_step=119)
    return with_small(
        f"ResNet-20 on CIFAR-10 with {summary} (Renda et al. 2020)", experiment, small
    )


# With 72 epochs behind it, a training has 110 left.
LATE = Steps(epochs=72)
RENDA = (
    _renda(
        "weight-rewinding",
        "weight rewinding to epoch 72, 110 epochs",
        "both weights and learning rate return to epoch 72, which leaves 110 epochs",
        RewindingConfig(step=LATE),
    ),
    _renda(
        "rate-rewinding-110ep",
        "learning-rate rewinding to epoch 72, 110 epochs",
        "the learning rate returns to epoch 72 and trained weights stay, for the 110 epochs of weight rewinding",
        RewindingConfig(step=LATE, weights="keep"),
    ),
    _renda(
        "fine-tuning-110ep",
        "fine-tuning at the last learning rate, 110 epochs",
        "trained weights stay and the last learning rate goes on, for the 110 epochs of weight rewinding",
        RewindingConfig(step=LATE, weights="keep", schedule="continue"),
    ),
    _renda(
        "fine-tuning",
        "fine-tuning at the last learning rate, 182 epochs",
        "trained weights stay and the last learning rate goes on, for 182 epochs",
        RewindingConfig(weights="keep", schedule="continue"),
    ),
    _renda(
        "to-start",
        "weights rewound to initialisation, 182 epochs",
        "both weights and learning rate return to the start, for 182 epochs",
        RewindingConfig(),
    ),
)


YU_LSTM = YU20_LSTM_WT2.config
WITHOUT_LATE_REWINDING = dataclasses.replace(
    YU_LSTM,
    name="yu20-lstm-wt2-to-start",
    source=f"{YU_LSTM.source}; without late rewinding, as the paper compares",
    rewinding=RewindingConfig(),
)
ONE_SHOT = dataclasses.replace(
    YU_LSTM,
    name="yu20-lstm-wt2-one-shot",
    source=f"{YU_LSTM.source}; one-shot in place of iterative pruning, as the paper compares",
    pruning=dataclasses.replace(YU_LSTM.pruning, schedule="one-shot"),
)
PYDOC = dataclasses.replace(
    TEXT,
    examples="words of Python's documentation",
    data_set="pydoc",
    data={"least_count": 5, "sequence": 20},
    size={"hidden": 64},
    arms=("reinitialised", "random-ticket"),
    steps=300,
    optimizer=dataclasses.replace(YU_ADAM, learning_rate=3e-2),
)
YU = (
    with_small(
        "The LSTM of Yu et al. 2020 on WikiText-2, rewound to initialisation",
        WITHOUT_LATE_REWINDING,
        PYDOC,
    ),
    with_small("The LSTM of Yu et al. 2020 on WikiText-2, pruned one-shot", ONE_SHOT, PYDOC),
)
INSTABILITY = (
    with_small(
        "LeNet-300-100 on MNIST in three copies: the instability of Frankle et al. 2020 (arXiv 1912.05671)",
        INSTABILITY_LENET,
        dataclasses.replace(DIGITS_LENET, seeds=(0, 1, 2), levels=3, arms=("dense", "random-mask")),
    ),
    *(_instability(*steps) for steps in ((0, 0), (500, 15), (2000, 60))),
)
