"""Lines between trained networks: by hand, against evaluations of averaged weights, and on a level of a run."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from lottery.experiments import Experiment, NetworkConfig
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_weights
from lottery.measurements import connectivity
from lottery.measurements.catalog import MEASUREMENTS
from lottery.measurements.connectivity import (
    CONNECTIVITY,
    ConnectivitySettings,
    barrier,
    between,
    recompute_norms,
)
from lottery.measurements.measuring import measure_levels
from lottery.readings import Reading
from lottery.records import read_records
from lottery.runs import Run
from tests.tiny_runs import TINY, TINY_TEXT, StopAfter, carry_out, digits, session, text
from tests.tiny_tasks import image_task, network
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task

THREE = dataclasses.replace(
    TINY,
    copies=3,
    levels=1,
    arms=("random-mask",),
    network=NetworkConfig(name="resnet", size={"depth": 8, "width": 2}),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("lines") / "tiny"
    carry_out(THREE, root)
    return Run(root)


def measured(
    run: Run,
    settings: ConnectivitySettings,
    levels: Sequence[int] = (1,),
    experiment: Experiment = THREE,
    task: Task | None = None,
) -> list[Reading]:
    one = session(experiment, run.root, task)
    return measure_levels(one, "connectivity", CONNECTIVITY, settings, levels)


def value(readings: Sequence[Reading], one: ReplicateId, metric: str, x: float | None) -> float:
    (found,) = (r.value for r in readings if r.replicate == one and r.metric == metric and r.x == x)
    assert found is not None
    return found


def test_a_barrier_by_hand() -> None:
    assert barrier([2.0, 5.0, 4.0]) == 2.0
    # A line that sags has none: its ends are the highest.
    assert barrier([2.0, 1.0, 2.0]) == 0.0
    assert barrier([2.0, 1.0, 4.0]) == 1.0


def test_a_point_between_two_networks() -> None:
    one = {"w": torch.tensor([0.0, 4.0]), "batches": torch.tensor(7)}
    other = {"w": torch.tensor([8.0, 0.0]), "batches": torch.tensor(9)}
    point = between(one, other, 0.25)
    assert point["w"].tolist() == [2.0, 3.0] and int(point["batches"]) == 7


def test_the_ends_of_a_line_are_the_networks_and_its_middle_their_mean(finished: Run) -> None:
    """Every network has two partners: its own curve is the mean of both lines."""
    settings = ConnectivitySettings(points=3)
    readings = measured(finished, settings)
    records = {r.replicate: r for r in read_records(finished.root) if r.level == 1}
    finals = read_weights(finished.level(1))
    # Three points and a barrier, of loss and error.
    assert len(readings) == len(records) * 2 * 4
    assert {r.other for r in readings} == {"copies, test"} and {r.at for r in readings} == {"end"}
    task = digits()
    for one, record in records.items():
        accuracy = {(v.at, v.split, v.metric): v.value for v in record.values}
        at_end = accuracy["end", "test", "accuracy"]
        assert at_end is not None
        assert value(readings, one, "error", 0.0) == pytest.approx(100 - at_end, abs=1e-9)
        errors, barriers = [], []
        for two, partner in records.items():
            if two.original != one.original or two == one:
                continue
            middle = {
                name: (t + finals[two][name]) / 2 if t.is_floating_point() else t
                for name, t in finals[one].items()
            }
            alone = Replicates([session(THREE).network], [0], "looped").eval()
            alone.load({name: tensor[None] for name, tensor in middle.items()})
            error = 100 - float(task.evaluate(alone, "test").metric[0])
            other = {(v.at, v.split, v.metric): v.value for v in partner.values}
            there = other["end", "test", "accuracy"]
            assert there is not None
            ends = 100 - at_end, 100 - there
            errors.append(error)
            barriers.append(max(error, *ends) - sum(ends) / 2)
        assert len(errors) == 2
        assert value(readings, one, "error", 0.5) == pytest.approx(sum(errors) / 2, abs=0.51)
        assert value(readings, one, "error barrier", None) == pytest.approx(
            sum(barriers) / 2, abs=0.51
        )


def test_copies_of_one_seed_share_a_barrier_between_two(tmp_path: Path) -> None:
    twice = dataclasses.replace(TINY, copies=2, levels=0, arms=())
    carry_out(twice, tmp_path / "tiny")
    readings = measured(Run(tmp_path / "tiny"), ConnectivitySettings(points=5), [0], twice)
    for seed in (0, 1):
        one, two = (ReplicateId(TICKET, seed, copy) for copy in (0, 1))
        for metric in ("loss", "error"):
            forth = [value(readings, one, metric, x / 4) for x in range(5)]
            back = [value(readings, two, metric, x / 4) for x in range(5)]
            assert forth == back[::-1]
            shared = value(readings, one, f"{metric} barrier", None)
            assert shared == value(readings, two, f"{metric} barrier", None) == barrier(forth)


@pytest.mark.parametrize("of", ["levels", "dense"])
def test_lines_to_another_level(finished: Run, of: str) -> None:
    settings = ConnectivitySettings(
        between="dense" if of == "dense" else "levels", split="validation", points=3
    )
    assert measured(finished, settings, [0]) == []
    readings = measured(finished, settings)
    dense = {r.replicate: r for r in read_records(finished.root) if r.level == 0}
    arms = {r.arm for r in readings}
    # Level 0 has one network of each seed and copy, which is every arm's.
    assert arms == {TICKET, "random-mask"}
    for one in {r.replicate for r in readings}:
        partner = dense[dataclasses.replace(one, arm=TICKET)]
        there = {(v.at, v.split, v.metric): v.value for v in partner.values}
        expected = there["end", "validation", "loss"]
        assert value(readings, one, "loss", 1.0) == pytest.approx(expected, rel=1e-4)


def test_the_training_split_and_perplexity(tmp_path: Path) -> None:
    twice = dataclasses.replace(TINY_TEXT, copies=2, levels=0, arms=())
    carry_out(twice, tmp_path / "tiny", text())
    settings = ConnectivitySettings(points=3, split="train")
    readings = measured(Run(tmp_path / "tiny"), settings, [0], twice, text())
    assert {r.metric for r in readings} == {
        *("loss", "loss barrier", "perplexity", "perplexity barrier")
    }
    one = ReplicateId(TICKET, 0)
    loss, perplexity = (value(readings, one, metric, 0.0) for metric in ("loss", "perplexity"))
    task = text()
    assert isinstance(task, LanguageModelling)
    per_word = task.data.tokens_per_word("train")
    assert perplexity == pytest.approx(torch.tensor(loss * per_word).exp().item(), rel=1e-6)


def test_recomputed_norms_are_the_mean_over_batches() -> None:
    """As torch's own batch norm has them without momentum."""
    task = image_task()
    experiment = dataclasses.replace(THREE, training=dataclasses.replace(THREE.training))
    one = session(experiment, task=task)
    made = [network("resnet", seed) for seed in (0, 1)]
    for batching in ("stacked", "looped"):
        replicates = Replicates(made, [3, 4], "stacked" if batching == "stacked" else "looped")
        weights = {name: tensor.clone() for name, tensor in replicates.weights().items()}
        recompute_norms(one, replicates, 2)
        assert all(torch.equal(t, weights[name]) for name, t in replicates.weights().items())
        for r, (plain, seed) in enumerate(zip(made, (3, 4), strict=True)):
            alone = copy.deepcopy(plain).eval()
            for module in alone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
                    module.momentum = None
                    module.train()
            draw = task.batches([seed])
            with torch.no_grad():
                for step in range(2):
                    alone(draw(step)[0][0])
            for name, buffer in alone.named_buffers():
                if "running" in name:
                    torch.testing.assert_close(replicates.stacked[name][r], buffer)


def test_recomputing_changes_the_middle_and_not_what_is_there(finished: Run) -> None:
    plain, anew = (
        measured(finished, ConnectivitySettings(points=3, norms=norms, batches=5))
        for norms in ("interpolated", "recomputed")
    )
    middles = [[r.value for r in found if r.x == 0.5] for found in (plain, anew)]
    assert middles[0] != middles[1]


def test_what_was_measured_is_not_measured_again(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ConnectivitySettings(points=4)
    first = measured(finished, settings)

    def again(*_: object) -> object:
        raise AssertionError("it was measured")

    monkeypatch.setattr(connectivity, "_along", again)
    assert measured(finished, settings) == first


def test_a_run_without_copies_is_told_what_to_do(tmp_path: Path) -> None:
    experiment = dataclasses.replace(TINY, levels=1)
    carry_out(experiment, tmp_path / "tiny")
    with pytest.raises(LotteryError, match="one copy of each ticket.*between=dense"):
        measured(Run(tmp_path / "tiny"), ConnectivitySettings(), experiment=experiment)


def test_it_stops_when_asked_to(tmp_path: Path) -> None:
    experiment = dataclasses.replace(TINY, levels=1, arms=())
    carry_out(experiment, tmp_path / "tiny")
    one = session(experiment, tmp_path / "tiny", watcher=StopAfter(1))
    settings = ConnectivitySettings(points=3, between="dense")
    with pytest.raises(LotteryError) as caught:
        measure_levels(one, "connectivity", CONNECTIVITY, settings, [1])
    assert caught.value.exit_code == ExitCode.RESUMABLE


def test_words_are_said_of_every_setting() -> None:
    fields = {field.name for field in dataclasses.fields(ConnectivitySettings)}
    assert MEASUREMENTS["connectivity"].words.keys() == fields
