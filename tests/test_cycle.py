"""Whole cycles on a tiny network: exact masks, exact resumption, exact controls."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from lottery.arms import controls, with_controls
from lottery.checks import check
from lottery.cycle import add_control
from lottery.experiments import Experiment, NetworkConfig
from lottery.history import read_history
from lottery.identity import TICKET, ReplicateId
from lottery.levels import Replicate, read_masks, read_weights
from lottery.progress import Watcher
from lottery.pruning.config import PruningConfig
from lottery.pruning.masks import dense_mask, kept, tensors_of
from lottery.records import Record, read_records
from lottery.runs import Run
from lottery.session import Session, new_network
from lottery.ticket_files import read_start, read_tickets
from tests.tiny_runs import (
    PRUNABLE,
    STEPS,
    TINY,
    TINY_TEXT,
    carry_out,
    carry_out_in_pieces,
    digits,
    files,
    rewinding_to,
    session,
    text,
)
from training.configs import OptimizerConfig, ScheduleConfig
from training.errors import LotteryError
from training.tasks.task import Task
from training.toml_text import override

KEPT = (620, 310, 155)


def ticket(seed: int) -> ReplicateId:
    return ReplicateId(TICKET, seed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("cycle") / "tiny"
    carry_out(TINY, root)
    return Run(root)


def of(records: list[Record], arm: str, level: int, seed: int = 0) -> Record:
    return next(r for r in records if (r.arm, r.level, r.seed) == (arm, level, seed))


def test_there_is_a_record_of_every_replicate(finished: Run) -> None:
    records = read_records(finished.root)
    found = Counter((r.level, r.arm) for r in records)
    pruned = {(n, arm): 2 for n in (1, 2) for arm in ("ticket", "reinitialised", "random-mask")}
    assert found == {(0, "ticket"): 2} | pruned
    for record in records:
        assert record.kept == KEPT[record.level]
        assert (record.prunable, record.parameters, record.steps) == (
            PRUNABLE,
            PRUNABLE + 24,
            STEPS,
        )
        assert sum(layer.kept for layer in record.layers) == record.kept
        assert [layer.total for layer in record.layers] == [512, 48, 60]
        assert record.multiply_adds == record.kept
        mask_bytes = 78 if record.level else 0
        assert record.bytes == 4 * (record.kept + 24) + mask_bytes
        assert record.best_step in (6, 12, 18, 20)
        assert record.diverged_at is None
        assert {(v.at, v.split, v.metric) for v in record.values} == {
            (at, split, metric)
            for at in ("best", "end")
            for split in ("validation", "test")
            for metric in ("loss", "accuracy")
        }
        assert all(v.value is not None for v in record.values)


def test_it_learns(finished: Run) -> None:
    losses = [row for row in read_history(finished.root) if row.metric == "loss" and row.level == 0]
    curve = [row.value for row in losses if row.seed == 0 and row.value is not None]
    assert len(curve) == 4
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] < math.log(10) - 0.05


def test_masks_are_exact_and_nested_on_disk(finished: Run) -> None:
    masks = [read_masks(finished.level(n)) for n in range(3)]
    for level, of_level in enumerate(masks):
        assert all(kept(mask) == KEPT[level] for mask in of_level.values())
    for seed in (0, 1):
        for before, after in ((0, 1), (1, 2)):
            for name, mask in masks[after][ticket(seed)].items():
                assert not bool((mask & ~masks[before][ticket(seed)][name]).any())
    for level in (1, 2):
        own, reinitialised, random = (
            masks[level][ReplicateId(arm, 0)] for arm in ("ticket", "reinitialised", "random-mask")
        )
        assert all(torch.equal(own[name], reinitialised[name]) for name in own)
        assert any(not torch.equal(own[name], random[name]) for name in own)


def test_the_mask_is_of_the_largest_weights_of_the_level_before(finished: Run) -> None:
    final = read_weights(finished.level(0))[ticket(1)]
    mask = read_masks(finished.level(1))[ticket(1)]
    sizes = torch.cat([final[name].abs().flatten() for name in mask])
    chosen = torch.cat([m.flatten() for m in mask.values()])
    assert sizes[chosen].min() >= sizes[~chosen].max()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_pruned_weights_are_exactly_zero_and_kept_ones_trained(finished: Run, level: int) -> None:
    masks, weights = (read(finished.level(level)) for read in (read_masks, read_weights))
    for key, mask in masks.items():
        for name, m in mask.items():
            final = weights[key][name]
            assert not final[~m].any()
            assert bool((final[m] != 0).float().mean() > 0.9)


def test_the_history_has_every_look(finished: Run) -> None:
    rows = [row for row in read_history(finished.root) if row.metric == "accuracy"]
    looks = Counter((row.level, row.arm, row.seed) for row in rows)
    assert len(looks) == 2 + 2 * 6
    assert set(looks.values()) == {4}
    assert {row.step for row in rows} == {6, 12, 18, 20}


def test_best_is_the_look_of_least_validation_loss_and_end_the_last(tmp_path: Path) -> None:
    # A rate so large that the loss rises again.
    optimizer = OptimizerConfig(name="sgd", learning_rate=2.0, momentum=0.9)
    training = dataclasses.replace(TINY.training, optimizer=optimizer, schedule=ScheduleConfig())
    records = carry_out(dataclasses.replace(TINY, training=training, levels=0), tmp_path / "a")
    rows = [row for row in read_history(tmp_path / "a") if row.metric == "loss"]
    assert any(record.best_step < STEPS for record in records)
    for record in records:
        looks = {row.step: row.value for row in rows if row.seed == record.seed}
        assert record.best_step == min(looks, key=lambda step: looks[step] or 0.0)
        losses = {
            v.at: v.value for v in record.values if (v.split, v.metric) == ("validation", "loss")
        }
        assert losses["best"] == pytest.approx(looks[record.best_step])
        assert losses["end"] == pytest.approx(looks[STEPS])


def test_seeds_differ(finished: Run) -> None:
    assert not torch.equal(*(read_start(finished, ticket(s))["layers.0.weight"] for s in (0, 1)))


def test_start_is_the_initial_network(finished: Run) -> None:
    initial = tensors_of(new_network(session(), 1))
    start = read_start(finished, ticket(1))
    assert start.keys() == initial.keys()
    assert all(torch.equal(start[name], initial[name]) for name in initial)


def made_of(one: Session, level: int, arm: str) -> dict[ReplicateId, Replicate]:
    """The replicates of an arm that are made of a run's tickets."""
    tickets = read_tickets(one.experiment, one.run, level)
    found = (
        with_controls(one, level, tickets) if arm == TICKET else controls(one, level, tickets, arm)
    )
    return {each.id: each for each in found if each.id.arm == arm}


@pytest.mark.parametrize(
    "arm", ["ticket", "random-mask", "shuffled-mask", "inverted-mask", "dense"]
)
def test_an_arm_starts_from_the_whole_network_times_its_mask(finished: Run, arm: str) -> None:
    # Not from what the ticket's mask left of it: a control keeps weights that the ticket lost.
    made = made_of(session(TINY, finished.root), level=2, arm=arm)[ReplicateId(arm, 1)]
    start = read_start(finished, ticket(1))
    for name, mask in made.mask.items():
        assert torch.equal(made.start[name], start[name] * mask)
        assert bool((made.start[name] != 0).equal(mask))
    assert torch.equal(made.start["layers.0.bias"], start["layers.0.bias"])


def test_controls_draw_anew_for_each_arm_seed_and_level(finished: Run) -> None:
    one = session(TINY, finished.root)
    dense = [
        dataclasses.replace(t, mask=dense_mask(t.mask)) for t in read_tickets(TINY, finished, 1)
    ]

    def first_layer(arm: str, seed: int, level: int) -> torch.Tensor:
        made = {each.id: each for each in controls(one, level, dense, arm)}
        return made[ReplicateId(arm, seed)].start["layers.0.weight"]

    base = first_layer("reinitialised", 0, 1)
    assert torch.equal(base, first_layer("reinitialised", 0, 1))
    assert not torch.equal(base, first_layer("reinitialised", 1, 1))
    assert not torch.equal(base, first_layer("reinitialised", 0, 2))
    # The same signs on the same draws would have the same magnitudes.
    same_sign = first_layer("reinitialised-same-sign", 0, 1)
    assert not torch.equal(base.abs(), same_sign.abs())


def test_nothing_pruned_is_the_dense_run_bit_for_bit(tmp_path: Path) -> None:
    same = dataclasses.replace(TINY, pruning=PruningConfig(rate=0.0), arms=(), levels=1)
    records = carry_out(same, tmp_path / "a")
    run = Run(tmp_path / "a")
    dense, again = (read_weights(run.level(n)) for n in (0, 1))
    for key, tensors in dense.items():
        assert all(torch.equal(tensor, again[key][name]) for name, tensor in tensors.items())
    for seed in (0, 1):
        assert of(records, "ticket", 0, seed).values == of(records, "ticket", 1, seed).values


def test_a_run_repeats_byte_for_byte(finished: Run, tmp_path: Path) -> None:
    carry_out(TINY, tmp_path / "tiny")
    assert files(tmp_path / "tiny") == files(finished.root)


def test_chunks_give_the_same_ticket_but_for_rounding(finished: Run, tmp_path: Path) -> None:
    carry_out(TINY, tmp_path / "tiny", at_once=4)
    run = Run(tmp_path / "tiny")
    for level in range(3):
        one, other = (read_weights(r.level(level)) for r in (finished, run))
        masks = [read_masks(r.level(level)) for r in (finished, run)]
        assert list(one) == list(other)
        for key, tensors in one.items():
            agree = [torch.equal(masks[0][key][n], masks[1][key][n]) for n in masks[0][key]]
            assert all(agree)
            for name, tensor in tensors.items():
                torch.testing.assert_close(other[key][name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("step", "weights", "schedule", "steps"),
    [(5, "start", "rewind", 15), (12, "keep", "rewind", 8), (15, "keep", "continue", 5)],
)
def test_late_rewinding_learning_rate_rewinding_and_fine_tuning(
    tmp_path: Path, step: int, weights: str, schedule: str, steps: int
) -> None:
    rewinding = rewinding_to(step, weights, schedule)
    experiment = dataclasses.replace(TINY, rewinding=rewinding, arms=("random-mask",))
    records = carry_out(experiment, tmp_path / "a" / "tiny")
    assert {(r.level > 0, r.steps) for r in records} == {(False, STEPS), (True, steps)}
    assert [of(records, "ticket", n).kept for n in range(3)] == list(KEPT)
    run = Run(tmp_path / "a" / "tiny")
    initial = tensors_of(new_network(session(), 0))
    assert not torch.equal(
        read_start(run, ticket(0))["layers.0.weight"], initial["layers.0.weight"]
    )
    assert {row.step for row in read_history(run.root) if row.level} == {
        s for s in (6, 12, 18, 20) if s > step
    }
    carry_out_in_pieces(experiment, tmp_path / "b" / "tiny", every=step)
    assert files(tmp_path / "b" / "tiny") == files(run.root)


MOMENTA = {
    "sgd": OptimizerConfig(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-3),
    "adam": OptimizerConfig(name="adam", learning_rate=1e-2),
}


@pytest.mark.parametrize("step", [0, 7])
@pytest.mark.parametrize("optimizer", MOMENTA)
def test_rewound_momenta_with_nothing_pruned_are_the_dense_run_bit_for_bit(
    tmp_path: Path, optimizer: str, step: int
) -> None:
    training = dataclasses.replace(TINY.training, optimizer=MOMENTA[optimizer])
    rewinding = dataclasses.replace(rewinding_to(step), optimizer_state="rewind")
    same = dataclasses.replace(
        TINY,
        training=training,
        rewinding=rewinding,
        pruning=PruningConfig(rate=0.0),
        arms=(),
        levels=1,
    )
    fresh = dataclasses.replace(same, rewinding=rewinding_to(step))
    finals = []
    for name, experiment in (("rewound", same), ("fresh", fresh)):
        carry_out(experiment, tmp_path / name)
        run = Run(tmp_path / name)
        finals.append([read_weights(run.level(n))[ticket(1)] for n in (0, 1)])
    for dense, again in finals:
        equal = all(torch.equal(tensor, again[name]) for name, tensor in dense.items())
        # Nothing is remembered at initialisation, so that there a fresh optimizer is the rewound one.
        assert equal is (dense is finals[0][0] or step == 0)


@pytest.mark.parametrize("optimizer", MOMENTA)
def test_pruned_weights_stay_zero_with_rewound_momenta_also_after_a_stop(
    tmp_path: Path, optimizer: str
) -> None:
    rewinding = dataclasses.replace(rewinding_to(7), optimizer_state="rewind")
    training = dataclasses.replace(TINY.training, optimizer=MOMENTA[optimizer])
    experiment = dataclasses.replace(TINY, training=training, rewinding=rewinding)
    carry_out(experiment, tmp_path / "a" / "tiny")
    run = Run(tmp_path / "a" / "tiny")
    masks, finals = (read(run.level(2)) for read in (read_masks, read_weights))
    for key, mask in masks.items():
        assert all(not finals[key][name][~m].any() for name, m in mask.items())
    carry_out_in_pieces(experiment, tmp_path / "b" / "tiny", every=5)
    assert files(tmp_path / "b" / "tiny") == files(run.root)


def test_momenta_are_not_rewound_to_other_weights() -> None:
    with pytest.raises(
        LotteryError, match="optimizer_state = rewind .* must be fresh unless weights is start"
    ):
        override(TINY, "rewinding.weights=keep", "rewinding.optimizer_state=rewind")


def test_fine_tuning_goes_on_from_the_trained_weights_at_the_last_rate(tmp_path: Path) -> None:
    # The cosine's last rate is 0.6 % of the first: Adam moves no weight further than 5 x 6e-5.
    experiment = dataclasses.replace(
        TINY, rewinding=rewinding_to(15, "keep", "continue"), arms=(), levels=1
    )
    carry_out(experiment, tmp_path / "a")
    run = Run(tmp_path / "a")
    dense, tuned = (read_weights(run.level(n))[ticket(0)] for n in (0, 1))
    for name, mask in read_masks(run.level(1))[ticket(0)].items():
        moved = (tuned[name] - dense[name])[mask].abs().max()
        assert 0 < float(moved) < 5 * 1e-2 * 0.0062 * 1.5


def test_text_with_dropout_and_carried_state(tmp_path: Path) -> None:
    experiment = dataclasses.replace(TINY_TEXT, rewinding=rewinding_to(3))
    records = carry_out(experiment, tmp_path / "a" / "tiny", text())
    assert {r.metric.name for r in records} == {"perplexity"}
    assert [of(records, "reinitialised", n).kept for n in (1, 2)] == [100, 50]
    carry_out_in_pieces(experiment, tmp_path / "b" / "tiny", text(), every=6)
    assert files(tmp_path / "b" / "tiny") == files(tmp_path / "a" / "tiny")


def test_a_control_is_added_and_nothing_else_touched(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    carry_out(TINY, root)
    before = files(root)
    records = add_control(session(TINY, root), "shuffled-mask")
    after = files(root)
    assert {(r.level, r.arm, r.seed) for r in records} == {
        (n, "shuffled-mask", seed) for n in (1, 2) for seed in (0, 1)
    }
    assert [r.kept for r in records] == [310, 310, 155, 155]
    of_the_run = ("manifest.json", "metrics.jsonl", "progress.json")
    assert {n: d for n, d in after.items() if n in before and n not in of_the_run} == {
        n: d for n, d in before.items() if n not in of_the_run
    }
    assert after["metrics.jsonl"].startswith(before["metrics.jsonl"])
    assert {n.split("/")[1] for n in after.keys() - before.keys()} == {"shuffled-mask"}
    assert len(read_records(root)) == 14 + 4
    assert add_control(session(TINY, root), "shuffled-mask") == records
    assert files(root) == after


def test_an_added_control_equals_one_that_was_there_from_the_start(
    finished: Run, tmp_path: Path
) -> None:
    without = dataclasses.replace(TINY, arms=("reinitialised",))
    carry_out(without, tmp_path / "tiny")
    added = add_control(session(without, tmp_path / "tiny"), "random-mask")
    own = [r for r in read_records(finished.root) if r.arm == "random-mask"]
    assert [r.layers for r in added] == [r.layers for r in own]
    for one, other in zip(added, own, strict=True):
        for a, b in zip(one.values, other.values, strict=True):
            assert a.value == pytest.approx(b.value, rel=1e-3)


@pytest.mark.parametrize(
    ("arm", "words"),
    [("shufled-mask", "did you mean shuffled-mask"), ("random-mask", "at every level already")],
)
def test_controls_that_can_not_be_added(finished: Run, arm: str, words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        add_control(session(TINY, finished.root), arm)


@pytest.mark.parametrize("name", ["start/seed-1.safetensors", "level-02/tickets.safetensors"])
def test_a_run_that_was_copied_without_its_tensors_takes_no_control(
    finished: Run, tmp_path: Path, name: str
) -> None:
    copied = tmp_path / "tiny"
    shutil.copytree(finished.root, copied)
    (copied / name).unlink()
    before = files(copied)
    with pytest.raises(LotteryError, match=f"has no {name}, which a control is made from"):
        add_control(session(TINY, copied), "shuffled-mask")
    assert files(copied) == before


def test_a_run_without_a_pruned_level_takes_no_control(tmp_path: Path) -> None:
    dense = dataclasses.replace(TINY, levels=0)
    carry_out(dense, tmp_path / "a")
    with pytest.raises(LotteryError, match="no finished level above 0"):
        add_control(session(dense, tmp_path / "a"), "dense")


def test_a_network_that_diverges_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(name="sgd", learning_rate=1e30)
    training = dataclasses.replace(TINY.training, optimizer=optimizer)
    experiment = dataclasses.replace(TINY, training=training, levels=1, arms=())
    records = carry_out(experiment, tmp_path / "a")
    assert all(r.diverged_at is not None for r in records)
    assert {v.value for r in records for v in r.values if v.at == "end"} == {None}
    assert [of(records, "ticket", 1, seed).kept for seed in (0, 1)] == [310, 310]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("pruning.criterion=magnitud", "did you mean magnitude"),
        ("arms=['reinitialized']", "did you mean reinitialised"),
        ("network.name=lenet-300-10", "did you mean lenet-300-100"),
        ("network.size.width=3", "did you mean widths"),
        ("network.name=lstm", "for text"),
    ],
)
def test_what_can_not_be_carried_out_is_refused_first(assignment: str, words: str) -> None:
    experiment: Experiment = TINY
    if "network.name" in assignment:
        experiment = dataclasses.replace(TINY, network=NetworkConfig(name="x"))
    with pytest.raises(LotteryError, match=words):
        check(session(override(experiment, assignment)))


@pytest.mark.parametrize("task", [digits, text])
def test_what_can_be_is_not(task: object) -> None:
    chosen: Task = digits() if task is digits else text()
    check(session(TINY if task is digits else TINY_TEXT, task=chosen))


def test_a_watcher_is_told_every_step_of_every_network(tmp_path: Path) -> None:
    class Counting(Watcher):
        def __init__(self) -> None:
            self.total = self.taken = 0

        def begin(self, run: str, total: int) -> None:
            self.total = total

        def steps(self, count: int) -> None:
            self.taken += count

    for _ in range(2):
        watcher = Counting()
        carry_out(TINY, tmp_path / "tiny", watcher=watcher)
        assert watcher.taken == watcher.total == 14 * STEPS


def test_a_new_session_has_a_watcher_of_its_own() -> None:
    first, second = session(), session()
    first.watcher.request_stop()
    assert not second.watcher.stop_requested()
