"""Recipes of hand-designed language models on the Penn Treebank and WikiText-2, trained as published; torch-free.

Validation and test text is read in 10 columns here, in 1 or 10 there. Perplexities that a source gives are its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lottery.experiments import Experiment, NetworkConfig, RewindingConfig
from lottery.pruning.config import PruningConfig
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_experiments import TEXT, with_small
from nas.catalog.sizes import SizeValue
from training.configs import (
    AveragingConfig,
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps
from training.tasks.settings import TextTraining

# Words per window in the codes of ENAS, DARTS and NAO, for searching as for retraining.
WINDOW = 35
ARMS = ("reinitialised", "random-mask")
YU = "Yu et al. 2020 (arXiv 1906.02768)"
PRUNED = (
    f"the source prunes nothing: as {YU} do, 20 % goes per level globally, and the rest returns to the end of the "
    "first epoch; embeddings stay whole"
)
AWD_SOURCE = (
    "salesforce/awd-lstm-lm, README (command line) and main.py: batches of {batch}, windows of about 70 words, SGD at "
    "30, weight decay 1.2e-6, norm clipped at 0.25, AR 2 and TAR 1, NT-ASGD; {epochs} epochs and as many of "
    "fine-tuning at most (finetune.py), whose cap on windows holds throughout here. Perplexity there, validation / "
    "test: {figures}"
)
ON_LSTM_SOURCE = (
    "yikangshen/Ordered-Neurons, README (command line) and main.py: batches of 20, windows of about 70 words (at most "
    "80 here), SGD at 30, weight decay 1.2e-6, norm clipped at 0.25, AR 2 and TAR 1 on the raw output, NT-ASGD, 1000 "
    "epochs of which 500 fine-tune: from the raw weights and to the last epoch there, as it logs no loss that could "
    "end them, and as awd-lstm-lm's finetune.py does here. Its weights under DropConnect are 1 / 0.55 of ours, which "
    "step 0.55 ** 2 as far there. Perplexity there, validation / test: 58.29 ± 0.10 / 56.17 ± 0.12 (Shen et al. 2019, "
    "table 1)"
)
LSTM_SOURCE = (
    "Zaremba et al. 2014 (arXiv 1409.2329), section 4.1, the non-regularized LSTM: batches of 20, windows of 20 words, "
    "13 epochs of SGD at 1, halved after each from the fourth on, norm clipped at 5. Its loss is a sum over the "
    "window, ours a mean: so 20 times its rate and 1/20 of its norm; there is no second matrix for the decoder here"
)
YU_SOURCE = (
    f"{YU}, language model of WikiText-2: batches of 30, windows of 50 words, 10 epochs of Adam at 1e-3 with epsilon "
    "1e-3, 20 % of all weights per level globally in 20 levels, embeddings among them, rewound to the end of the first "
    "epoch, beside random tickets; biases are pruned there and not here. It gives curves and no table of perplexities"
)


STACK: Mapping[str, SizeValue] = {"embedding": 64, "hidden": 128, "layers": 2}
SHALLOW: Mapping[str, SizeValue] = {"embedding": 96, "hidden": 96}


def language_model(
    name: str, source: str, network: NetworkConfig, data: DataConfig, training: TrainingConfig
) -> Experiment:
    """A language model, pruned globally by 20 % per level to 3.5 % and rewound late, embeddings whole."""
    return Experiment(
        name=name,
        source=f"{source}; {PRUNED}",
        seeds=(0, 1, 2),
        levels=15,
        arms=ARMS,
        network=network,
        data=data,
        training=training,
        pruning=PruningConfig(scope="global", rate=0.2),
        rewinding=RewindingConfig(step=Steps(epochs=1)),
    )


def language_recipe(
    summary: str,
    full: Experiment,
    size: Mapping[str, SizeValue],
    *,
    steps: int = TEXT.steps,
    learning_rate: float = 10.0,
) -> Recipe[Experiment]:
    """A language model trained by SGD, with its small recipe.

    Args:
        summary: of the recipe.
        full: its experiment.
        size: of the small network.
        steps: of the small training.
        learning_rate: of the small training: at the published 20 to 30 it diverges or idles for hundreds of steps.
    """
    optimizer = dataclasses.replace(
        full.training.optimizer, learning_rate=learning_rate, clip_norm=0.25
    )
    small = dataclasses.replace(TEXT, size=size, steps=steps, optimizer=optimizer)
    return with_small(summary, full, small)


def text(name: str, sequence: int) -> DataConfig:
    """A text data set in windows of so many tokens."""
    return DataConfig(name=name, options={"sequence": sequence})


def _merity(
    epochs: int, finetune: int, batch_size: int, regularised: TextTraining
) -> TrainingConfig:
    """The training of awd-lstm-lm and Ordered-Neurons, main.py: epochs with those of fine-tuning."""
    return TrainingConfig(
        steps=Steps(epochs=epochs),
        batch_size=batch_size,
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(
            name="sgd", learning_rate=30.0, weight_decay=1.2e-6, clip_norm=0.25
        ),
        text=regularised,
        averaging=AveragingConfig(trigger="non-monotone", finetune=Steps(epochs=finetune)),
    )


AR_AND_TAR = TextTraining(activation=2.0, slowness=1.0, varied_windows=True)
AWD_LSTM_PTB = language_recipe(
    "AWD-LSTM (arXiv 1708.02182) on the Penn Treebank, as its release trains it",
    language_model(
        "awd-lstm-ptb",
        AWD_SOURCE.format(
            batch=20,
            epochs=500,
            figures="60.0 / 57.3 (Merity et al. 2018, table 1), 58.8 / 56.5 (README)",
        ),
        NetworkConfig(
            name="awd-lstm", size={"dropout_input": 0.4, "dropout_hidden": 0.25, "second_bias": 1}
        ),
        text("ptb", 70),
        _merity(1000, 500, 20, AR_AND_TAR),
    ),
    STACK,
)
AWD_LSTM_WT2 = language_recipe(
    "AWD-LSTM (arXiv 1708.02182) on WikiText-2, as its release trains it",
    language_model(
        "awd-lstm-wt2",
        AWD_SOURCE.format(
            batch=80,
            epochs=750,
            figures="68.6 / 65.8 (Merity et al. 2018, table 2), 67.4 / 64.7 (README)",
        ),
        NetworkConfig(
            name="awd-lstm", size={"dropout_input": 0.65, "dropout_hidden": 0.2, "second_bias": 1}
        ),
        text("wikitext-2", 70),
        _merity(1500, 750, 80, AR_AND_TAR),
    ),
    STACK,
)
ON_LSTM_PTB = language_recipe(
    "ON-LSTM (arXiv 1810.09536) on the Penn Treebank, as its release trains it",
    language_model(
        "on-lstm-ptb",
        ON_LSTM_SOURCE,
        NetworkConfig(name="on-lstm"),
        text("ptb", 70),
        _merity(1000, 500, 20, dataclasses.replace(AR_AND_TAR, activation_of="raw")),
    ),
    {**STACK, "chunk": 8},
)
LSTM_PTB = language_recipe(
    "The LSTM without dropout of Zaremba et al. 2014 (arXiv 1409.2329) on the Penn Treebank",
    language_model(
        "lstm-ptb",
        LSTM_SOURCE,
        NetworkConfig(name="lstm"),
        text("ptb", 20),
        TrainingConfig(
            steps=Steps(epochs=13),
            batch_size=20,
            eval_every=Steps(epochs=1),
            optimizer=OptimizerConfig(name="sgd", learning_rate=20.0, clip_norm=0.25),
            schedule=ScheduleConfig(
                name="step",
                milestones=tuple(Steps(epochs=epoch) for epoch in range(4, 13)),
                factor=0.5,
            ),
        ),
    ),
    SHALLOW,
)
GRU_PTB = language_recipe(
    "Gated recurrent units on the Penn Treebank, trained as the LSTM without dropout",
    dataclasses.replace(
        LSTM_PTB.config,
        name="gru-ptb",
        source=f"this project, trained as the LSTM of {LSTM_PTB.config.source}",
        network=NetworkConfig(name="gru"),
    ),
    SHALLOW,
)
YU_ADAM = OptimizerConfig(name="adam", learning_rate=1e-3, epsilon=1e-3)
YU20_LSTM_WT2 = with_small(
    "The LSTM of Yu et al. 2020 (arXiv 1906.02768) on WikiText-2, pruned with its embedding and rewound late",
    Experiment(
        name="yu20-lstm-wt2",
        source=YU_SOURCE,
        seeds=(0, 1, 2),
        levels=20,
        arms=("reinitialised", "random-ticket"),
        network=NetworkConfig(name="lstm-yu"),
        data=text("wikitext-2", 50),
        training=TrainingConfig(
            steps=Steps(epochs=10), batch_size=30, eval_every=Steps(epochs=1), optimizer=YU_ADAM
        ),
        pruning=PruningConfig(scope="global", rate=0.2, embeddings=True),
        rewinding=RewindingConfig(step=Steps(epochs=1)),
    ),
    dataclasses.replace(
        TEXT, size={"hidden": 96}, optimizer=dataclasses.replace(YU_ADAM, learning_rate=3e-2)
    ),
)
LANGUAGE = (AWD_LSTM_PTB, AWD_LSTM_WT2, ON_LSTM_PTB, LSTM_PTB, GRU_PTB, YU20_LSTM_WT2)
