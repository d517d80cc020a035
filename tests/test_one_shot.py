"""Every level straight from the dense network: what is read, what is kept, and what stays on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lottery.levels import read_masks, read_weights
from lottery.pruning.config import PruningConfig
from lottery.pruning.masks import kept
from lottery.runs import Run
from lottery.ticket_files import read_start, read_tickets
from tests.tiny_runs import TINY, carry_out, carry_out_in_pieces, files, rewinding_to

ONE_SHOT = dataclasses.replace(
    TINY, arms=("random-mask",), levels=3, pruning=PruningConfig(schedule="one-shot", rate=0.5)
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished one, of which only the newest level's trained weights stay."""
    root = tmp_path_factory.mktemp("one-shot") / "run"
    records = carry_out(ONE_SHOT, root, store_weights="newest")
    assert [r.kept for r in records if (r.arm, r.seed) == ("ticket", 0)] == [620, 310, 155, 78]
    return Run(root)


def test_each_level_keeps_the_largest_of_the_dense_networks_weights(tmp_path: Path) -> None:
    carry_out(ONE_SHOT, tmp_path / "run")
    whole = Run(tmp_path / "run")
    finals = read_weights(whole.level(0))
    for level, count in ((1, 310), (2, 155), (3, 78)):
        for one, mask in read_masks(whole.level(level)).items():
            if one.arm != "ticket":
                continue
            sizes = torch.cat([finals[one][name].abs().flatten() for name in mask])
            chosen = torch.cat([m.flatten() for m in mask.values()])
            assert kept(mask) == count
            assert sizes[chosen].min() >= sizes[~chosen].max()


def test_the_dense_weights_stay_so_that_more_levels_can_follow(tmp_path: Path) -> None:
    def extended(levels: int) -> Run:
        carry_out(
            dataclasses.replace(ONE_SHOT, levels=levels), tmp_path / "run", store_weights="newest"
        )
        return Run(tmp_path / "run")

    extended(2)
    run = extended(3)
    held = [run.folder.holds(run.level(level).weights) for level in range(4)]
    assert held == [True, False, False, True]


def test_stopped_and_resumed_it_is_the_same(run: Run, tmp_path: Path) -> None:
    stops = carry_out_in_pieces(ONE_SHOT, tmp_path / "run", every=23)
    assert stops == 3
    again, whole = files(tmp_path / "run"), files(run.root)
    # What is not kept of the finished one is here.
    assert whole.keys() <= again.keys()
    same = [name for name in whole if "manifest" not in name]
    assert all(again[name] == whole[name] for name in same)


def test_without_rewinding_a_ticket_starts_from_the_dense_networks_weights(tmp_path: Path) -> None:
    kept_weights = dataclasses.replace(ONE_SHOT, rewinding=rewinding_to(0, "keep"), arms=())
    carry_out(kept_weights, tmp_path / "run")
    whole = Run(tmp_path / "run")
    finals = read_weights(whole.level(0))
    for ticket in read_tickets(kept_weights, whole, 3):
        assert all(torch.equal(finals[ticket.id][n], t) for n, t in ticket.whole.items())
        start = read_start(whole, ticket.id)
        assert not torch.equal(start["layers.0.weight"], ticket.whole["layers.0.weight"])
