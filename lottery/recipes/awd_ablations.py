"""AWD-LSTM without each of its strategies in turn, as in table 4 of Merity et al. 2018; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from lottery.experiments import Experiment
from lottery.recipes.language import AWD_LSTM_PTB
from lottery.recipes.recipe import Recipe
from lottery.recipes.small_changes import small_name
from nas.catalog.catalog import entry
from nas.catalog.sizes import SizeValue
from training.steps import Steps
from training.toml_text import override


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        what: is otherwise, in words.
        published: perplexity on the Penn Treebank that the paper has for it, validation / test.
        changes: of a recipe with every strategy, as `override` takes them.
        size: of the network, over the recipe's own.
    """

    what: str
    published: str
    changes: tuple[str, ...] = ()
    size: Mapping[str, SizeValue] = field(default_factory=dict)


def ablation_rows(whole: Experiment) -> dict[str, Row]:
    """The rows of the table by name, for a recipe with every strategy."""
    steps, last = whole.training.steps, whole.training.averaging.finetune
    without_last = Steps(
        epochs=steps.epochs - last.epochs, iterations=steps.iterations - last.iterations
    )
    hidden = {**entry(whole.network.name).defaults, **whole.network.size}["hidden"]
    return {
        "without-finetuning": Row(
            "no fine-tuning stage, nor its steps",
            "60.7 / 58.8",
            (f"training.steps={without_last}", "training.averaging.finetune=0it"),
        ),
        "without-averaging": Row(
            "SGD alone for as many steps, and so no fine-tuning of the average",
            "66.3 / 63.7",
            ("training.averaging={}",),
        ),
        "without-varied-windows": Row(
            "windows of one length", "61.3 / 58.9", ("training.text.varied_windows=false",)
        ),
        "without-embedding-dropout": Row(
            "no dropout of words", "65.1 / 62.7", size={"dropout_embedding": 0.0}
        ),
        "without-weight-decay": Row(
            "no weight decay", "63.7 / 61.0", ("training.optimizer.weight_decay=0.0",)
        ),
        "without-regularisation": Row(
            "neither AR nor TAR",
            "62.7 / 60.3",
            ("training.text.activation=0.0", "training.text.slowness=0.0"),
        ),
        "with-full-embedding": Row(
            "an embedding as wide as the hidden layers", "68.0 / 65.6", size={"embedding": hidden}
        ),
        "without-dropconnect": Row("no DropConnect", "71.1 / 68.9", size={"dropconnect": 0.0}),
    }


def _ablated(whole: Recipe[Experiment], name: str, row: str) -> Recipe[Experiment]:
    """A recipe without a strategy, and its small recipe likewise.

    Args:
        whole: with every strategy.
        name: of the recipe that is made.
        row: of the table.
    """
    full = whole.config
    found = ablation_rows(full)[row]
    source = (
        f"{full.name} with {found.what}; the paper's perplexity for that row of its table 4, of a network of "
        f"full size, validation / test: {found.published}. {full.name} is from {full.source}"
    )
    small = whole.small
    return Recipe(
        summary=f"AWD-LSTM with {found.what}: a row of the paper's table 4",
        config=dataclasses.replace(
            override(full, *found.changes),
            name=name,
            source=source,
            network=dataclasses.replace(full.network, size={**full.network.size, **found.size}),
        ),
        small=None if small is None else _ablated(small, small_name(name), row),
    )


AWD_ABLATIONS = tuple(
    _ablated(AWD_LSTM_PTB, f"{AWD_LSTM_PTB.name}-{row}", row)
    for row in ablation_rows(AWD_LSTM_PTB.config)
)
