"""What the survivors start from."""

from __future__ import annotations

import pytest
import torch

from lottery.pruning.masks import apply_mask
from lottery.rewinding import rewind, schedule_step
from tests.tiny_runs import rewinding_to

START = {"w": torch.tensor([0.1, -0.2, 0.3]), "bias": torch.tensor([0.5])}
FINAL = {"w": torch.tensor([1.0, -2.0, 3.0]), "bias": torch.tensor([7.0])}
MASK = {"w": torch.tensor([True, True, False])}


@pytest.mark.parametrize(("weights", "source"), [("start", START), ("keep", FINAL)])
def test_the_ticket_is_the_source_times_the_mask_bit_for_bit(
    weights: str, source: dict[str, torch.Tensor]
) -> None:
    whole = rewind(START, FINAL, rewinding_to(3, weights))
    ticket = apply_mask(MASK, whole)
    assert torch.equal(ticket["w"], source["w"] * MASK["w"])
    assert torch.equal(ticket["bias"], source["bias"])
    assert torch.equal(whole["w"], source["w"])


def test_the_rewound_schedule_reads_the_step_itself() -> None:
    step = schedule_step(rewinding_to(5), level=2, last_step=20)
    assert [step(n) for n in (5, 6, 19)] == [5, 6, 19]


def test_the_continued_schedule_stays_at_the_last_step_once_something_is_pruned() -> None:
    config = rewinding_to(5, "keep", "continue")
    dense, pruned = (schedule_step(config, level, last_step=20) for level in (0, 1))
    assert [dense(n) for n in (0, 19)] == [0, 19]
    assert [pruned(n) for n in (5, 6, 19)] == [19, 19, 19]
