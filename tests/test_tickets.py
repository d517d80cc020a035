"""Tickets: pruned from what was trained, written before they are trained, and read where they are there."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shutil
from pathlib import Path

import pytest
import torch

from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.levels import Stack, read_masks, read_weights
from lottery.pruning.masks import Mask, Tensors, kept, tensors_of
from lottery.runs import LevelFiles, Run
from lottery.session import new_network
from lottery.stacks import train_stack
from lottery.ticket_files import read_start, read_tickets
from lottery.tickets import dense_tickets, prune_and_rewind
from tests.file_faults import Killed, counted, killed_at
from tests.tiny_runs import (
    PRUNABLE,
    TINY,
    StopAfter,
    carry_out,
    dense_run,
    files,
    rewinding_to,
    session,
)
from training.errors import ExitCode, LotteryError

# Without controls, and from weights that are trained to the end, as well as from those of the rewind step.
ALONE = dataclasses.replace(TINY, arms=())
REWOUND = dataclasses.replace(ALONE, rewinding=rewinding_to(5))
NOT_REWOUND = dataclasses.replace(ALONE, rewinding=rewinding_to(5, "keep"))
FIRST, SECOND = ReplicateId(TICKET, 0), ReplicateId(TICKET, 1)


def test_dense_tickets_are_initial_networks_that_keep_everything() -> None:
    one = session()
    first, second = dense_tickets(one)
    assert (first.id, second.id) == (FIRST, SECOND)
    for ticket in (first, second):
        initial = tensors_of(new_network(one, ticket.id.seed))
        assert all(torch.equal(tensor, initial[name]) for name, tensor in ticket.whole.items())
        assert kept(ticket.mask) == PRUNABLE
        assert all(m.shape == initial[name].shape for name, m in ticket.mask.items())
    assert not torch.equal(first.whole["layers.0.weight"], second.whole["layers.0.weight"])


@pytest.mark.parametrize("experiment", [REWOUND, NOT_REWOUND], ids=["start", "keep"])
def test_a_ticket_is_pruned_by_what_was_trained_and_rewound_as_configured(
    experiment: Experiment, tmp_path: Path
) -> None:
    one = dense_run(experiment, tmp_path / "tiny")
    finals = read_weights(one.run.level(0))
    for ticket in prune_and_rewind(one, 1):
        final, start = finals[ticket.id], read_start(one.run, ticket.id)
        sizes = torch.cat([final[name].abs().flatten() for name in ticket.mask])
        chosen = torch.cat([m.flatten() for m in ticket.mask.values()])
        assert int(chosen.sum()) == 310
        assert sizes[chosen].min() >= sizes[~chosen].max()
        source = start if experiment is REWOUND else final
        assert ticket.whole.keys() == source.keys()
        assert all(torch.equal(tensor, source[name]) for name, tensor in ticket.whole.items())


def test_trained_weights_are_read_once_a_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the criterion and for what tickets start from, where they are not rewound."""
    one = dense_run(NOT_REWOUND, tmp_path / "tiny")
    levels: list[int] = []

    def spy(files: LevelFiles) -> dict[ReplicateId, Tensors]:
        levels.append(files.number)
        return read_weights(files)

    monkeypatch.setattr("lottery.tickets.read_weights", spy)
    prune_and_rewind(one, 1)
    assert levels == [0]


# Written before they are trained


def killed_before_training(experiment: Experiment, root: Path, level: int) -> None:
    """Carry out a run up to where a level's tickets are there, and nothing of its training."""

    def train(stack: Stack) -> None:
        if stack.files.number == level:
            raise KeyboardInterrupt
        train_stack(stack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lottery.cycle.train_stack", train)
        with pytest.raises(KeyboardInterrupt):
            carry_out(experiment, root)


def not_again(*_: object) -> dict[ReplicateId, Mask]:
    raise AssertionError("the tickets are there")


@pytest.mark.parametrize("experiment", [TINY, REWOUND, NOT_REWOUND], ids=["tiny", "start", "keep"])
@pytest.mark.parametrize("level", [1, 2])
def test_tickets_are_written_before_their_level_trains_and_read_then(
    experiment: Experiment, level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, root = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    carry_out(experiment, whole)
    killed_before_training(experiment, root, level)
    expected, name = files(whole), f"level-0{level}/tickets.safetensors"
    left = files(root)
    assert [file for file in left if file.startswith(f"level-0{level}/")] == [name]
    assert left[name] == expected[name]
    assert name in Run(root).folder.names()
    before = (root / name).stat()
    if level == 2:
        monkeypatch.setattr("lottery.tickets.pruned_masks", not_again)
        carry_out(experiment, root)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lottery.tickets.pruned_masks", not_again)
            carry_out(dataclasses.replace(experiment, levels=1), root)
        carry_out(experiment, root)
    assert files(root) == expected
    after = (root / name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_finished_level_has_its_tickets_still(tmp_path: Path) -> None:
    carry_out(NOT_REWOUND, tmp_path / "tiny")
    run = Run(tmp_path / "tiny")
    for level in (1, 2):
        finals, masks = read_weights(run.level(level - 1)), read_masks(run.level(level))
        for ticket in read_tickets(NOT_REWOUND, run, level):
            assert list(ticket.mask) == list(masks[ticket.id])
            assert all(torch.equal(m, masks[ticket.id][n]) for n, m in ticket.mask.items())
            assert all(torch.equal(t, finals[ticket.id][n]) for n, t in ticket.whole.items())


def test_a_process_that_is_killed_around_the_tickets_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = dataclasses.replace(NOT_REWOUND, levels=1, seeds=(0,))
    carry_out(experiment, tmp_path / "whole" / "tiny")
    root = tmp_path / "tiny"
    carry_out(dataclasses.replace(experiment, levels=0), root)
    kills, halves = 0, 0
    for number in itertools.count(1, 2):
        copy = tmp_path / str(number) / "tiny"
        shutil.copytree(root, copy)
        with counted(monkeypatch) as faults:
            faults.before = killed_at(number)
            with contextlib.suppress(Killed):
                carry_out(experiment, copy)
        if faults.count < number:
            break
        kills += 1
        halves += not Run(copy).folder.holds("level-01/tickets.safetensors")
        carry_out(experiment, copy)
        assert files(copy) == files(tmp_path / "whole" / "tiny")
    # Before and after they were written.
    assert kills - halves > 10
    assert halves > 3


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_tickets_are_refused(damage: str, tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    with pytest.raises(LotteryError, match="Stopped at step 9 of level 1"):
        carry_out(TINY, root, watcher=StopAfter(29))
    path = root / "level-01" / "tickets.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(LotteryError, match=r"level-01/tickets\.safetensors") as caught:
        carry_out(TINY, root)
    assert caught.value.exit_code is ExitCode.BAD_DATA


def test_tickets_that_someone_removed_are_made_again(tmp_path: Path) -> None:
    carry_out(ALONE, tmp_path / "a" / "tiny")
    root = tmp_path / "b" / "tiny"
    killed_before_training(ALONE, root, 1)
    (root / "level-01" / "tickets.safetensors").unlink()
    carry_out(ALONE, root)
    assert files(root) == files(tmp_path / "a" / "tiny")


def test_tickets_of_other_seeds_are_refused(tmp_path: Path) -> None:
    carry_out(ALONE, tmp_path / "tiny")
    other = dataclasses.replace(ALONE, seeds=(0, 7))
    with pytest.raises(LotteryError, match="it has no ticket of seed 7") as caught:
        read_tickets(other, Run(tmp_path / "tiny"), 1)
    assert caught.value.exit_code is ExitCode.BAD_DATA
