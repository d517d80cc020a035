"""How often a search waits for its device: wherever a value is read from it, or copied to it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas.search.configs import SearchConfig
from nas.search.evaluate import SharedScorer
from nas.search.shared_training import SharedTraining, shared_training
from nas.search.space import Choices, random_choices
from tests.tiny_searches import CELL, LAYERS, TEXT, task_of
from training.dropout import Draws, Dropout, DropPath

aten = torch.ops.aten


class Waits(TorchDispatchMode):
    """Counts values that are read (`item`), tensors that are made of values (`copy`), and masks that select."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.count = Counter[str]()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count what would wait on a device."""
        packet = func.overloadpacket
        if packet in (aten._local_scalar_dense, aten.is_nonzero):
            self.count["read"] += 1
        if packet in (aten.lift_fresh, aten.lift, aten.scalar_tensor):
            self.count["copied"] += 1
        if packet in (aten.nonzero, aten.masked_select) or (
            packet is aten.index and any(_is_mask(index) for index in args[1])
        ):
            self.count["selected"] += 1
        return func(*args, **(kwargs or {}))


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool


def begun(config: SearchConfig) -> SharedTraining:
    task = task_of(config)
    made = shared_training(config.resolved(task.steps_per_epoch), task)
    assert made is not None
    return made


def drawn(training: SharedTraining, count: int) -> list[Choices]:
    source = Random(count)
    return [random_choices(training.space, source) for _ in range(count)]


DROPPING = dataclasses.replace(CELL, name="dropping", network={**CELL.network, "dropout": 0.1})


@pytest.mark.parametrize("config", [LAYERS, CELL, DROPPING, TEXT], ids=lambda config: config.name)
def test_a_step_of_shared_weights_waits_for_nothing(config: SearchConfig) -> None:
    training = begun(config)
    with Waits() as waits:
        for number in range(1, 4):
            training.take_step(drawn(training, number))
    assert waits.count == {}


@pytest.mark.parametrize("config", [LAYERS, TEXT], ids=lambda config: config.name)
def test_a_look_waits_once_and_the_end_of_a_phase_three_times(config: SearchConfig) -> None:
    training = begun(config)
    training.take_step(drawn(training, 1))
    with Waits() as look:
        assert training.is_sound()
    assert look.count == {"read": 1}
    with Waits() as end:
        assert training.unstable == 0
        training.take_losses()
    assert end.count == {"read": 2, "selected": 1}


@pytest.mark.parametrize("config", [LAYERS, CELL], ids=lambda config: config.name)
def test_a_reward_waits_once(config: SearchConfig) -> None:
    training = begun(config)
    scorer = SharedScorer(training, training.task.rewards(0, 80.0, 4))
    (choices,) = drawn(training, 1)
    for number in range(2):
        scorer.minibatch(choices, 0, number)
    with Waits() as waits:
        scorer.minibatch(choices, 0, 1)
    assert waits.count == {"read": 1}
    # In three parts, of which all are read together.
    scorer.whole(choices)
    with Waits() as waits:
        scorer.whole(choices)
    assert waits.count == {"read": 1}


def test_a_reward_of_text_waits_once_and_draws_its_window_on_the_host() -> None:
    training = begun(TEXT)
    scorer = SharedScorer(training, training.task.rewards(0, 80.0))
    (choices,) = drawn(training, 1)
    scorer.minibatch(choices, 0, 0)
    with Waits() as waits:
        scorer.minibatch(choices, 0, 1)
    assert waits.count == {"read": 1 + 1}
    with Waits() as waits:
        scorer.whole(choices)
    assert waits.count == {"read": 1}


def test_draws_copy_nothing() -> None:
    network = torch.nn.Sequential(Dropout(0.5), DropPath(0.5), Dropout(0.1))
    draws = Draws(network)
    with Waits() as waits:
        draws.give(seed=3, step=4, progress=0.5)
    assert waits.count == {}


def test_waits_are_counted() -> None:
    with Waits() as waits:
        x = torch.tensor([1.0, 2.0], device="cpu")
        float(x[0])
        bool((x > 1).all())
        x[x > 1]
    assert waits.count == {"copied": 1, "read": 2, "selected": 1}
