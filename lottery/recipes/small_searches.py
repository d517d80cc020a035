"""Searches made small: on embedded data, in minutes on two cores, with what they say of their own worth; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lottery.recipes.searches import (
    enas_macro_search,
    enas_micro_search,
    enas_rnn_search,
    nao_cell_search,
    nao_rnn_search,
    nao_ws_cell_search,
)
from lottery.recipes.small_strategies import ENAS_CHANGES, nao_changes, small_controller, small_nao
from nas.search.configs import SearchConfig
from nas.search.controller_config import ControllerConfig
from nas.search.derive_config import DeriveConfig
from nas.search.nao_config import NaoConfig
from training.configs import (
    DataConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from training.steps import Steps
from training.tasks.settings import TextTraining

Sizes = dict[str, int | float | tuple[int, ...]]

CELLS: Sizes = {"channels": 8, "normal_cells": 1, "reductions": 1}
LAYERS: Sizes = {"channels": 8}
RECURRENT: Sizes = {
    "hidden": 48,
    "dropout_embedding": 0.0,
    "dropout_input": 0.0,
    "dropout_cell_input": 0.0,
    "dropout_cell_state": 0.0,
    "dropout_output": 0.0,
}
DIGITS = DataConfig(name="digits")
PYDOC = DataConfig(name="pydoc", options={"least_count": 5, "sequence": 20})
_SOURCE = (
    "this project: {full} on embedded data, in minutes: a small network{head} trained for a few epochs, {strategy}, "
    "and 20 random architectures trained alone for {alone} steps. {full} is from {source}"
)


# Recurrent cells take SGD, as published: Adam moves all weights of a matrix the same way, and cells of relus and
# identities then amplify their state.
IMAGES = OptimizerConfig(name="adam", learning_rate=1e-2)
TEXT = OptimizerConfig(name="sgd", learning_rate=10.0, clip_norm=0.25)


def _training(steps: Steps, optimizer: OptimizerConfig, text: TextTraining) -> TrainingConfig:
    return TrainingConfig(
        steps=steps,
        batch_size=64,
        eval_every=Steps(iterations=20),
        optimizer=optimizer,
        schedule=ScheduleConfig(name="cosine", least=0.1),
        text=text,
    )


def _small(
    full: SearchConfig,
    network: Sizes,
    data: DataConfig,
    *,
    epochs: int = 1,
    phase: int = 1,
    alone: int,
    strategy: str,
    retraining: str,
    nodes: int | None = None,
    layers: int = 12,
    controller: ControllerConfig | None = None,
    nao: NaoConfig | None = None,
) -> SearchConfig:
    """A search over the same space by the same method, on embedded data.

    Args:
        full: the published search.
        network: sizes.
        data: embedded.
        epochs: of the shared weights, where there are some.
        phase: epochs between two phases of the strategy.
        alone: steps of each stand-alone training.
        strategy: what of it is smaller, in words.
        retraining: the recipe that trains what was found.
        nodes: of a cell.
        layers: of a network searched layer by layer.
        controller: of ENAS.
        nao: of NAO.
    """
    optimizer = TEXT if full.space == "recurrent" else IMAGES
    text = TextTraining() if full.shared is None else full.shared.text
    shared = _training(Steps(epochs=epochs), optimizer, text)
    return dataclasses.replace(
        full,
        name=f"{full.name}-small",
        source=_SOURCE.format(
            full=full.name,
            # It would stand behind the last of the three cells, where the classifier is.
            head=" without auxiliary head" if "auxiliary" in full.network else "",
            strategy=strategy,
            alone=alone,
            source=full.source,
        ),
        network=network,
        data=data,
        nodes=nodes,
        layers=layers,
        shared=None if full.shared is None else shared,
        phase=Steps(epochs=phase),
        initial=None,
        shown=5,
        controller=controller,
        nao=nao or full.nao,
        derive=DeriveConfig(
            sampled=30,
            minibatches=2,
            ranked=10,
            random=20,
            alone=_training(Steps(iterations=alone), optimizer, text),
            alone_best=5,
        ),
        retraining=retraining,
    )


def _enas_digits(epochs: int, phase: int) -> SearchConfig:
    full = enas_micro_search()
    return _small(
        full,
        CELLS,
        DIGITS,
        nodes=2,
        epochs=epochs,
        phase=phase,
        alone=60,
        controller=small_controller(full),
        strategy=ENAS_CHANGES,
        retraining="demo-digits-enas",
    )


def enas_micro_search_small() -> SearchConfig:
    """`enas-micro-search` made small: cells of 2 nodes for handwritten digits, in minutes."""
    return _enas_digits(epochs=64, phase=4)


def enas_macro_search_small() -> SearchConfig:
    """`enas-macro-search` made small: 6 layers for handwritten digits, in minutes."""
    full = enas_macro_search()
    return _small(
        full,
        LAYERS,
        DIGITS,
        layers=6,
        epochs=64,
        phase=4,
        alone=60,
        controller=small_controller(full),
        strategy=ENAS_CHANGES,
        retraining="demo-digits-enas",
    )


def enas_rnn_search_small() -> SearchConfig:
    """`enas-rnn-search` made small: a recurrent cell of 6 nodes for Python's documentation, in minutes."""
    full = enas_rnn_search()
    return _small(
        full,
        RECURRENT,
        PYDOC,
        nodes=6,
        epochs=16,
        alone=148,
        controller=small_controller(full),
        strategy=ENAS_CHANGES,
        retraining="demo-text-enas",
    )


def nao_cell_search_small() -> SearchConfig:
    """`nao-cell-search` made small: cells of 2 nodes for handwritten digits, each trained alone, in minutes."""
    nao = small_nao("cell", sharing=False)
    return _small(
        nao_cell_search(),
        CELLS,
        DIGITS,
        nodes=2,
        alone=40,
        nao=nao,
        strategy=nao_changes(nao),
        retraining="demo-digits-enas",
    )


def nao_ws_cell_search_small() -> SearchConfig:
    """`nao-ws-cell-search` made small: cells of 2 nodes for handwritten digits, in minutes."""
    nao = small_nao("cell", sharing=True, every=4)
    return _small(
        nao_ws_cell_search(),
        CELLS,
        DIGITS,
        nodes=2,
        epochs=64,
        phase=4,
        alone=60,
        nao=nao,
        strategy=nao_changes(nao),
        retraining="demo-digits-enas",
    )


def nao_rnn_search_small() -> SearchConfig:
    """`nao-rnn-search` made small: a recurrent cell of 5 searched nodes for Python's documentation, in minutes."""
    nao = small_nao("recurrent", sharing=True, every=2)
    return _small(
        nao_rnn_search(),
        RECURRENT,
        PYDOC,
        nodes=6,
        epochs=16,
        phase=2,
        alone=148,
        nao=nao,
        strategy=nao_changes(nao),
        retraining="demo-text-enas",
    )


def demo_digits_search() -> SearchConfig:
    """ENAS looks for convolutional cells of 2 nodes for handwritten digits."""
    small = enas_micro_search_small()
    short = _enas_digits(epochs=21, phase=3)
    return dataclasses.replace(
        short,
        name="demo-digits-search",
        derive=dataclasses.replace(short.derive, random=10, alone_best=3),
        source=f"this project: {small.name} with a third of its steps, and 10 random architectures "
        f"beside the best 3. {small.source}",
    )


SMALL_SEARCHES: dict[str, Callable[[], SearchConfig]] = {
    "demo-digits-search": demo_digits_search,
    "enas-micro-search-small": enas_micro_search_small,
    "enas-macro-search-small": enas_macro_search_small,
    "enas-rnn-search-small": enas_rnn_search_small,
    "nao-cell-search-small": nao_cell_search_small,
    "nao-ws-cell-search-small": nao_ws_cell_search_small,
    "nao-rnn-search-small": nao_rnn_search_small,
}
