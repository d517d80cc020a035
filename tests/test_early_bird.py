"""The early-bird trace: by hand, against masks that a run drew, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from lottery.experiments import Experiment, RewindingConfig
from lottery.identity import TICKET, ReplicateId
from lottery.level_training import begun
from lottery.levels import read_masks, read_weights
from lottery.measurements import early_bird as module
from lottery.measurements.beginnings import untrained
from lottery.measurements.early_bird import (
    EARLY_BIRD,
    EarlyBirdSettings,
    distance,
    early_bird,
    steps,
)
from lottery.measurements.measuring import measure_levels, trained_level
from lottery.pruning.config import PruningConfig
from lottery.readings import Reading
from lottery.records import read_records
from lottery.runs import Run
from tests.tiny_runs import STEPS, TINY, StopAfter, carry_out, session
from training.errors import ExitCode, LotteryError
from training.optimizers import optimizer_state
from training.steps import Steps

EVERY = EarlyBirdSettings(every=Steps(iterations=5), masks=2, threshold=0.2)


def mask(*kept: int) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([index in kept for index in range(10)])}


def measured(
    experiment: Experiment, root: Path, settings: EarlyBirdSettings = EVERY, level: int = 0
) -> list[Reading]:
    return measure_levels(session(experiment, root), "early-bird", EARLY_BIRD, settings, [level])


def test_distances_and_the_first_still_mask_by_hand() -> None:
    assert distance(mask(0, 1), mask(0, 2), 10) == 0.2
    assert distance(mask(0, 1), mask(0, 2), 4) == 0.5
    masks = {1: mask(0, 1), 2: mask(0, 2), 3: mask(0, 2), 4: mask(0, 2), 5: mask(0, 2)}
    how = EarlyBirdSettings(threshold=0.1, masks=3)
    # At step 3 the mask of step 1 is still among the last three.
    assert early_bird(masks, 10, how) == 4
    assert early_bird(masks, 10, dataclasses.replace(how, threshold=0.21)) == 3
    assert early_bird(masks, 10, dataclasses.replace(how, masks=5, threshold=0.2)) is None
    # A drift is no standstill: each mask is compared with the newest, not with the next.
    drift = {step: mask(step, step + 1) for step in range(5)}
    assert early_bird(drift, 10, dataclasses.replace(how, threshold=0.3)) is None


@pytest.mark.parametrize("level", [0, 1])
def test_the_last_mask_is_the_one_that_the_run_drew(tmp_path: Path, level: int) -> None:
    late = dataclasses.replace(TINY, rewinding=RewindingConfig(step=Steps(iterations=4)))
    carry_out(late, tmp_path / "tiny")
    run, one = Run(tmp_path / "tiny"), session(late, tmp_path / "tiny")
    records = [record for record in read_records(run.root) if record.level == level]
    trained = trained_level(one, level, records)
    members = untrained(one, trained)
    traces = module._traced(one, level, members, [level + 1], EVERY)[level + 1]
    assert [*traces] == [5, 10, 15, 20]
    drawn = read_masks(run.level(level + 1))
    for seed in (0, 1):
        (r,) = (r for r, m in enumerate(members) if m.id == ReplicateId(TICKET, seed))
        for name, expected in drawn[ReplicateId(TICKET, seed)].items():
            assert torch.equal(traces[STEPS][r][name], expected)


def test_it_begins_where_the_level_began(tmp_path: Path) -> None:
    how = RewindingConfig(step=Steps(iterations=4), optimizer_state="rewind")
    rewound = dataclasses.replace(TINY, rewinding=how, levels=1, arms=())
    carry_out(rewound, tmp_path / "tiny")
    one = session(rewound, tmp_path / "tiny")
    records = [record for record in read_records(one.run.root) if record.level == 1]
    members = untrained(one, trained_level(one, 1, records))
    state = begun(one, 1, members)
    assert state.step == 4
    momenta = optimizer_state(state.optimizer, state.replicates)
    assert any(bool(t.count_nonzero()) for n, t in momenta.items() if not n.startswith("step/"))
    assert read_weights(one.run.level(1)).keys() == {m.id for m in members}


def test_readings_of_a_run(tmp_path: Path) -> None:
    carry_out(TINY, tmp_path / "tiny")
    readings = measured(TINY, tmp_path / "tiny")
    assert {(r.arm, r.at, r.other) for r in readings} == {(TICKET, "end", "mask 1 level on")}
    along = {(r.seed, r.x): r.value for r in readings if r.metric == "mask distance"}
    assert {x for _, x in along} == {10, 15, 20}
    assert all(value is not None and 0 < value < 1 for value in along.values())
    found = {r.seed: r.value for r in readings if r.metric == "early birds (%)"}
    at = {r.seed: r.value for r in readings if r.metric == "early-bird step"}
    for seed in (0, 1):
        still = [x for (s, x), v in along.items() if s == seed and v is not None and v < 0.2]
        assert found[seed] == (100.0 if still else 0.0)
        assert at.get(seed) == (min(x for x in still if x is not None) if still else None)
    # The same again, whoever else is there; and from the file, as nothing changed.
    alone = measure_levels(
        session(TINY, tmp_path / "tiny", at_once=1, batching="looped"),
        *("early-bird", EARLY_BIRD, dataclasses.replace(EVERY, threshold=0.3), [0]),
    )
    assert {(r.seed, r.x): r.value for r in alone if r.metric == "mask distance"} == along
    arms = {r.arm for r in measured(TINY, tmp_path / "tiny", level=1)}
    assert arms == {TICKET, "reinitialised", "random-mask"}
    # No level is drawn from the last one.
    assert measured(TINY, tmp_path / "tiny", level=2) == []


def test_one_shot_levels_are_all_drawn_from_the_dense_network(tmp_path: Path) -> None:
    pruning = PruningConfig(rate=0.5, schedule="one-shot")
    at_once = dataclasses.replace(TINY, pruning=pruning, arms=(), seeds=(0,))
    carry_out(at_once, tmp_path / "tiny")
    readings = measured(at_once, tmp_path / "tiny")
    assert {r.other for r in readings} == {"mask 1 level on", "mask 2 levels on"}
    assert measured(at_once, tmp_path / "tiny", level=1) == []


@pytest.mark.parametrize("criterion", ["snip", "random", "large-initial"])
def test_masks_that_training_does_not_change_are_refused(criterion: str) -> None:
    other = dataclasses.replace(TINY, pruning=PruningConfig(criterion=criterion))
    with pytest.raises(LotteryError, match=f"prunes by {criterion}.*one of magnitude"):
        EARLY_BIRD.check(session(other), EVERY)
    with pytest.raises(LotteryError, match="no level above 0"):
        EARLY_BIRD.check(session(dataclasses.replace(TINY, levels=0)), EVERY)
    EARLY_BIRD.check(session(TINY), EVERY)


@pytest.mark.parametrize("wrong", [{"masks": 1}, {"threshold": 0.0}, {"every": Steps()}])
def test_settings_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LotteryError, match="is out of range"):
        dataclasses.replace(EVERY, **wrong)


def test_it_stops_when_asked_to_and_tells_of_every_step(tmp_path: Path) -> None:
    carry_out(TINY, tmp_path / "tiny")
    stopping = session(TINY, tmp_path / "tiny", watcher=StopAfter(3))
    with pytest.raises(LotteryError) as stopped:
        measure_levels(stopping, "early-bird", EARLY_BIRD, EVERY, [0])
    assert stopped.value.exit_code == ExitCode.RESUMABLE
    assert steps(stopping, EVERY) == STEPS
