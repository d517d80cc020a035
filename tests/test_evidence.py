"""What a criterion is shown: evidence that is stacked and whole, gradients, and scores anew in each round."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lottery.cycle import find_tickets
from lottery.experiments import Experiment
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks, read_weights
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Criterion, Evidence
from lottery.pruning.gradients import mean_gradients
from lottery.pruning.masks import Tensors, kept
from lottery.runs import Run
from lottery.ticket_files import read_start
from lottery.tickets import pruned_masks, trained_weights
from tests.tiny_runs import (
    PRUNABLE,
    TINY,
    carry_out,
    dense_run,
    digits,
    rewinding_to,
)
from training.replicates import Replicates

ALONE = dataclasses.replace(TINY, arms=())
REWOUND = dataclasses.replace(ALONE, rewinding=rewinding_to(5))
SECOND = ReplicateId(TICKET, 1)


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
    assert [kept(mask) for mask in pruned_masks(one, 1, trained_weights(one, 0)).values()] == [
        310,
        310,
    ]
    with pytest.raises(AssertionError, match="trained weights are read"):
        trained_weights(other, 0)


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


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("at_once", [None, 1])
def test_evidence_gives_gradients_of_each_tickets_first_batches(
    at_once: int | None, batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Tensors] = []

    def scores(evidence: Evidence) -> Tensors:
        found.append(evidence.gradients(evidence.start))
        return {name: found[-1][name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start", "gradients"))
    experiment = registered(monkeypatch, criterion)
    pruning = dataclasses.replace(experiment.pruning, batches=batches)
    experiment = dataclasses.replace(experiment, pruning=pruning)
    one = dense_run(experiment, tmp_path / "tiny")
    masks = pruned_masks(dataclasses.replace(one, at_once=at_once), 1, trained_weights(one, 0))
    starts = [read_start(one.run, ticket) for ticket in experiment.tickets]
    rows = [
        {name: gradient[r] for name, gradient in part.items()}
        for part in found
        for r in range(len(next(iter(part.values()))))
    ]
    for ticket, start, row in zip(experiment.tickets, starts, rows, strict=True):
        replicates = Replicates([one.network], [ticket.noise_seed], "looped")
        weights = {name: tensor[None] for name, tensor in start.items()}
        alone = mean_gradients(replicates, digits(), experiment.training, weights, batches)
        assert row.keys() == alone.keys()
        for name, gradient in row.items():
            torch.testing.assert_close(gradient, alone[name][0], rtol=1e-4, atol=1e-6)
        # It is what they are ranked by.
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
            for r in range(len(next(iter(evidence.mask.values()))))
        ]
        seen.append(counts)
        sign = 1 if len(seen) % 2 else -1
        return {name: sign * evidence.start[name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start",), rounds=2)
    one = dense_run(registered(monkeypatch, criterion), tmp_path / "tiny")
    masks = pruned_masks(one, 1, trained_weights(one, 0))
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
    whole = pruned_masks(one, 1, trained_weights(one, 0))
    for at_once in (1, 2):
        cut = pruned_masks(dataclasses.replace(one, at_once=at_once), 1, trained_weights(one, 0))
        assert list(cut) == list(whole) == list(experiment.tickets)
        for ticket, mask in whole.items():
            assert all(torch.equal(m, cut[ticket][name]) for name, m in mask.items())
