"""Recipes of what is asked of tickets: their numbers, and small versions that can be carried out without files."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
import torch

from lottery.checks import check
from lottery.experiments import Experiment
from lottery.pruning.config import PruningConfig
from lottery.pruning.criteria import CRITERIA
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.instability import INSTABILITY, RENDA, YU
from lottery.recipes.ticket_science import AT_INITIALISATION, SCOPES, TICKET_SCIENCE
from lottery.scoring import check_scores
from tests.tiny_runs import carry_out, session
from training.configs import ScheduleConfig
from training.steps import Steps
from training.tasks.catalog import load_task
from training.tasks.task import Task

SCIENCE = (*TICKET_SCIENCE, *INSTABILITY, *RENDA, *YU)
NAMES = [each.name for each in SCIENCE]


@functools.cache
def small_task(name: str) -> Task:
    """The data of a small recipe."""
    found = recipe(f"{name}-small")
    return load_task(found.data, found.training, None, torch.device("cpu"))


def briefly(experiment: Experiment) -> Experiment:
    """The same in a few steps of one seed."""
    training = dataclasses.replace(
        experiment.training,
        steps=Steps(iterations=4),
        eval_every=Steps(iterations=4),
        schedule=ScheduleConfig(),
    )
    late = experiment.rewinding.step != Steps()
    step = Steps(iterations=2 if late else 0)
    return dataclasses.replace(
        experiment,
        seeds=(0,),
        levels=1,
        training=training,
        rewinding=dataclasses.replace(experiment.rewinding, step=step),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_small_version_needs_no_files_and_can_prune(name: str) -> None:
    full, found = recipe(name), recipe(f"{name}-small")
    assert RECIPES[name].small is RECIPES[f"{name}-small"]
    assert found.data.name == ("pydoc" if full.data.name == "wikitext-2" else "digits")
    assert "data: name " in found.source and found.source.endswith(full.source)
    assert found.pruning == dataclasses.replace(full.pruning, rate=0.5)
    assert found.rewinding == dataclasses.replace(full.rewinding, step=found.rewinding.step)
    assert (found.rewinding.step == Steps()) == (full.rewinding.step == Steps())
    assert found.copies == full.copies
    if name not in [each.name for each in YU]:
        one = session(found, task=small_task(name))
        check(one)
        check_scores(one)


@pytest.mark.parametrize(
    "name",
    [
        *("lth-lenet-one-shot", "instability-resnet20-step500", "renda-resnet20-fine-tuning-110ep"),
        *("synflow-resnet20", "grasp-resnet20", "smart-ratio-resnet20"),
    ],
)
def test_a_small_version_is_carried_out(name: str, tmp_path: Path) -> None:
    found = briefly(recipe(f"{name}-small"))
    records = carry_out(found, tmp_path / "run", small_task(name))
    assert {record.arm for record in records if record.level == 1} == {"ticket", *found.arms}
    kept = {record.density for record in records if record.level == 1 and record.arm == "ticket"}
    assert len(kept) == 1
    expected = (*found.pruning.densities, 0.5)[0]
    # The output layer of LeNet loses a tenth.
    assert kept.pop() == pytest.approx(expected, abs=0.01)


def test_the_criteria_of_zhou_are_pruned_alike() -> None:
    found = [recipe(name) for name in NAMES if name.startswith("zhou-lenet")]
    assert len(found) == 7
    for one in found:
        assert one.training.steps == Steps(epochs=55) and one.training.batch_size == 60
        assert (one.training.optimizer.name, one.training.optimizer.learning_rate) == (
            "adam",
            1.2e-3,
        )
        same = dataclasses.replace(one.pruning, criterion="magnitude")
        assert same == PruningConfig(scope="layerwise", rate=0.2, output_rate=0.1)
    assert len({one.pruning.criterion for one in found}) == 7
    assert recipe("supermask-lenet").pruning.criterion == "magnitude-same-sign"


def test_pruning_at_initialisation_differs_in_the_criterion_alone() -> None:
    base = recipe("snip-resnet20")
    how = base.training
    assert (how.steps, how.batch_size, how.optimizer.learning_rate) == (Steps(epochs=160), 128, 0.1)
    assert how.schedule.milestones == (Steps(epochs=80), Steps(epochs=120))
    assert (how.optimizer.momentum, how.optimizer.weight_decay) == (0.9, 1e-4)
    assert base.arms == ("reinitialised", "shuffled-mask")
    for name, criterion, *_, step in AT_INITIALISATION:
        one = recipe(f"{name}-resnet20")
        same = dataclasses.replace(
            one,
            name=base.name,
            source=base.source,
            rewinding=base.rewinding,
            pruning=dataclasses.replace(one.pruning, criterion="snip"),
        )
        assert same == base and one.pruning.criterion == criterion
        # What looks at trained weights is rewound to where the dense network is stable.
        assert (step != Steps()) == ("final" in CRITERIA[criterion].needs)


def test_shares_of_layers_after_su() -> None:
    for scope, _ in SCOPES:
        one = recipe(f"{scope}-resnet20")
        assert (one.pruning.criterion, one.pruning.scope) == ("random", scope)
        assert one.pruning.densities == (0.1, 0.05, 0.02) and one.training.batch_size == 64


def test_snip_as_its_release_has_it() -> None:
    one = recipe("snip-lenet")
    how = one.training
    assert (how.steps, how.batch_size, how.optimizer.name) == (Steps(iterations=10_000), 100, "sgd")
    sgd = how.optimizer
    assert (sgd.learning_rate, sgd.momentum, sgd.weight_decay) == (0.1, 0.0, 5e-4)


def test_instability_trains_copies_from_each_step() -> None:
    lenet = recipe("instability-lenet")
    assert (lenet.copies, lenet.training.steps) == (3, Steps(iterations=24_000))
    steps = {
        name: recipe(name).rewinding.step.iterations for name in NAMES if "resnet20-step" in name
    }
    assert steps == {f"instability-resnet20-step{step}": step for step in (0, 500, 2000)}
    for name in steps:
        one, lmc = recipe(name), recipe("lmc-resnet20")
        assert one.training == lmc.training and "dense" in one.arms and one.copies == 3


def test_the_ways_of_retraining_take_as_long() -> None:
    ways = [f"renda-resnet20-{way}-small" for way in ("weight-rewinding", "rate-rewinding-110ep")]
    ways.append("renda-resnet20-fine-tuning-110ep-small")
    assert {recipe(name).level_steps(1) for name in ways} == {181}
    # 110 of 182 epochs are as many of 300 steps.
    assert round(300 * 110 / 182) == 181
    full = {each.name.removeprefix("renda-resnet20-"): each.config.rewinding for each in RENDA}
    assert {way: (how.weights, how.schedule) for way, how in full.items()} == {
        "weight-rewinding": ("start", "rewind"),
        "rate-rewinding-110ep": ("keep", "rewind"),
        "fine-tuning-110ep": ("keep", "continue"),
        "fine-tuning": ("keep", "continue"),
        "to-start": ("start", "rewind"),
    }


def test_ablations_of_yu_leave_out_one_thing() -> None:
    full = recipe("yu20-lstm-wt2")
    start, once = (recipe(each.name) for each in YU)
    assert dataclasses.replace(start.rewinding, step=full.rewinding.step) == full.rewinding
    assert start.rewinding.step == Steps() and start.pruning == full.pruning
    assert once.pruning == dataclasses.replace(full.pruning, schedule="one-shot")
    assert once.rewinding == full.rewinding
