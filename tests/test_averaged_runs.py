"""A whole run with averaged weights, varied windows and regularised activations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lottery.experiments import Experiment
from lottery.history import read_history
from lottery.identity import ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.pruning.masks import kept
from lottery.records import read_records
from lottery.runs import Run
from tests.tiny_runs import (
    TINY_TEXT,
    carry_out,
    carry_out_in_pieces,
    files,
    rewinding_to,
    text,
)
from training.configs import AveragingConfig, OptimizerConfig
from training.errors import LotteryError
from training.steps import Steps
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining
from training.toml_text import from_toml, override, to_toml

SETTINGS = TextTraining(activation=2.0, slowness=1.0, varied_windows=True, window_cap=2)
AVERAGED = dataclasses.replace(
    TINY_TEXT,
    levels=1,
    training=dataclasses.replace(
        TINY_TEXT.training,
        eval_every=Steps(iterations=2),
        optimizer=OptimizerConfig(name="sgd", learning_rate=20.0, clip_norm=0.25),
        text=SETTINGS,
        averaging=AveragingConfig(trigger="non-monotone", patience=1, finetune=Steps(iterations=8)),
    ),
    rewinding=rewinding_to(3),
)


def task() -> LanguageModelling:
    plain = text()
    assert isinstance(plain, LanguageModelling)
    return LanguageModelling(plain.data, 4, 6, evaluation_columns=3, settings=SETTINGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("averaged") / "tiny"
    carry_out(AVERAGED, root, task())
    return Run(root)


def test_the_end_that_is_recorded_is_the_average_that_was_looked_at(finished: Run) -> None:
    looked = {
        (row.level, row.arm, row.seed): row.value
        for row in read_history(finished.root)
        if row.metric == "loss" and row.step == AVERAGED.training.steps.iterations
    }
    records = read_records(finished.root)
    assert len(records) == len(looked) == 6
    for record in records:
        (end,) = (
            value.value
            for value in record.values
            if (value.at, value.split, value.metric) == ("end", "validation", "loss")
        )
        assert end == pytest.approx(looked[record.level, record.arm, record.seed], rel=1e-6)


def test_it_is_the_averages_that_are_pruned(finished: Run) -> None:
    finals = read_weights(finished.level(0))
    masks = read_masks(finished.level(1))
    for seed in AVERAGED.seeds:
        mask = masks[ReplicateId("ticket", seed)]
        held = torch.cat(
            [finals[ReplicateId("ticket", seed)][name].abs().flatten() for name in mask]
        )
        alive = torch.cat([m.flatten() for m in mask.values()])
        assert float(held[alive].min()) >= float(held[~alive].max())
        assert kept(mask) == round(len(held) / 2)


def test_averaged_tickets_are_0_where_they_are_pruned(finished: Run) -> None:
    finals = read_weights(finished.level(1))
    for place, mask in read_masks(finished.level(1)).items():
        for name, kept_ones in mask.items():
            assert not finals[place][name][~kept_ones].any()


@pytest.mark.parametrize("every", [7, 11])
def test_stopped_and_resumed_is_uninterrupted(finished: Run, tmp_path: Path, every: int) -> None:
    root = tmp_path / "tiny"
    assert carry_out_in_pieces(AVERAGED, root, task(), every=every) > 1
    assert files(root) == files(finished.root)


def test_it_goes_through_toml_and_the_command_line() -> None:
    assert from_toml(Experiment, to_toml(AVERAGED), "x.toml") == AVERAGED
    changed = override(
        override(TINY_TEXT, "training.text.slowness=1"), "training.text.activation=2"
    )
    assert changed.training.text == TextTraining(activation=2.0, slowness=1.0)
    refused = "training.averaging.trigger = non-monotone is out of range; it must be never unless"
    with pytest.raises(LotteryError, match=refused):
        override(TINY_TEXT, "training.averaging.trigger=non-monotone")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("training.text.activation=-1", "training.text.activation = -1.0 is out of range"),
        ("training.text.slowness=-1", "training.text.slowness = -1.0 is out of range"),
        ("training.text.window_cap=-1", "training.text.window_cap = -1 is out of range"),
        ("training.text.activation_of=both", "possible: dropped, raw"),
        ("training.averaging.patience=0", "training.averaging.patience = 0 is out of range"),
        ("training.averaging.trigger=never", "must be 0it unless trigger is non-monotone"),
    ],
)
def test_out_of_range_is_refused(assignment: str, words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        override(AVERAGED, assignment)


def test_the_steps_of_fine_tuning_are_resolved() -> None:
    given = override(AVERAGED, "training.averaging.finetune=1ep1it")
    assert given.resolved(8).training.averaging.finetune == Steps(iterations=9)


@pytest.mark.parametrize("steps", [17, 18])
def test_fine_tuning_begins_after_the_rewind_step(steps: int) -> None:
    given = override(AVERAGED, f"training.averaging.finetune={steps}it")
    with pytest.raises(LotteryError, match="less than the 17 steps after the rewind step"):
        given.resolved(8)
