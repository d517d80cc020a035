"""NT-ASGD: triggers, means and fine-tuning by numbers that are written out; masks, neighbours and resuming."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.tiny_tasks import config, half_masks, no_hook, stack, text_task, trained, zero_pruned
from tests.toy_task import Toy, Weights
from training.averaging import no_averages, non_monotone, start_means, update_means
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint
from training.configs import AveragingConfig, OptimizerConfig, TrainingConfig
from training.errors import LotteryError
from training.loop import begin, train
from training.replicates import Replicates
from training.state import TrainingState, trained_tensors
from training.steps import Steps
from training.tasks.task import Evaluation


def averaging(finetune: int = 0, patience: int = 1) -> AveragingConfig:
    return AveragingConfig(
        trigger="non-monotone", patience=patience, finetune=Steps(iterations=finetune)
    )


def how(steps: int, finetune: int = 0, patience: int = 1, rate: float = 1.0) -> TrainingConfig:
    """Plain SGD with a look after every step."""
    plain = config(steps, 1, OptimizerConfig(name="sgd", learning_rate=rate))
    return dataclasses.replace(plain, averaging=averaging(finetune, patience))


def toys(count: int) -> Replicates:
    return Replicates([Weights(0.0, 0.0)] * count, range(count), "stacked")


class Noting(Toy):
    """Notes the weights that are evaluated."""

    def __init__(self, validation: Sequence[Sequence[float]]) -> None:
        super().__init__(validation=validation)
        self.seen: list[list[list[float]]] = []

    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """As before."""
        self.seen.append(replicates.tensors()["weight"].tolist())
        return super().evaluate(replicates, split)


@pytest.mark.parametrize(
    ("logged", "loss", "patience", "fires"),
    [
        ([5, 4], 6, 2, False),  # no more than two are logged
        ([5, 4, 3], 6, 2, True),  # above 5
        ([5, 4, 3], 5, 2, False),  # not above 5: the latest two don't count
        ([5, 4, 3, 2, 1, 0], 4.5, 5, False),
        ([5, 4, 3, 2, 1, 0], 5.5, 5, True),
        ([3, 9, 9, 9, 9, 9, 9], 3.5, 5, True),  # the least of the first two
        ([9, 3, 9, 9, 9, 9], 4, 5, False),  # of the first alone, which is 9
    ],
)
def test_the_trigger_compares_with_all_but_the_latest(
    logged: list[float], loss: float, patience: int, fires: bool
) -> None:
    assert non_monotone(logged, loss, patience) is fires


@given(st.lists(st.floats(0, 10), max_size=12), st.integers(1, 6))
def test_losses_that_fall_never_trigger(losses: list[float], patience: int) -> None:
    falling = sorted(losses, reverse=True)
    for place, loss in enumerate(falling):
        assert not non_monotone(falling[:place], loss, patience)


def test_a_trace_by_hand() -> None:
    # Patience 1: 4.5 is not above 5, and 4.6 is above 4, so that it fires after the fourth step.
    losses = [5.0, 4.0, 4.5, 4.6, 3.0, 2.0, 9.0, 9.0]
    task = Noting([[loss] for loss in losses])
    raw = []

    def note(state: TrainingState) -> None:
        raw.append(state.replicates.tensors()["weight"][0, 0].item())

    state = trained(toys(1), task, how(8), hook=note)
    # Steps of (-3, -4) go on from the raw weights.
    assert raw == [-3.0 * step for step in range(1, 9)]
    # Evaluated: raw until the trigger; then the means of -15; -15, -18; -15, -18, -21; -15, -18, -21, -24.
    seen = [row[0][0] for row in task.seen]
    assert seen == pytest.approx([-3, -6, -9, -12, -15, -16.5, -18, -19.5])
    assert state.averages.since == [4]
    assert state.averages.logged == [[5.0, 4.0, 4.5, 4.6]]
    assert (state.best_step, state.best_loss) == ([6], [2.0])
    assert state.best["weight"][0].tolist() == pytest.approx([-16.5, -22.0])
    assert trained_tensors(state)["weight"][0].tolist() == pytest.approx([-19.5, -26.0])
    assert state.replicates.tensors()["weight"].tolist() == [[-24.0, -32.0]]


def test_fine_tuning_by_hand() -> None:
    losses = [5.0, 4.0, 4.5, 4.6, 3.0, 3.5, 3.2, 2.9, 3.0, 3.1, 1.0, 1.0]
    task = Noting([[loss] for loss in losses])
    raw = []

    def note(state: TrainingState) -> None:
        raw.append(state.replicates.tensors()["weight"][0, 0].item())

    state = trained(toys(1), task, how(12, finetune=6), hook=note)
    # The mean begins after step 4 and is best after step 5, at -15. There the seventh step starts. At the tenth look
    # 3.1 is above 2.9 (of 3.2, 2.9 and 3.0 the latest doesn't count): done, and held at the best mean, of -18 and -21.
    # Nobody is left to learn, so there is no eleventh step.
    assert raw == [-3, -6, -9, -12, -15, -18, -18, -21, -24, -19.5]
    assert state.step == 10
    seen = [row[0][0] for row in task.seen]
    means = [-15, -16.5, -18, -19.5, -21, -22.5]
    assert seen == pytest.approx([-3, -6, -9, -12, *means])
    assert state.averages.finished_at == [10]
    assert state.averages.logged == [[3.2, 2.9, 3.0, 3.1]]
    assert (state.best_step, state.best_loss) == ([8], [2.9])
    assert trained_tensors(state)["weight"][0].tolist() == pytest.approx([-19.5, -26.0])
    assert state.diverged_at == [None]


def test_fine_tuning_averages_at_once_whatever_came_before() -> None:
    # Losses that fall never trigger: the third step starts from the weights of step 2, the best.
    task = Noting([[9.0 - step] for step in range(6)])
    state = trained(toys(1), task, how(6, finetune=4))
    assert state.averages.since == [2]
    assert [row[0][0] for row in task.seen] == pytest.approx([-3, -6, -9, -10.5, -12, -13.5])
    assert state.averages.finished_at == [None]


def test_fine_tuning_without_a_look_before_it_starts_from_the_present_weights() -> None:
    late = dataclasses.replace(how(6, finetune=4), eval_every=Steps(iterations=5))
    state = trained(toys(1), Toy(), late)
    assert state.averages.since == [2]
    assert state.replicates.tensors()["weight"].tolist() == [[-18.0, -24.0]]
    # The mean of -9, -12, -15 and -18.
    assert trained_tensors(state)["weight"][0].tolist() == pytest.approx([-13.5, -18.0])


def test_a_trigger_at_the_last_look_leaves_the_weights_as_they_are() -> None:
    state = trained(toys(1), Toy(validation=[[2.0], [1.0], [3.0]]), how(3))
    assert state.averages.since == [3]
    assert trained_tensors(state)["weight"].tolist() == [[-9.0, -12.0]]


COLUMNS = [
    (5.0, 4.0, 3.0, 2.5, 2.4, 2.3, 2.2, 2.1),
    (5.0, 4.0, 6.0, 3.5, 3.4, 3.3, 3.2, 3.1),  # fires after step 3
    (5.0, 4.0, 3.0, 3.5, 3.6, 2.0, 9.0, 9.0),  # after step 5
]


def test_each_replicate_has_its_own_trigger_and_mean() -> None:
    together = trained(toys(3), Toy(validation=[*zip(*COLUMNS, strict=True)]), how(8))
    assert together.averages.since == [None, 3, 5]
    for r, column in enumerate(COLUMNS):
        alone = trained(toys(1), Toy(validation=[[loss] for loss in column]), how(8))
        assert alone.averages.since == [together.averages.since[r]]
        assert alone.best_step == [together.best_step[r]]
        assert torch.equal(alone.best["weight"][0], together.best["weight"][r])
        assert torch.equal(
            trained_tensors(alone)["weight"][0], trained_tensors(together)["weight"][r]
        )


def test_means_that_began_apart_go_on_in_one_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []

    def spy(means: list[Tensor], latest: list[Tensor], weights: list[float]) -> None:
        shares.append(weights)
        for mean, present, weight in zip(means, latest, weights, strict=True):
            mean.lerp_(present, weight)

    monkeypatch.setattr(torch, "_foreach_lerp_", spy)
    trained(toys(3), Toy(validation=[*zip(*COLUMNS, strict=True)]), how(8))
    # One replicate never begins, one began after step 3, one after step 5.
    assert shares == [[1.0], [1 / 2], [1 / 3, 1.0], [1 / 4, 1 / 2], [1 / 5, 1 / 3]]


def test_one_that_is_done_leaves_the_others_alone() -> None:
    first = (5.0, 4.0, 3.0, 2.5, 2.4, 2.45, 2.7, 9.0)
    second = (5.0, 4.0, 3.0, 2.5, 2.4, 2.3, 2.2, 2.1)
    both = Toy(validation=[*zip(first, second, strict=True)])
    together = trained(toys(2), both, how(8, finetune=5))
    alone = trained(toys(1), Toy(validation=[[loss] for loss in second]), how(8, finetune=5))
    # 2.45 is above 2.4, the latest, but not above 2.5; 2.7 is above both.
    assert together.averages.finished_at == [7, None]
    assert together.best_step == [5, 8]
    assert torch.equal(trained_tensors(together)["weight"][0], together.best["weight"][0])
    assert torch.equal(trained_tensors(together)["weight"][1], trained_tensors(alone)["weight"][0])


def test_a_replicate_that_diverges_loses_its_mean() -> None:
    validation = [[2.0], [1.0], [3.0], [0.5], [4.0]]
    task = Toy({(4, 0): float("nan")}, validation)
    state = trained(toys(1), task, how(8, finetune=2))
    assert (state.diverged_at, state.averages.since) == ([4], [None])
    assert state.best_step == [4]
    # The mean began after step 3: -12 alone.
    assert trained_tensors(state)["weight"].tolist() == [[-12.0, -16.0]]
    assert state.replicates.tensors()["weight"].tolist() == [[-12.0, -16.0]]


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=20))
def test_a_mean_is_that_of_all_iterates_and_moves_no_tensor(
    iterates: list[tuple[float, float]],
) -> None:
    replicates = toys(2)
    averages = no_averages(averaging(), replicates, 100)
    start_means(averages, replicates, [1], 7)
    place = averages.means["weight"].data_ptr()
    for step, pair in enumerate(iterates, 8):
        replicates.load({"weight": torch.tensor([[1.0, 2.0], pair])})
        update_means(averages, replicates, step)
    mean = torch.tensor(iterates, dtype=torch.float64).mean(0).float()
    torch.testing.assert_close(averages.means["weight"][1], mean, rtol=1e-5, atol=1e-5)
    assert averages.means["weight"][0].tolist() == [0.0, 0.0]
    assert averages.means["weight"].data_ptr() == place


@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerConfig(name="sgd", learning_rate=1.0, momentum=0.9),
        OptimizerConfig(name="adam", learning_rate=1.0),
        OptimizerConfig(name="adamw", learning_rate=1.0),
    ],
)
def test_averaging_needs_plain_sgd(optimizer: OptimizerConfig) -> None:
    with pytest.raises(LotteryError, match="never unless optimizer is sgd without momentum"):
        dataclasses.replace(config(optimizer=optimizer), averaging=averaging())


STEPS, TUNED = 18, 8
# The step at which the last replicate is done, after which nothing is left to do.
ENDS = 15


def real() -> TrainingConfig:
    """A rate at which the validation loss goes up and down, differently for each replicate."""
    plain = how(STEPS, TUNED, rate=20.0)
    optimizer = dataclasses.replace(plain.optimizer, clip_norm=0.5, weight_decay=1e-3)
    return dataclasses.replace(plain, optimizer=optimizer)


def fresh() -> tuple[TrainingState, dict[str, Tensor]]:
    """The same start each time, half of it pruned."""
    replicates = stack("awd-lstm", (0, 1, 2))
    masks = half_masks(replicates)
    zero_pruned(replicates, masks)
    return begin(replicates, text_task(), real(), 0), masks


def test_pruned_weights_are_exactly_0_in_the_mean_too() -> None:
    state, masks = fresh()
    averaged = []

    def check(state: TrainingState) -> None:
        held, means = state.replicates.tensors(), state.averages.means
        for tensors in (held, means, state.best, trained_tensors(state)):
            for name, mask in masks.items():
                assert not tensors[name][~mask].any()
        averaged.append(sum(since is not None for since in state.averages.since))

    train(state, text_task(), real(), STEPS, masks, check)
    assert max(averaged) == 3
    ends = trained_tensors(state)
    assert all(bool(ends[name][mask].any()) for name, mask in masks.items())


def test_a_real_network_is_averaged_beside_others_as_alone() -> None:
    together = trained(stack("awd-lstm", (0, 1, 2), "looped"), text_task(), real())
    for r in range(3):
        alone = trained(stack("awd-lstm", (r,), "looped"), text_task(), real())
        assert alone.averages.since == [together.averages.since[r]]
        assert alone.averages.finished_at == [together.averages.finished_at[r]]
        for name, tensor in trained_tensors(alone).items():
            torch.testing.assert_close(tensor[0], trained_tensors(together)[name][r])


def test_a_trigger_that_never_fires_changes_nothing() -> None:
    optimizer = OptimizerConfig(name="sgd", learning_rate=0.5)
    plain = config(8, 2, optimizer)
    patient = dataclasses.replace(plain, averaging=averaging(patience=1000))
    one, other = (trained(stack("awd-lstm", (0, 1)), text_task(), c) for c in (plain, patient))
    for name, tensor in trained_tensors(one).items():
        assert torch.equal(tensor, trained_tensors(other)[name])
    assert (one.validations, one.best_step) == (other.validations, other.best_step)


@functools.cache
def uninterrupted() -> tuple[
    list[bytes], tuple[tuple[int | None, ...], ...], tuple[int | None, ...]
]:
    """What is written after each step, which replicates had a mean then, and when they were done."""
    state, masks = fresh()
    written: list[bytes] = []
    means: list[tuple[int | None, ...]] = []

    def note(state: TrainingState) -> None:
        written.append(checkpoint_to_bytes(state))
        means.append(tuple(state.averages.since))

    train(state, text_task(), real(), STEPS, masks, note)
    return written, tuple(means), tuple(state.averages.finished_at)


def test_the_training_that_is_interrupted_goes_through_every_phase() -> None:
    _, means, finished = uninterrupted()
    assert means[0] == (None, None, None)
    assert any(since is not None for since in means[STEPS - TUNED - 1])
    assert any(since == STEPS - TUNED for since in means[STEPS - TUNED])
    assert max(step or STEPS for step in finished) == ENDS


@pytest.mark.parametrize("stop", range(1, ENDS + 1))
def test_stopped_at_any_step_and_resumed_equals_uninterrupted(stop: int) -> None:
    written, _, _ = uninterrupted()
    again, masks = fresh()
    restore_checkpoint(again, written[stop - 1], Path("checkpoint"))
    assert checkpoint_to_bytes(again) == written[stop - 1]
    train(again, text_task(), real(), STEPS, masks, no_hook)
    assert checkpoint_to_bytes(again) == written[-1]


def test_a_training_begins_with_no_mean_and_no_log() -> None:
    state = trained(toys(1), Toy(validation=[[2.0], [1.0], [3.0]]), how(5))
    assert state.averages.since == [3]
    rewound = begin(state.replicates, Toy(), how(5), 2)
    assert (rewound.averages.since, rewound.averages.logged) == ([None], [[]])
    assert not rewound.averages.means["weight"].any()


def test_a_checkpoint_of_another_averaging_is_refused() -> None:
    state, _ = fresh()
    plain = begin(stack("awd-lstm", (0, 1, 2)), text_task(), config(), 0)
    with pytest.raises(LotteryError, match="no checkpoint of this network"):
        restore_checkpoint(plain, checkpoint_to_bytes(state), Path("checkpoint"))
