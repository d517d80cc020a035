"""The configuration of a run: what it refuses, and how it is written and read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lottery.checks import check_pruning
from lottery.experiments import Experiment
from lottery.identity import ReplicateId
from lottery.pruning.config import PruningConfig
from tests.tiny_runs import TINY, TINY_TEXT, TOML, rewinding_to
from training.configs import ScheduleConfig
from training.errors import LotteryError
from training.plain import from_plain, to_plain
from training.steps import Steps
from training.toml_text import from_toml, override, to_toml


@pytest.mark.parametrize("experiment", [TINY, TINY_TEXT])
def test_toml_and_json_come_back(experiment: Experiment) -> None:
    assert from_toml(Experiment, to_toml(experiment), "x.toml") == experiment
    assert from_plain(Experiment, json.loads(json.dumps(to_plain(experiment)))) == experiment


def test_a_written_file_is_read() -> None:
    assert from_toml(Experiment, TOML, "tiny.toml").resolved(20) == TINY


def test_the_stored_form_is_pinned() -> None:
    stored = to_plain(TINY)
    assert list(stored) == [
        *("name", "source", "seeds", "copies", "levels", "arms", "margin"),
        *("network", "data", "training", "pruning", "rewinding", "transfer"),
    ]
    assert stored["pruning"] == {
        "criterion": "magnitude",
        "scope": "global",
        "schedule": "geometric",
        "rate": 0.5,
        "output_rate": None,
        "convolution_rate": None,
        "densities": [],
        "embeddings": False,
        "batches": 1,
        "structure": "weights",
    }
    assert stored["rewinding"] == {
        "step": "0it",
        "weights": "start",
        "schedule": "rewind",
        "optimizer_state": "fresh",
    }


def test_a_run_from_before_momenta_could_be_rewound_is_read() -> None:
    stored = to_plain(TINY)
    del stored["rewinding"]["optimizer_state"]
    assert from_plain(Experiment, stored) == TINY


def test_equal_meanings_are_equal_once_resolved() -> None:
    epochs = dataclasses.replace(TINY.training, steps=Steps(epochs=1))
    assert dataclasses.replace(TINY, training=epochs) != TINY
    assert dataclasses.replace(TINY, training=epochs).resolved(20) == TINY.resolved(20)


def test_the_first_period_of_restarts_is_resolved() -> None:
    how = dataclasses.replace(
        TINY.training, schedule=ScheduleConfig(name="cosine", restart=Steps(epochs=2))
    )
    found = dataclasses.replace(TINY, training=how).resolved(20)
    assert found.training.schedule.restart == Steps(iterations=40)


def test_every_number_of_steps_is_resolved() -> None:
    schedule = {"name": "step", "milestones": ["1ep", "1ep5it"], "warmup": "1ep"}
    plain = {**to_plain(TINY), "rewinding": {"step": "1ep"}}
    plain["training"] = {
        **plain["training"],
        "steps": "3ep",
        "eval_every": "1ep",
        "schedule": schedule,
    }
    found = from_plain(Experiment, plain).resolved(20)
    assert found.training.steps == Steps(iterations=60)
    assert found.training.eval_every == Steps(iterations=20)
    assert found.training.schedule.milestones == (Steps(iterations=20), Steps(iterations=25))
    assert found.training.schedule.warmup == Steps(iterations=20)
    assert found.rewinding.step == Steps(iterations=20)


@pytest.mark.parametrize("step", [20, 21])
def test_the_rewind_step_comes_before_the_last(step: int) -> None:
    with pytest.raises(LotteryError, match="before the last step, 20"):
        dataclasses.replace(TINY, rewinding=rewinding_to(step)).resolved(20)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"copies": 0}, "copies = 0 is out of range; it must be 1 to 1,000."),
        ({"copies": 1001}, "copies = 1001 is out of range"),
        ({"levels": -1}, "levels = -1 is out of range; it must be 0 to 1,000."),
        ({"seeds": ()}, "seeds = none is out of range"),
        ({"seeds": (1, 1)}, "name each once"),
        ({"arms": ("dense", "dense")}, "name each once"),
        ({"seeds": (2**31,)}, "within 32 bits"),
        ({"margin": -0.1}, "margin = -0.1 is out of range"),
    ],
)
def test_out_of_range_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        dataclasses.replace(TINY, **change)


@pytest.mark.parametrize("rate", [1.0, -0.1])
@pytest.mark.parametrize("name", ["rate", "output_rate", "convolution_rate"])
def test_rates_lie_from_0_to_below_1(name: str, rate: float) -> None:
    given: dict[str, Any] = {"scope": "layerwise", name: rate}
    with pytest.raises(LotteryError, match=f"{name} = {rate} is out of range"):
        PruningConfig(**given)


def test_rates_of_layers_need_the_layerwise_scope() -> None:
    with pytest.raises(LotteryError, match="left out unless scope is layerwise"):
        check_pruning(dataclasses.replace(TINY, pruning=PruningConfig(output_rate=0.1)))


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("pruning.rat=0.5", "did you mean pruning.rate"),
        ("prunning.rate=0.5", "did you mean pruning"),
        ("pruning.rate=nan", "not finite"),
        ("training.optimizer.learning_rate=inf", "not finite"),
        ("margin=nan", "not finite"),
        ("levels=2.5", "not a whole number"),
        ("seeds=7", "not a list"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(assignment: str, words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        override(TINY, assignment)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("pruning.criterion=magnitud", "did you mean magnitude"),
        ("pruning.scope=globl", "did you mean global"),
        ("pruning.schedule=geometrc", "did you mean geometric"),
    ],
)
def test_names_that_there_are_not_are_refused(assignment: str, words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        check_pruning(override(TINY, assignment))


def test_the_tickets_are_the_copies_of_each_seed() -> None:
    assert TINY.tickets == (ReplicateId("ticket", 0), ReplicateId("ticket", 1))
    twice = dataclasses.replace(TINY, copies=2)
    assert [(one.seed, one.copy) for one in twice.tickets] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    # Two controls beside each.
    assert [twice.replicates_at(level) for level in range(3)] == [4, 12, 12]


def test_steps_of_a_level_are_those_after_the_rewind_step() -> None:
    late = dataclasses.replace(TINY, rewinding=rewinding_to(5))
    assert [late.first_step(level) for level in range(3)] == [0, 5, 5]
    assert [late.level_steps(level) for level in range(3)] == [20, 15, 15]
