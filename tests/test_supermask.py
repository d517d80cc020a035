"""What a mask alone achieves: treatments by hand, and a level of a run before its training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from lottery.arms import with_controls
from lottery.cycle import add_control
from lottery.identity import TICKET, ReplicateId
from lottery.levels import Replicate
from lottery.measurements.measuring import measure_levels
from lottery.measurements.supermask import SUPERMASK, SupermaskSettings, treated
from lottery.readings import Reading
from lottery.runs import Run
from lottery.session import new_network
from lottery.ticket_files import read_tickets
from tests.tiny_runs import TINY, carry_out, digits, session
from training.replicates import Replicates

RANDOM = dataclasses.replace(TINY, arms=("random-mask",), levels=1)


def test_treatments_by_hand() -> None:
    one = Replicate(
        id=ReplicateId(TICKET, 0),
        mask={"w": torch.tensor([True, True, False, False])},
        start={"w": torch.tensor([2.0, -0.5, 0.0, 0.0]), "bias": torch.tensor([7.0])},
    )
    # Of 1, 3, 5, 7 the standard deviation, over three degrees of freedom, is 2.582.
    initial = {"w": torch.tensor([1.0, 3.0, 5.0, 7.0])}

    def of(**settings: Any) -> list[float]:
        found = treated(one, dataclasses.replace(SupermaskSettings(), **settings), initial)
        assert found["bias"].tolist() == [7.0]
        return found["w"].tolist()

    assert of() == [2.0, -0.5, 0.0, 0.0]
    assert of(rescaled=True) == [4.0, -1.0, 0.0, 0.0]
    assert of(weights="signed-constant") == pytest.approx([2.582, -2.582, 0, 0], abs=1e-3)
    both = of(weights="signed-constant", rescaled=True)
    assert both == pytest.approx([5.164, -5.164, 0, 0], abs=1e-3)


def test_it_scores_what_training_would_begin_with(tmp_path: Path) -> None:
    carry_out(RANDOM, tmp_path / "tiny")
    run = Run(tmp_path / "tiny")
    add_control(session(RANDOM, run.root), "signed-constant")
    one = session(RANDOM, run.root)
    readings = measure_levels(one, "supermask", SUPERMASK, SupermaskSettings(), [0, 1])
    assert {(r.level, r.arm) for r in readings} == {
        *((0, TICKET), (1, TICKET), (1, "random-mask"), (1, "signed-constant"))
    }
    assert {(r.at, r.other) for r in readings} == {("start", "test")}
    found = {(r.level, r.replicate, r.metric): r.value for r in readings}
    begun = with_controls(one, 1, read_tickets(RANDOM, run, 1))
    for replicate in begun:
        alone = Replicates([one.network], [0], "looped").eval()
        alone.load({name: tensor[None] for name, tensor in replicate.start.items()})
        scored = digits().evaluate(alone, "test")
        expected = found[1, replicate.id, "untrained accuracy"]
        assert expected == pytest.approx(float(scored.metric[0]), abs=0.6)
    dense = Replicates([new_network(one, 1)], [0], "looped").eval()
    loss = found[0, ReplicateId(TICKET, 1), "untrained loss"]
    assert loss == pytest.approx(float(digits().evaluate(dense, "test").loss[0]), rel=1e-5)


def test_settings_change_what_is_read(tmp_path: Path) -> None:
    carry_out(RANDOM, tmp_path / "tiny")

    def of(settings: SupermaskSettings) -> list[Reading]:
        one = session(RANDOM, tmp_path / "tiny")
        return measure_levels(one, "supermask", SUPERMASK, settings, [1])

    plain, scaled = of(SupermaskSettings()), of(SupermaskSettings(rescaled=True))
    losses = [[r.value for r in found if "loss" in r.metric] for found in (plain, scaled)]
    assert losses[0] != losses[1]
