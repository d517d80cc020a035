"""Recipes: each is an experiment that can be written, read and carried out."""

from __future__ import annotations

import pytest
import torch

from lottery.controls import CONTROLS
from lottery.criteria import CRITERIA
from lottery.experiments import Experiment
from lottery.prunable import prunable_names
from lottery.pruning import keep_count
from lottery.recipes import DEMO, RECIPES, recipe
from nas.networks import build
from training.datasets.catalog import data_options
from training.errors import LotteryError
from training.plain import from_toml, to_toml
from training.specs import ImageSpec, Spec, TextSpec
from training.steps import Steps

SPECS: dict[str, Spec] = {
    "digits": ImageSpec(channels=1, height=8, width=8, classes=10),
    "mnist": ImageSpec(channels=1, height=28, width=28, classes=10),
    "pydoc": TextSpec(vocabulary=500),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_can_be_written_read_and_built(name: str) -> None:
    experiment = recipe(name)
    assert experiment.name == name
    assert experiment.source
    assert (RECIPES[name].__doc__ or "").endswith(".")
    assert from_toml(Experiment, to_toml(experiment), name) == experiment
    assert set(experiment.arms) <= CONTROLS.keys()
    assert experiment.pruning.criterion in CRITERIA
    assert data_options(experiment.data)
    spec = SPECS[experiment.data.name]
    network = build(experiment.network.name, experiment.network.size, spec, torch.Generator())
    assert prunable_names(network, experiment.pruning.embeddings)


def test_the_papers_numbers() -> None:
    # Frankle & Carbin 2019, figure 2, and section 2 for the five trials.
    paper = recipe("lth-lenet")
    assert (len(paper.seeds), paper.training.batch_size) == (5, 60)
    assert paper.training.steps == Steps(iterations=50_000)
    assert (paper.training.optimizer.name, paper.training.optimizer.learning_rate) == (
        "adam",
        1.2e-3,
    )
    assert (paper.pruning.scope, paper.pruning.rate, paper.pruning.output_rate) == (
        "layerwise",
        0.2,
        0.1,
    )
    assert (paper.rewinding.step, paper.rewinding.weights) == (Steps(), "start")
    short = recipe("lth-lenet-short")
    assert short.training.steps == Steps(iterations=6_000)
    assert (short.pruning, short.network, short.data) == (paper.pruning, paper.network, paper.data)


def test_the_demo_pairs_searched_and_designed_networks() -> None:
    assert [recipe(name).data.name for name in DEMO] == ["digits", "digits", "pydoc", "pydoc"]
    assert all(not name.startswith("lth") for name in DEMO)
    digits = recipe("demo-digits-enas")
    assert keep_count(100_000, digits.pruning.rate, digits.levels) == 10_737


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match=r"'lth-lennet'; did you mean lth-lenet"):
        recipe("lth-lennet")
