"""What a run would do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_masks
from lottery.planning import plan
from lottery.pruning.config import PruningConfig
from lottery.runs import Run
from nas.catalog.building import build
from tests.tiny_runs import PRUNABLE, STEPS, TINY, StopAfter, carry_out, rewinding_to, session
from training.errors import ExitCode, LotteryError
from training.replay import NO_REPLAY, REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.steps import Steps


def test_levels_networks_and_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    planned = plan(session(dataclasses.replace(TINY, rewinding=rewinding_to(5))))
    assert [level.level for level in planned.levels] == [0, 1, 2]
    assert [level.density * PRUNABLE for level in planned.levels] == [620, 310, 155]
    assert [level.replicates for level in planned.levels] == [2, 6, 6]
    assert [level.steps for level in planned.levels] == [STEPS, STEPS - 5, STEPS - 5]
    assert all(level.seconds > 0 for level in planned.levels)
    ratio = planned.levels[1].seconds / planned.levels[0].seconds
    assert ratio == pytest.approx(6 * (STEPS - 5) / (2 * STEPS))
    assert list(tmp_path.iterdir()) == []


def test_an_output_layer_that_stays_whole_is_planned_as_it_is_kept(tmp_path: Path) -> None:
    # 64 x 8 + 8 x 6 = 560 weights are ranked, half of them go at each level, and 6 x 10 are the output layer's.
    whole = dataclasses.replace(TINY, arms=(), pruning=PruningConfig(rate=0.5, output_rate=0.0))
    planned = plan(session(whole))
    densities = [level.density for level in planned.levels]
    assert [density * PRUNABLE for density in densities] == [620, 340, 200]
    records = carry_out(whole, tmp_path / "whole")
    assert [record.density for record in records if record.seed == 0] == densities
    masks = read_masks(Run(tmp_path / "whole").level(2))
    assert [int(m.sum()) for m in masks[ReplicateId(TICKET, 0)].values()][-1] == 60


def test_bytes_are_those_on_disk_but_for_headers(tmp_path: Path) -> None:
    # 620 weights and 24 biases at 4 bytes, 78 bytes of mask; 14 networks, 2 starts and 4 tickets.
    planned = plan(session())
    assert planned.bytes == 14 * (4 * 644 + 78) + 2 * 4 * 644 + 4 * 78
    carry_out(TINY, tmp_path / "a")
    names = ("tickets.safetensors", "masks.safetensors", "weights.safetensors")
    stored = [p for p in (tmp_path / "a").rglob("*.safetensors") if p.name in names]
    stored += (tmp_path / "a" / "start").iterdir()
    assert planned.bytes < sum(path.stat().st_size for path in stored) < 1.5 * planned.bytes


def test_replicates_at_once_are_timed_together() -> None:
    planned = plan(session(at_once=1))
    assert planned.levels[1].replicates == 6
    assert planned.levels[1].seconds > 0


@pytest.mark.parametrize(
    ("steps", "replay", "called"),
    # Two of five are captured; 11 would not win back what that costs.
    [(STEPS, REPLAY, 2), (STEPS, NO_REPLAY, 5), (11, REPLAY, 5)],
)
def test_steps_are_timed_as_they_will_be_taken(
    steps: int, replay: ReplayPolicy, called: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = Replicates.forward, list[bool]()

    def counted(replicates: Replicates, *inputs: Any) -> Any:
        # What is looked at to see how many fit is one replicate's.
        if len(replicates) > 1:
            calls.append(replicates.training)
        return forward(replicates, *inputs)

    monkeypatch.setattr(Replicates, "forward", counted)
    training = dataclasses.replace(TINY.training, steps=Steps(iterations=steps))
    plan(session(dataclasses.replace(TINY, training=training), replay=replay, batching="stacked"))
    assert sum(calls) == called


def test_a_plan_can_be_stopped() -> None:
    watcher = StopAfter(0)
    with pytest.raises(LotteryError, match="nothing was begun") as stopped:
        plan(session(watcher=watcher))
    assert stopped.value.exit_code is ExitCode.RESUMABLE


def test_thousands_of_seeds_are_planned_as_fast_as_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are built for one seed, and no more are timed than tell how long one takes."""
    built: list[str] = []

    def counted(name: str, *how: Any) -> nn.Module:
        built.append(name)
        return build(name, *how)

    monkeypatch.setattr("lottery.session.build", counted)
    many = dataclasses.replace(TINY, seeds=tuple(range(3000)))
    planned = plan(session(many))
    assert [level.replicates for level in planned.levels] == [3000, 9000, 9000]
    assert built == ["lenet-300-100"]
    few = plan(session())
    assert planned.bytes == 1500 * few.bytes
    assert [level.density for level in planned.levels] == [level.density for level in few.levels]
