"""Copies of a seed: tickets that begin alike and differ in noise alone, through a whole run and its files."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import pytest
import torch

from lottery.arms import controls
from lottery.cycle import add_control
from lottery.experiments import Experiment
from lottery.history import read_history
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.portable_tickets import ticket_of
from lottery.records import Record, read_records
from lottery.runs import Run
from lottery.ticket_files import read_start, read_start_optimizer, read_tickets
from tests.tiny_runs import (
    TINY,
    TINY_TEXT,
    StopAfter,
    carry_out,
    carry_out_in_pieces,
    digits,
    files,
    rewinding_to,
    session,
    text,
)
from training.errors import LotteryError
from training.tasks.task import Task

TWICE = dataclasses.replace(TINY, copies=2, arms=("reinitialised",))
TEXT_TWICE = dataclasses.replace(TINY_TEXT, copies=2, levels=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("copies") / "tiny"
    carry_out(TWICE, root)
    return Run(root)


def of(seed: int, copy: int, arm: str = TICKET) -> ReplicateId:
    return ReplicateId(arm, seed, copy)


def test_noise_seeds_differ_and_that_of_the_first_copy_is_the_seed() -> None:
    ids = [of(seed, copy) for seed in range(-3, 40) for copy in range(20)]
    assert len({one.noise_seed for one in ids}) == len(ids)
    assert all(one.noise_seed == one.seed for one in ids if one.copy == 0)
    assert all(-(2**31) <= one.noise_seed < 2**31 for one in ids)
    # Controls are paired with their ticket.
    assert of(3, 2, "reinitialised").noise_seed == of(3, 2).noise_seed


def test_copies_begin_alike_and_differ_once_they_are_trained(finished: Run) -> None:
    finals = read_weights(finished.level(0))
    assert list(finals) == [of(0, 0), of(0, 1), of(1, 0), of(1, 1)]
    for seed in (0, 1):
        starts = [read_start(finished, of(seed, copy)) for copy in (0, 1)]
        assert all(torch.equal(tensor, starts[1][name]) for name, tensor in starts[0].items())
        trained = [finals[of(seed, copy)] for copy in (0, 1)]
        assert all(not torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    first, second = (read_start(finished, of(seed, 1))["layers.0.weight"] for seed in (0, 1))
    assert not torch.equal(first, second)


def test_every_copy_has_the_mask_of_the_first(finished: Run) -> None:
    finals, masks = read_weights(finished.level(0)), read_masks(finished.level(1))
    for one in TWICE.tickets:
        sizes = torch.cat([finals[one.original][name].abs().flatten() for name in masks[one]])
        chosen = torch.cat([m.flatten() for m in masks[one].values()])
        assert int(chosen.sum()) == 310
        assert sizes[chosen].min() >= sizes[~chosen].max()
    # Their own trained weights say something else.
    own = torch.cat([finals[of(0, 1)][name].abs().flatten() for name in masks[of(0, 1)]])
    chosen = torch.cat([m.flatten() for m in masks[of(0, 1)].values()])
    assert own[chosen].min() < own[~chosen].max()


def test_controls_of_copies_are_alike(finished: Run) -> None:
    """What is drawn before training is drawn by the seed."""
    one = session(TWICE, finished.root)
    tickets = read_tickets(TWICE, finished, 1)
    for arm in ("reinitialised", "shuffled-mask"):
        made = {each.id: each for each in controls(one, 1, tickets, arm)}
        first, second = made[of(0, 0, arm)], made[of(0, 1, arm)]
        assert all(torch.equal(m, second.mask[name]) for name, m in first.mask.items())
        assert all(torch.equal(t, second.start[name]) for name, t in first.start.items())


def test_everything_a_run_holds_carries_the_copy(finished: Run) -> None:
    records = read_records(finished.root)
    found = Counter((r.level, r.arm, r.seed, r.copy) for r in records)
    arms = {0: (TICKET,), 1: (TICKET, "reinitialised"), 2: (TICKET, "reinitialised")}
    expected = [
        (level, arm, seed, copy)
        for level in range(3)
        for arm in arms[level]
        for seed, copy in itertools.product((0, 1), (0, 1))
    ]
    assert [(r.level, r.arm, r.seed, r.copy) for r in records] == expected
    assert set(found.values()) == {1}
    assert all(r.noise_seed == r.replicate.noise_seed for r in records)
    rows = Counter((r.level, r.arm, r.seed, r.copy) for r in read_history(finished.root))
    assert rows.keys() == set(expected)
    # Four looks of two metrics each.
    assert set(rows.values()) == {8}
    for level in range(3):
        ids = {of(seed, copy, arm) for n, arm, seed, copy in expected if n == level}
        assert read_masks(finished.level(level)).keys() == ids
        assert read_weights(finished.level(level)).keys() == ids
    assert sorted(path.name for path in (finished.root / "start").iterdir()) == [
        f"seed-{seed}.safetensors" for seed in (0, 1)
    ]


def alone(experiment: Experiment) -> Experiment:
    return dataclasses.replace(experiment, copies=1)


@pytest.mark.parametrize(
    ("experiment", "task"),
    [
        (TWICE, digits),
        (dataclasses.replace(TWICE, rewinding=rewinding_to(5)), digits),
        (TEXT_TWICE, text),
    ],
    ids=["start", "late", "text"],
)
def test_the_first_copy_is_the_run_without_copies_bit_for_bit(
    experiment: Experiment, task: object, tmp_path: Path
) -> None:
    data: Task = digits() if task is digits else text()
    roots = [tmp_path / name / "tiny" for name in ("two", "one")]
    for each, root in zip((experiment, alone(experiment)), roots, strict=True):
        carry_out(each, root, data, batching="looped")
    two, one = map(Run, roots)
    for level in range(experiment.levels + 1):
        for read in (read_masks, read_weights):
            many, few = read(two.level(level)), read(one.level(level))
            assert len(many) == 2 * len(few)
            for key, tensors in few.items():
                assert all(torch.equal(t, many[key][name]) for name, t in tensors.items())
    of_first = [record for record in read_records(two.root) if record.copy == 0]
    assert of_first == read_records(one.root)
    rows = [row for row in read_history(two.root) if row.copy == 0]
    assert sorted(rows, key=str) == sorted(read_history(one.root), key=str)
    for ticket in alone(experiment).tickets:
        start = read_start(one, ticket)
        assert all(torch.equal(t, read_start(two, ticket)[n]) for n, t in start.items())


def test_copies_are_rewound_to_the_weights_of_the_first(tmp_path: Path) -> None:
    """As for an analysis of instability: alike until the rewind step."""
    rewinding = dataclasses.replace(rewinding_to(5), optimizer_state="rewind")
    late = dataclasses.replace(TWICE, levels=1, rewinding=rewinding)
    carry_out(late, tmp_path / "tiny")
    run, name = Run(tmp_path / "tiny"), "layers.0.weight"
    assert len([*(run.root / "start").iterdir()]) == 4
    momenta = [read_start_optimizer(run, of(0, copy)) for copy in (0, 1)]
    assert all(torch.equal(t, momenta[1][key]) for key, t in momenta[0].items())
    for ticket in read_tickets(late, run, 1):
        assert torch.equal(ticket.whole[name], read_start(run, ticket.id.original)[name])
    trained = read_weights(run.level(1))
    assert not torch.equal(trained[of(0, 0)][name], trained[of(0, 1)][name])


@pytest.mark.parametrize("every", [7, 20, 45])
def test_stopped_and_resumed_is_uninterrupted(finished: Run, tmp_path: Path, every: int) -> None:
    assert carry_out_in_pieces(TWICE, tmp_path / "tiny", every=every) > 0
    assert files(tmp_path / "tiny") == files(finished.root)


def test_it_is_so_where_copies_are_cut_apart(tmp_path: Path) -> None:
    """Chunks of three hold both copies of one seed and one of the other."""
    experiment = dataclasses.replace(TWICE, levels=1)
    for name, at_once in (("whole", None), ("cut", 3)):
        carry_out(experiment, tmp_path / name / "tiny", at_once=at_once, batching="looped")
    whole, cut = (Run(tmp_path / name / "tiny") for name in ("whole", "cut"))
    assert read_records(cut.root) == read_records(whole.root)
    with pytest.raises(LotteryError, match="Stopped at step 7 of level 0"):
        carry_out(experiment, tmp_path / "stopped" / "tiny", at_once=3, watcher=StopAfter(27))
    run = Run(tmp_path / "stopped" / "tiny")
    # The first three at their end, and the last one on its way.
    assert run.level(0).checkpoints() == [
        "level-00/checkpoint-0-3-000000020.safetensors",
        "level-00/checkpoint-3-4-000000007.safetensors",
    ]


def test_a_control_is_added_to_every_copy(tmp_path: Path) -> None:
    experiment = dataclasses.replace(TWICE, levels=1, arms=())
    carry_out(experiment, tmp_path / "tiny")
    records = add_control(session(experiment, tmp_path / "tiny"), "random-mask")
    assert [(r.level, r.arm, r.seed, r.copy) for r in records] == [
        (1, "random-mask", seed, copy) for seed in (0, 1) for copy in (0, 1)
    ]
    assert {r.kept for r in records} == {310}


def test_the_portable_ticket_is_of_the_first_copy(finished: Run) -> None:
    ticket, masks = ticket_of(finished, level=1, seed=1), read_masks(finished.level(1))
    assert all(torch.equal(m, masks[of(1, 0)][name]) for name, m in ticket.mask.items())


def values(record: Record) -> list[float | None]:
    return [value.value for value in record.values]


def test_copies_come_to_other_numbers(finished: Run) -> None:
    records = {(r.level, r.replicate): r for r in read_records(finished.root)}
    for level, seed in itertools.product(range(3), (0, 1)):
        first, second = (records[level, of(seed, copy)] for copy in (0, 1))
        assert values(first) != values(second)
