"""The loop: pruned weights stay 0, clipping, divergence, the best step, and stopping at any step."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nas.catalog.building import build
from tests.tiny_tasks import (
    config,
    half_masks,
    no_hook,
    some_text,
    stack,
    task_for,
    trained,
    zero_pruned,
)
from tests.toy_task import Toy, Weights
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint
from training.configs import OptimizerConfig, ScheduleConfig, TrainingConfig
from training.dropout import Dropout, DropPath
from training.loop import begin, train
from training.noise import generator
from training.optimizers import schedule_factor
from training.replicates import Replicates
from training.state import TrainingState
from training.steps import Steps
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Carry, Network

SGD1 = OptimizerConfig(name="sgd", learning_rate=1.0)
OPTIMIZERS = {
    "sgd": OptimizerConfig(name="sgd", learning_rate=0.1),
    "sgd with decay": OptimizerConfig(name="sgd", learning_rate=0.1, weight_decay=0.1),
    "sgd with momentum": OptimizerConfig(
        name="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.1
    ),
    "sgd with nesterov": OptimizerConfig(
        name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.1, clip_norm=0.5
    ),
    "adam": OptimizerConfig(name="adam", learning_rate=0.01),
    "adam with decay": OptimizerConfig(name="adam", learning_rate=0.01, weight_decay=0.1),
    "adamw with decay": OptimizerConfig(
        name="adamw", learning_rate=0.01, weight_decay=0.1, clip_norm=0.5
    ),
}


def toys(*weights: tuple[float, float]) -> Replicates:
    return Replicates([Weights(*pair) for pair in weights], range(len(weights)), "stacked")


def weights(state: TrainingState) -> list[list[float]]:
    held: list[list[float]] = state.replicates.tensors()["weight"].tolist()
    return held


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["lenet-300-100", "resnet", "awd-lstm"])
def test_pruned_weights_are_exactly_0_after_every_step(name: str, optimizer: str) -> None:
    replicates = stack(name, (0, 1))
    masks = half_masks(replicates)
    zero_pruned(replicates, masks)
    first = {n: t.clone() for n, t in replicates.tensors().items()}
    seen = []

    def check(state: TrainingState) -> None:
        held = state.replicates.tensors()
        for n, mask in masks.items():
            assert not held[n][~mask].any()
            assert not state.best[n][~mask].any()
        seen.append(state.step)

    trained(replicates, task_for(name), config(5, 2, OPTIMIZERS[optimizer]), masks, check)
    assert seen == [1, 2, 3, 4, 5]
    last = replicates.tensors()
    assert sum(bool((last[n] != first[n])[m].any()) for n, m in masks.items()) == len(masks)


def test_the_clip_norm_counts_no_pruned_weight() -> None:
    how = config(1, 1, OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=1.5))
    masks = {"weight": torch.tensor([[True, False], [True, True]])}
    state = trained(toys((10.0, 0.0), (10.0, 10.0)), Toy(), how, masks)
    # Pruned: the gradient (3, 0) of norm 3 is halved. Dense: (3, 4) of norm 5 becomes (0.9, 1.2).
    assert weights(state)[0] == pytest.approx([8.5, 0.0], abs=1e-5)
    assert weights(state)[1] == pytest.approx([9.1, 8.8], abs=1e-5)


def test_clipping_is_per_replicate() -> None:
    how = config(1, 1, OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=5.0))
    state = trained(toys((0.0, 0.0), (0.0, 0.0)), Toy({(0, 1): 100.0}), how)
    # The second one's gradient is a hundred times as large; the first one's is just not clipped.
    assert weights(state)[0] == pytest.approx([-3.0, -4.0], abs=1e-4)
    assert weights(state)[1] == pytest.approx([-3.0, -4.0], abs=1e-4)


def test_the_best_weights_are_those_of_least_validation_loss() -> None:
    task = Toy(validation=[[5.0, 5.0], [3.0, 6.0], [3.0, 4.0], [9.0, 4.5]])
    state = trained(toys((0.0, 0.0), (1.0, 0.0)), task, config(8, 2, SGD1))
    # Looks after 2, 4, 6 and 8 steps; of equal losses the first counts.
    assert state.best_step == [4, 6]
    assert state.best_loss == [3.0, 4.0]
    assert state.best["weight"].tolist() == [[-12.0, -16.0], [-17.0, -24.0]]
    assert weights(state) == [[-24.0, -32.0], [-23.0, -32.0]]
    assert [look.step for look in state.validations] == [2, 4, 6, 8]
    assert state.validations[1].loss == (3.0, 6.0)
    assert state.validations[1].metric == (-3.0, -6.0)


def test_the_last_step_is_looked_at_too() -> None:
    state = trained(toys((0.0, 0.0)), Toy(), config(5, 3, SGD1))
    assert [look.step for look in state.validations] == [3, 5]


@pytest.mark.parametrize("factor", [math.inf, math.nan])
def test_a_diverging_replicate_is_held_and_the_others_go_on(factor: float) -> None:
    how = config(8, 2, OptimizerConfig(name="adam", learning_rate=0.1, clip_norm=1.0))
    held_after = []

    def note(state: TrainingState) -> None:
        if torch.equal(state.replicates.tensors()["weight"][1], state.best["weight"][1]):
            held_after.append(state.step)

    start = toys((1.0, 1.0), (1.0, 1.0), (2.0, 1.0))
    state = trained(start, Toy({(3, 1): factor}), how, hook=note)
    alone = trained(toys((1.0, 1.0), (1.0, 1.0), (2.0, 1.0)), Toy(), how)
    # Steps are counted from 0; the last look before step 3 was after two steps.
    assert state.diverged_at == [None, 3, None]
    assert alone.diverged_at == [None, None, None]
    assert state.best_step == [8, 2, 8]
    # Its own best was at step 2; from the look that finds it on it is held after every step.
    assert held_after == [2, 4, 5, 6, 7, 8]
    held = state.replicates.tensors()["weight"]
    assert torch.equal(held[1], state.best["weight"][1])
    assert bool(held.isfinite().all())
    for r in (0, 2):
        assert torch.equal(held[r], alone.replicates.tensors()["weight"][r])
        assert torch.equal(state.best["weight"][r], alone.best["weight"][r])
        assert state.best_loss[r] == alone.best_loss[r]
    finite = [[loss is not None for loss in look.loss] for look in state.validations]
    assert finite == [[True, True, True], *[[True, False, True]] * 3]
    assert all(look.metric[1] is None for look in state.validations[1:])


def test_a_replicate_that_diverges_before_its_first_look_keeps_its_start() -> None:
    state = trained(toys((1.0, 2.0), (1.0, 2.0)), Toy({(0, 0): math.nan}), config(4, 2, SGD1))
    assert state.diverged_at == [0, None]
    assert weights(state)[0] == [1.0, 2.0]
    assert (state.best_step[0], state.best_loss[0]) == (0, math.inf)


def test_a_validation_loss_that_is_not_finite_is_a_divergence() -> None:
    task = Toy(validation=[[1.0, 1.0], [0.5, math.inf], [0.4, 0.1]])
    state = trained(toys((0.0, 0.0), (0.0, 0.0)), task, config(6, 2, SGD1))
    assert state.diverged_at == [None, 4]
    assert state.best_step == [6, 2]
    assert state.validations[2].loss == (0.4, None)


@pytest.mark.parametrize("name", ["resnet", "awd-lstm"])
def test_a_real_network_that_diverges_leaves_its_neighbours_alone(name: str) -> None:
    def run(broken: bool) -> TrainingState:
        replicates = stack(name, (0, 1, 2))
        if broken:
            held = {n: t.clone() for n, t in replicates.tensors().items()}
            next(iter(held.values()))[1].fill_(math.inf)
            replicates.load(held)
        return trained(replicates, task_for(name), config(5, 2))

    broken, whole = run(broken=True), run(broken=False)
    assert broken.diverged_at == [None, 0, None]
    for n, tensor in broken.replicates.tensors().items():
        for r in (0, 2):
            assert torch.equal(tensor[r], whole.replicates.tensors()[n][r])
            assert torch.equal(broken.best[n][r], whole.best[n][r])


def test_the_learning_rate_follows_the_schedule() -> None:
    schedule = ScheduleConfig(
        name="step", milestones=(Steps(epochs=1),), factor=0.5, warmup=Steps(iterations=2)
    )
    how = TrainingConfig(
        steps=Steps(iterations=6),
        batch_size=1,
        eval_every=Steps(iterations=6),
        optimizer=SGD1,
        schedule=schedule,
    )
    places = []

    def note(state: TrainingState) -> None:
        places.append(weights(state)[0][0])

    trained(toys((0.0, 0.0)), Toy(), how, hook=note)
    # Gradient 3 at rates 1/2, 1, 1, 1, then 1/2 from the fifth step (an epoch is 4 steps).
    assert places == [-1.5, -4.5, -7.5, -10.5, -12.0, -13.5]


def test_the_schedule_may_be_read_at_another_step() -> None:
    how = TrainingConfig(
        steps=Steps(iterations=8),
        batch_size=1,
        eval_every=Steps(iterations=8),
        optimizer=SGD1,
        schedule=ScheduleConfig(name="cosine"),
    )
    state = begin(toys((0.0, 0.0)), Toy(), how, 0)
    train(state, Toy(), how, 2, {}, no_hook, schedule_step=lambda step: step + 4)
    rate = sum(schedule_factor(how.schedule, step, 8, 4) for step in (4, 5))
    assert weights(state)[0] == pytest.approx([-3 * rate, -4 * rate])


@pytest.mark.parametrize(
    ("name", "size", "parts"),
    [
        ("lenet-300-100", {"widths": [8, 6]}, 2),
        ("lenet-300-100", {"widths": [8, 6]}, 6),
        ("lstm", {"embedding": 5, "hidden": 6, "layers": 2}, 3),
    ],
)
def test_a_step_in_parts_is_the_step_to_rounding(
    name: str, size: dict[str, object], parts: int
) -> None:
    task = task_for("awd-lstm" if name == "lstm" else name)
    ends = []
    for accumulation in (1, parts):
        networks = [build(name, size, task.spec, generator(s, "initial weights")) for s in (0, 1)]
        replicates = Replicates(networks, (0, 1), "stacked")
        how = dataclasses.replace(
            config(6, 3, OPTIMIZERS["sgd with nesterov"]),
            batch_size=parts,
            accumulation=accumulation,
        )
        ends.append(trained(replicates, task, how, half_masks(replicates)))
    whole, cut = (state.replicates.tensors() for state in ends)
    for weight, same in zip(whole.values(), cut.values(), strict=True):
        torch.testing.assert_close(weight, same, rtol=1e-4, atol=1e-6)
    assert ends[0].validations[-1].loss == pytest.approx(ends[1].validations[-1].loss, rel=1e-4)


class Drawing(nn.Module):
    """Notes what its dropout keeps, and how far training is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.dropout = Dropout(0.5)
        self.path = DropPath(0.5)
        self.kept: list[tuple[bool, ...]] = []
        self.progress: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, 2]` to `[B]`."""
        self.kept.append(tuple((self.dropout(torch.ones(32)) > 0).tolist()))
        self.progress.append(float(self.path.progress))
        return x @ self.weight


def drawn(first: int, parts: int) -> Drawing:
    """A network that was trained from a step to the fourth, in parts."""
    how = TrainingConfig(
        steps=Steps(iterations=4),
        batch_size=parts,
        eval_every=Steps(iterations=4),
        optimizer=SGD1,
        accumulation=parts,
    )
    task = Toy(rows=parts)
    replicates = Replicates([Drawing()], [3], "looped")
    train(begin(replicates, task, how, first), task, how, 4, {}, no_hook)
    network = replicates.network
    assert isinstance(network, Drawing)
    return network


def test_no_two_parts_repeat_their_noise() -> None:
    draws = drawn(0, 3).kept
    assert len(draws) == len(set(draws)) == 12
    # They are a function of seed, step and part: who starts at step 2 draws the same.
    assert drawn(2, 3).kept == draws[6:]
    assert drawn(0, 1).kept == draws[:4]


def test_the_share_of_training_that_is_done_ends_at_1() -> None:
    assert drawn(0, 1).progress == [0.25, 0.5, 0.75, 1.0]
    assert drawn(2, 2).progress == [0.75, 0.75, 1.0, 1.0]


def test_the_state_of_a_text_is_carried_within_an_epoch_and_starts_each_at_zero() -> None:
    class Noting(LanguageModelling):
        """Notes at which steps the state is zero."""

        def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
            """As before."""
            zero.append(not any(bool(tensor.any()) for tensor in carry))
            return super().loss(network, carry, *batch)

    zero: list[bool] = []
    task = Noting(some_text(), 3, 7)
    trained(stack("awd-lstm", (0,), "looped"), task, config(12, 12))
    assert [step for step, is_zero in enumerate(zero) if is_zero] == [0, 5, 10]


def test_nothing_is_done_when_all_steps_are_taken() -> None:
    state = trained(toys((0.0, 0.0)), Toy(), config(2, 2, SGD1))
    before = checkpoint_to_bytes(state)
    train(state, Toy(), config(2, 2, SGD1), 2, {}, no_hook)
    assert checkpoint_to_bytes(state) == before


class _StopError(Exception):
    """Stands for a signal."""


RESUMED = {
    "lenet-300-100": OptimizerConfig(name="adam", learning_rate=0.01),
    "resnet": OptimizerConfig(
        name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "awd-lstm": OptimizerConfig(name="adam", learning_rate=0.01, clip_norm=0.5),
    "enas-lm": OptimizerConfig(name="adamw", learning_rate=0.01, weight_decay=0.1),
}
STEPS, EVERY = 12, 5  # epochs end at 4 and 8, or 5 and 10; looks are after 5, 10 and 12


def fresh(name: str) -> tuple[TrainingState, dict[str, Tensor]]:
    """The same start each time, half of it pruned."""
    replicates = stack(name, (0, 1))
    masks = half_masks(replicates)
    zero_pruned(replicates, masks)
    return begin(replicates, task_for(name), how(name), 0), masks


def how(name: str) -> TrainingConfig:
    return config(STEPS, EVERY, RESUMED[name])


@functools.cache
def uninterrupted(name: str) -> list[bytes]:
    """What is written after each step."""
    state, masks = fresh(name)
    written: list[bytes] = []

    def note(state: TrainingState) -> None:
        written.append(checkpoint_to_bytes(state))

    train(state, task_for(name), how(name), STEPS, masks, note)
    return written


def resumed(name: str, stop: int) -> bytes:
    """What is written last by a training that goes on from a checkpoint."""
    written = uninterrupted(name)[stop - 1]
    again, masks = fresh(name)
    restore_checkpoint(again, written, Path("checkpoint"))
    assert checkpoint_to_bytes(again) == written
    train(again, task_for(name), how(name), STEPS, masks, no_hook)
    return checkpoint_to_bytes(again)


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_stopped_at_any_step_and_resumed_equals_uninterrupted(stop: int) -> None:
    # Weights, best weights, averages, carry, looks and steps: all of it.
    assert resumed("lenet-300-100", stop) == uninterrupted("lenet-300-100")[-1]


# While steps are recorded, at looks and ends of epochs, and between.
@pytest.mark.parametrize("stop", [1, 5, 8, 11])
@pytest.mark.parametrize("name", [n for n in RESUMED if n != "lenet-300-100"])
def test_every_kind_of_network_stopped_and_resumed_equals_uninterrupted(
    name: str, stop: int
) -> None:
    assert resumed(name, stop) == uninterrupted(name)[-1]


def test_what_is_written_when_a_training_is_interrupted_is_what_it_would_have_written() -> None:
    written = []

    def interrupt(state: TrainingState) -> None:
        if state.step == 7:
            written.append(checkpoint_to_bytes(state))
            raise _StopError

    state, masks = fresh("awd-lstm")
    with pytest.raises(_StopError):
        train(state, task_for("awd-lstm"), how("awd-lstm"), STEPS, masks, interrupt)
    assert written == [uninterrupted("awd-lstm")[6]]


def test_a_divergence_survives_an_interruption_between_looks() -> None:
    doctored = {(3, 1): math.nan}
    whole = trained(toys((1.0, 1.0), (1.0, 1.0)), Toy(doctored), config(8, 4, SGD1))
    for stop in range(1, 8):
        first = begin(toys((1.0, 1.0), (1.0, 1.0)), Toy(doctored), config(8, 4, SGD1), 0)
        written: list[bytes] = []

        def interrupt(state: TrainingState, stop: int = stop, to: list[bytes] = written) -> None:
            if state.step == stop:
                to.append(checkpoint_to_bytes(state))
                raise _StopError

        with pytest.raises(_StopError):
            train(first, Toy(doctored), config(8, 4, SGD1), 8, {}, interrupt)
        again = begin(toys((1.0, 1.0), (1.0, 1.0)), Toy(doctored), config(8, 4, SGD1), 0)
        restore_checkpoint(again, written[0], Path("checkpoint"))
        train(again, Toy(doctored), config(8, 4, SGD1), 8, {}, no_hook)
        assert again.diverged_at == [None, 3]
        assert checkpoint_to_bytes(again) == checkpoint_to_bytes(whole)
