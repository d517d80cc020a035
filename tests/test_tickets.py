"""Tickets: pruned from what was trained, written before they are trained, and read where they are there."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lottery.cycle import find_tickets
from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.levels import Stack, read_masks, read_weights
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Criterion, Evidence
from lottery.pruning.gradients import mean_gradients
from lottery.pruning.masks import Mask, Tensors, kept, tensors_of
from lottery.runs import Run, open_run
from lottery.session import Session, new_network
from lottery.stacks import train_stack
from lottery.tickets import dense_tickets, prune_and_rewind, pruned_masks, read_start, read_tickets
from tests.file_faults import Killed, counted, killed_at
from tests.tiny_runs import (
    PRUNABLE,
    TINY,
    StopAfter,
    carry_out,
    digits,
    files,
    rewinding_to,
    session,
)
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates

# Without controls, and from weights that are trained to the end, as well as from those of the rewind step.
ALONE = dataclasses.replace(TINY, arms=())
REWOUND = dataclasses.replace(ALONE, rewinding=rewinding_to(5))
NOT_REWOUND = dataclasses.replace(ALONE, rewinding=rewinding_to(5, "keep"))
FIRST, SECOND = ReplicateId(TICKET, 0), ReplicateId(TICKET, 1)


def dense_run(experiment: Experiment, root: Path) -> Session:
    """A run that has finished its level 0 alone."""
    carry_out(dataclasses.replace(experiment, levels=0), root)
    open_run(root, experiment, digits().data.description())
    return session(experiment, root)


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


# What a criterion is shown


def registered(
    patch: pytest.MonkeyPatch, criterion: Criterion, experiment: Experiment = ALONE
) -> Experiment:
    """The experiment with a criterion of a test's own."""
    patch.setitem(CRITERIA, "own", criterion)
    pruning = dataclasses.replace(experiment.pruning, criterion="own")
    return dataclasses.replace(experiment, pruning=pruning)


def test_evidence_is_stacked_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Evidence] = []

    def scores(evidence: Evidence) -> Tensors:
        seen.append(evidence)
        return {name: evidence.final[name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start", "final"))
    experiment = registered(monkeypatch, criterion, REWOUND)
    carry_out(experiment, tmp_path / "tiny")
    run, (first, second) = Run(tmp_path / "tiny"), seen
    for level, evidence in enumerate((first, second)):
        finals, masks = read_weights(run.level(level)), read_masks(run.level(level))
        for r, one in enumerate(experiment.tickets):
            for name, start in read_start(run, one).items():
                assert torch.equal(evidence.start[name][r], start)
                assert torch.equal(evidence.final[name][r], finals[one][name])
            assert list(evidence.mask) == list(masks[one])
            assert all(torch.equal(m[r], masks[one][name]) for name, m in evidence.mask.items())


@pytest.mark.parametrize("name", ["large-initial", "random"])
def test_a_criterion_that_needs_no_trained_weights_reads_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(*_: object) -> dict[ReplicateId, Tensors]:
        raise AssertionError("trained weights are read")

    def of(criterion: str) -> Experiment:
        pruning = dataclasses.replace(ALONE.pruning, criterion=criterion)
        return dataclasses.replace(ALONE, pruning=pruning)

    one = dense_run(of(name), tmp_path / "tiny")
    other = dense_run(of("magnitude"), tmp_path / "other")
    monkeypatch.setattr("lottery.tickets.read_weights", unread)
    assert [kept(mask) for mask in pruned_masks(one, 1).values()] == [310, 310]
    with pytest.raises(AssertionError, match="trained weights are read"):
        pruned_masks(other, 1)


def test_the_largest_initial_weights_stay_at_every_level(tmp_path: Path) -> None:
    pruning = dataclasses.replace(ALONE.pruning, criterion="large-initial")
    carry_out(
        dataclasses.replace(ALONE, pruning=pruning), tmp_path / "tiny", store_weights="newest"
    )
    run = Run(tmp_path / "tiny")
    start, mask = read_start(run, SECOND), read_masks(run.level(2))[SECOND]
    sizes = torch.cat([start[name].abs().flatten() for name in mask])
    chosen = torch.cat([m.flatten() for m in mask.values()])
    assert int(chosen.sum()) == 155
    assert sizes[chosen].min() >= sizes[~chosen].max()


@pytest.mark.parametrize("at_once", [None, 1])
def test_evidence_gives_gradients_of_each_tickets_first_batches(
    at_once: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[int, list[Tensors]] = {1: [], 2: []}

    def scores(evidence: Evidence) -> Tensors:
        for batches, gradients in found.items():
            gradients.append(evidence.gradients(evidence.start, batches))
        return {name: gradients[-1][name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start", "gradients"))
    experiment = registered(monkeypatch, criterion)
    one = dense_run(experiment, tmp_path / "tiny")
    masks = pruned_masks(dataclasses.replace(one, at_once=at_once), 1)
    starts = [read_start(one.run, ticket) for ticket in experiment.tickets]
    for batches, gradients in found.items():
        rows = [
            {name: gradient[r] for name, gradient in part.items()}
            for part in gradients
            for r in range(len(next(iter(part.values()))))
        ]
        assert len(rows) == 2
        for ticket, start, row in zip(experiment.tickets, starts, rows, strict=True):
            replicates = Replicates([one.network], [ticket.noise_seed], "looped")
            weights = {name: tensor[None] for name, tensor in start.items()}
            alone = mean_gradients(replicates, digits(), experiment.training, weights, batches)
            assert row.keys() == alone.keys()
            for name, gradient in row.items():
                torch.testing.assert_close(gradient, alone[name][0], rtol=1e-4, atol=1e-6)
    # Ranked by those over two batches.
    for ticket, row in zip(experiment.tickets, rows, strict=True):
        mask = masks[ticket]
        sizes = torch.cat([row[name].abs().flatten() for name in mask])
        chosen = torch.cat([m.flatten() for m in mask.values()])
        assert sizes[chosen].min() >= sizes[~chosen].max()


# Rounds


def ranked(start: Tensors, names: Sequence[str]) -> Tensor:
    """Positions of all weights from the least magnitude to the largest."""
    return torch.cat([start[name].abs().flatten() for name in names]).argsort(stable=True)


def test_two_rounds_prune_twice_on_the_way_to_a_level_with_scores_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first round takes the smallest initial weights, and the second the largest of the rest."""
    seen: list[list[int]] = []

    def scores(evidence: Evidence) -> Tensors:
        counts = [
            sum(int(m[r].sum()) for m in evidence.mask.values())
            for r in range(len(evidence.generators))
        ]
        seen.append(counts)
        sign = 1 if len(seen) % 2 else -1
        return {name: sign * evidence.start[name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start",), rounds=2)
    one = dense_run(registered(monkeypatch, criterion), tmp_path / "tiny")
    masks = pruned_masks(one, 1)
    # 620 x 0.5^0.5 = 438.4 after the first round, then 310.
    assert seen == [[620, 620], [438, 438]]
    for ticket, mask in masks.items():
        assert kept(mask) == 310
        order = ranked(read_start(one.run, ticket), list(mask))
        expected = torch.zeros(PRUNABLE, dtype=torch.bool)
        expected[order[PRUNABLE - 438 :][:310]] = True
        assert torch.equal(torch.cat([m.flatten() for m in mask.values()]), expected)
    # The next level goes on: 620 x 0.5^1.5 = 219.2, then 155, nested.
    find_tickets(one)
    assert seen[4:] == [[310, 310], [219, 219]]
    for ticket in one.experiment.tickets:
        before, after = (read_masks(one.run.level(level))[ticket] for level in (1, 2))
        assert kept(after) == 155
        assert not any(bool((after[name] & ~before[name]).any()) for name in after)


def test_rounds_of_listed_densities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def scores(evidence: Evidence) -> Tensors:
        seen.append(sum(int(m[0].sum()) for m in evidence.mask.values()))
        return {name: evidence.start[name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start",), rounds=3)
    experiment = registered(monkeypatch, criterion)
    pruning = dataclasses.replace(experiment.pruning, schedule="listed", densities=(0.125, 0.1))
    experiment = dataclasses.replace(experiment, pruning=pruning)
    records = carry_out(experiment, tmp_path / "tiny")
    # 620 / 2, 620 / 4, 620 / 8 = 77.5, so 78; 620 x 0.1 = 62 by way of 71.9 and 66.8.
    assert seen == [620, 310, 155, 78, 72, 67]
    assert [record.kept for record in records if record.seed == 0] == [620, 78, 62]


def test_masks_do_not_depend_on_how_tickets_are_cut_into_stacks(tmp_path: Path) -> None:
    pruning = dataclasses.replace(ALONE.pruning, criterion="random")
    experiment = dataclasses.replace(ALONE, seeds=(0, 1, 2), pruning=pruning)
    one = dense_run(experiment, tmp_path / "tiny")
    whole = pruned_masks(one, 1)
    for at_once in (1, 2):
        cut = pruned_masks(dataclasses.replace(one, at_once=at_once), 1)
        assert list(cut) == list(whole) == list(experiment.tickets)
        for ticket, mask in whole.items():
            assert all(torch.equal(m, cut[ticket][name]) for name, m in mask.items())
