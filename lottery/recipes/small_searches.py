"""Searches made small: on embedded data, in minutes on two cores, with what they say of their own worth; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lottery.recipes.recipe import Recipe
from lottery.recipes.small_changes import small_name, source_of_small
from nas.catalog.catalog import entry
from nas.catalog.sizes import SizeValue
from nas.search.configs import SearchConfig
from nas.search.controller_config import ControllerConfig
from nas.search.derive_config import DeriveConfig
from nas.search.enas_method import controller_of
from nas.search.methods import method_of, no_settings, own_settings
from nas.search.nao_config import NaoConfig
from nas.search.nao_method import nao_of
from nas.search.spaces import network_of
from training.configs import (
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps
from training.tasks.settings import TextTraining

# NAO scores its pool so often: before each of three rounds, and after the last.
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class SearchScale:
    """What a search is cut down to, so that it takes minutes on two cores.

    Attributes:
        what: is looked for, for summaries.
        data: embedded.
        network: sizes.
        nodes: of a cell.
        layers: of a network searched layer by layer.
        optimizer: of shared weights and of networks alone.
        epochs: of the shared weights, where there are some.
        phase: epochs between two phases of the strategy.
        alone: steps of each stand-alone training.
        random: architectures drawn at random that are trained alone.
        alone_best: of those that the search found, so many are trained alone.
        retraining: the recipe that trains what was found.
    """

    what: str
    data: DataConfig
    network: Mapping[str, SizeValue]
    nodes: int | None = None
    layers: int = 12
    optimizer: OptimizerConfig
    epochs: int
    phase: int
    alone: int
    random: int = 20
    alone_best: int = 5
    retraining: str


CELLS = SearchScale(
    what="cells of 2 nodes for handwritten digits",
    data=DataConfig(name="digits"),
    # Without the published auxiliary head: it would stand behind the last of the three cells, where the classifier is.
    network={"channels": 8, "normal_cells": 1, "reductions": 1},
    nodes=2,
    optimizer=OptimizerConfig(name="adam", learning_rate=1e-2),
    epochs=64,
    phase=4,
    alone=60,
    retraining="demo-digits-enas",
)
LAYERS = dataclasses.replace(
    CELLS, what="6 layers for handwritten digits", network={"channels": 8}, nodes=None, layers=6
)
RECURRENT = SearchScale(
    what="a recurrent cell of 6 nodes for Python's documentation",
    data=DataConfig(name="pydoc", options={"least_count": 5, "sequence": 20}),
    network={
        "hidden": 48,
        "dropout_embedding": 0.0,
        "dropout_input": 0.0,
        "dropout_cell_input": 0.0,
        "dropout_cell_state": 0.0,
        "dropout_output": 0.0,
    },
    nodes=6,
    # SGD, as published: Adam moves all weights of a matrix the same way, and cells of relus and identities then amplify
    # their state.
    optimizer=OptimizerConfig(name="sgd", learning_rate=10.0, clip_norm=0.25),
    epochs=16,
    phase=1,
    alone=148,
    retraining="demo-text-enas",
)


def with_small(summary: str, full: SearchConfig, scale: SearchScale) -> Recipe[SearchConfig]:
    """A recipe of a search with its small one.

    Args:
        summary: of the recipe, one line for lists.
        full: its search.
        scale: of the small one.
    """
    made = f"`{full.name}` made small: {scale.what}, in minutes"
    small = Recipe(summary=made, config=small_search(full, scale))
    return Recipe(summary=summary, config=full, small=small)


def small_search(full: SearchConfig, scale: SearchScale) -> SearchConfig:
    """A search over the same space by the same method, on embedded data; its source says what changed."""
    text = TextTraining() if full.shared is None else full.shared.text
    shared = _training(Steps(epochs=scale.epochs), scale.optimizer, text)
    alone = _training(Steps(iterations=scale.alone), scale.optimizer, text)
    small = dataclasses.replace(
        full,
        name=small_name(full.name),
        network=dict(scale.network),
        data=scale.data,
        nodes=scale.nodes,
        layers=scale.layers,
        shared=shared if full.sharing else None,
        phase=Steps(epochs=scale.phase),
        initial=None,
        shown=5,
        **_small_settings(full, scale),
        derive=DeriveConfig(
            sampled=30,
            minibatches=2,
            ranked=10,
            random=scale.random,
            alone=alone,
            alone_best=scale.alone_best,
        ),
        retraining=scale.retraining,
    )
    return dataclasses.replace(small, source=source_of_small(_complete(full), _complete(small)))


def _training(steps: Steps, optimizer: OptimizerConfig, text: TextTraining) -> TrainingConfig:
    return TrainingConfig(
        steps=steps,
        batch_size=64,
        eval_every=Steps(iterations=20),
        optimizer=optimizer,
        schedule=ScheduleConfig(name="cosine", least=0.1),
        text=text,
    )


def _small_settings(full: SearchConfig, scale: SearchScale) -> dict[str, Any]:
    """The settings of a search's own method, small where there is a way to make them so; None for all others."""
    smaller = SMALL_SETTINGS.get(full.method)
    if smaller is None:
        return own_settings(full)
    return {**no_settings(), method_of(full).section: smaller(full, scale)}


def _small_controller(full: SearchConfig, scale: SearchScale) -> ControllerConfig:
    """The published controller of a space, with fewer updates of fewer samples, at a higher rate."""
    published = controller_of(full)
    optimizer = dataclasses.replace(published.optimizer, learning_rate=1e-2)
    return dataclasses.replace(
        published, hidden=32, samples=5, updates=12, baseline_decay=0.9, optimizer=optimizer
    )


def _small_nao(full: SearchConfig, scale: SearchScale) -> NaoConfig:
    """The published settings of a space, with a smaller pool, fewer rounds and narrower networks."""
    published = nao_of(full)
    phases = scale.epochs // scale.phase
    return dataclasses.replace(
        published,
        pool=40 if full.sharing else 24,
        top=10,
        new=12 if full.sharing else 8,
        random=4 if full.sharing else 0,
        rounds=ROUNDS,
        every=phases // (ROUNDS + 1) if full.sharing else 1,
        embedding=16,
        hidden=48,
        predictor_layers=min(1, published.predictor_layers),
        predictor_width=48,
        epochs=150,
        batch_size=20,
        # NAO never holds any out; so the searches say how good the predictor is.
        hold_out=0.2,
    )


# Method -> its settings in a search, from these of the full one.
SMALL_SETTINGS: dict[str, Callable[[SearchConfig, SearchScale], Any]] = {
    "enas": _small_controller,
    "nao": _small_nao,
}


def _complete(config: SearchConfig) -> SearchConfig:
    """The same search with the defaults of its network and of its strategy written out."""
    return dataclasses.replace(
        config,
        network={**entry(network_of(config)).defaults, **config.network},
        **own_settings(config),
    )
