"""Recipes that retrain searched recurrent cells on text as published, and prune them; torch-free.

Validation and test text is read in 10 columns here, in 1, 10 or 64 there. Perplexities that a source gives are its own.
"""

from __future__ import annotations

import dataclasses

from lottery.experiments import Experiment, NetworkConfig
from lottery.recipes.language import WINDOW, language_model, language_recipe, text
from lottery.recipes.recipe import Recipe
from training.configs import (
    AveragingConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps
from training.tasks.settings import TextTraining

ENAS_SOURCE = (
    "melodyguan/enas, scripts/ptb_final.sh and src/ptb/ptb_enas_child.py: batches of 64, windows of 35 words, 2000 "
    "epochs of SGD at 20, times 0.9991 per epoch after 14 (here 0.9 per 117), norm clipped at 0.25, l2_reg 5e-7 "
    "without the half (before clipping there, after it here), slowness 1e-3 of the dropped output, no averaging. Its "
    "loss and slowness are sums over the window, ours means: so 35 times its rate, 1/35 of its norm and decay, and "
    "1e-3 * 748 * 34 / 35 of slowness. Words are dropped for each sequence there, for the whole batch here. Perplexity "
    "there, test: 55.8 (Pham et al. 2018, abstract), 56.3 in later versions of the paper"
)
ENAS_LM_SOURCE = (
    "google-research/enas_lm, src/fixed_lib.py and fixed.py: batches of 64, windows of about 35 words (truncated "
    "normal there) and at most 55, 3000 epochs of SGD at 20, norm clipped at 0.25, weight decay 8e-7 without the half "
    "(before clipping there, after it here), AR 0.7 on the raw output, averaging with patience 10. Perplexity there, "
    "test: 56.1 ± 0.1 on TPUs and 57.3 ± 0.1 on GPUs (README)"
)
DARTS_TRAINER = (
    "batches of 64, windows of about 35 words and at most 55, {epochs} epochs of SGD at 20, norm clipped at 0.25, "
    "weight decay {decay:g}, TAR 1e-3, averaging with patience 5. It goes back to its best weights where a loss is not "
    "a number, and a replicate stops here. Perplexity there, {figures}"
)


def _trained(
    epochs: int, weight_decay: float, regularised: TextTraining, patience: int = 5
) -> TrainingConfig:
    """SGD at 20, clipped at 0.25, in batches of 64 and windows of varied length up to 55, averaged once triggered."""
    return TrainingConfig(
        steps=Steps(epochs=epochs),
        batch_size=64,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(
            name="sgd", learning_rate=20.0, weight_decay=weight_decay, clip_norm=0.25
        ),
        text=dataclasses.replace(regularised, varied_windows=True, window_cap=20),
        averaging=AveragingConfig(trigger="non-monotone", patience=patience),
    )


def _searched(summary: str, full: Experiment, learning_rate: float = 10.0) -> Recipe[Experiment]:
    """A searched cell, with its small recipe of fewer steps, as its operations are many."""
    return language_recipe(summary, full, {"hidden": 64}, steps=400, learning_rate=learning_rate)


def _by_darts_trainer(
    summary: str,
    name: str,
    network: NetworkConfig,
    where: str,
    figures: str,
    *,
    epochs: int,
    data: str = "ptb",
    weight_decay: float = 8e-7,
) -> Recipe[Experiment]:
    """A cell as rnn/train.py of quark0/darts trains it, of which NAO's is a copy."""
    how = DARTS_TRAINER.format(epochs=epochs, decay=weight_decay, figures=figures)
    training = _trained(epochs, weight_decay, TextTraining(slowness=1e-3))
    full = language_model(name, f"{where}: {how}", network, text(data, WINDOW), training)
    return _searched(summary, full)


ENAS_RNN = language_model(
    "enas-rnn-ptb",
    ENAS_SOURCE,
    NetworkConfig(name="enas-rnn"),
    text("ptb", WINDOW),
    TrainingConfig(
        steps=Steps(epochs=2000),
        batch_size=64,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(
            name="sgd",
            learning_rate=20.0 * WINDOW,
            weight_decay=2 * 5e-7 / WINDOW,
            clip_norm=0.25 / WINDOW,
        ),
        schedule=ScheduleConfig(
            name="step",
            # 0.9991 ** 117 = 0.9; each step stands for the 117 epochs around it.
            milestones=tuple(Steps(epochs=epoch) for epoch in range(14 + 117 // 2, 2000, 117)),
            factor=0.9,
        ),
        text=TextTraining(
            slowness=round(1e-3 * 748 * (WINDOW - 1) / WINDOW, 4), slowness_of="dropped"
        ),
    ),
)
# Of ENAS's small training, whose rate falls.
FALLING_RATE = 20.0

SEARCHED_LANGUAGE = (
    _searched(
        "The recurrent cell that ENAS released, retrained on the Penn Treebank as its script does",
        ENAS_RNN,
        FALLING_RATE,
    ),
    _searched(
        "The recurrent cell of the corrected ENAS code, retrained on the Penn Treebank as there",
        language_model(
            "enas-lm-ptb",
            ENAS_LM_SOURCE,
            NetworkConfig(name="enas-lm"),
            text("ptb", WINDOW),
            _trained(
                3000, 2 * 8e-7, TextTraining(activation=0.7, activation_of="raw"), patience=10
            ),
        ),
    ),
    _by_darts_trainer(
        "The recurrent cell that NAO found, retrained on the Penn Treebank as its script does",
        "nao-rnn-ptb",
        NetworkConfig(name="nao-rnn"),
        "renqianluo/NAO, NAO/rnn/train_ptb_final.sh and train.py",
        "test: 56.0 (Luo et al. 2018, abstract), 56.02 (README)",
        epochs=4000,
    ),
    _by_darts_trainer(
        "The recurrent cell that NAO found, retrained on WikiText-2 as its script does",
        "nao-rnn-wt2",
        NetworkConfig(name="nao-rnn", size={"hidden": 700, "dropout_cell_state": 0.15}),
        "renqianluo/NAO, NAO/rnn/train_wt2_final.sh and train.py",
        "test: 67.10 (README)",
        epochs=2000,
        data="wikitext-2",
        weight_decay=5e-7,
    ),
    _by_darts_trainer(
        "The recurrent cell that NAO found with shared weights, retrained on the Penn Treebank as its script does",
        "nao-ws-rnn-ptb",
        NetworkConfig(name="nao-ws-rnn"),
        "renqianluo/NAO, NAO-WS/rnn/train_final.sh and train.py",
        "test: 56.6 (Luo et al. 2018, abstract), 56.66 (README)",
        epochs=4000,
    ),
    _by_darts_trainer(
        "The recurrent cell of second-order DARTS, retrained on the Penn Treebank as its code does",
        "darts-rnn-ptb",
        NetworkConfig(name="darts-rnn-v2"),
        "quark0/darts, rnn/train.py",
        "validation / test: 58.1 / 55.7 (Li & Talwalkar 2019, table 2)",
        epochs=8000,
    ),
    _by_darts_trainer(
        "The recurrent cell of first-order DARTS, retrained on the Penn Treebank as its code does",
        "darts-rnn-v1-ptb",
        NetworkConfig(name="darts-rnn-v1"),
        "quark0/darts, rnn/train.py",
        "validation / test: 60.2 / 57.6 (Li & Talwalkar 2019, table 2)",
        epochs=8000,
    ),
    _searched(
        "A recurrent cell drawn at random from ENAS's space, the control of a search, retrained as ENAS's",
        dataclasses.replace(
            ENAS_RNN,
            name="random-rnn-ptb",
            source=f"this project, as ENAS's own cell: {ENAS_RNN.source}",
            network=NetworkConfig(name="random-rnn"),
        ),
        FALLING_RATE,
    ),
)
