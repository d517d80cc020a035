"""Training on CUDA: what a CPU gives, the same bits in every way and after a resume, flat memory, and no waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_steps import MODES
from torch import Tensor

from tests.tiny_tasks import (
    SIZES,
    TEXT_NETWORKS,
    config,
    half_masks,
    image_data,
    no_hook,
    some_text,
    stack,
    zero_pruned,
)
from training.batching import Batching
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint
from training.configs import OptimizerConfig, TrainingConfig
from training.loop import Hook, begin, train
from training.replay import REPLAY
from training.state import TrainingState
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
# With Adam the least gradient decides over a whole step, and a rounding over its sign.
MOMENTUM = OptimizerConfig(name="sgd", learning_rate=0.05, momentum=0.9, clip_norm=0.5)
PARTED = pytest.mark.parametrize("batching", ["stacked", "looped"])
NETWORKS = pytest.mark.parametrize("name", SIZES)
pytestmark = pytest.mark.cuda


def task_on(name: str, device: torch.device) -> Task:
    """13 steps per epoch of images, 10 of text."""
    if name in TEXT_NETWORKS:
        return LanguageModelling(some_text().to(device), 3, 3, evaluation_columns=5)
    return ImageClassification(image_data().to(device), batch_size=2)


def begun(
    name: str, batching: Batching, how: TrainingConfig, device: torch.device
) -> tuple[TrainingState, Task, Mapping[str, Tensor]]:
    """Three replicates, each half pruned, before their first step."""
    replicates = stack(name, [0, 1, 2], batching)
    masks = half_masks(replicates)
    zero_pruned(replicates, masks)
    task = task_on(name, device)
    there = {mask_of: mask.to(device) for mask_of, mask in masks.items()}
    return begin(replicates.to(device), task, how, 0), task, there


def trained(
    name: str,
    batching: Batching,
    how: TrainingConfig,
    device: torch.device = CUDA,
    mode: str = "replayed",
    hook: Hook = no_hook,
) -> TrainingState:
    """From the first step to the last."""
    state, task, masks = begun(name, batching, how, device)
    train(state, task, how, how.steps.iterations, masks, hook, **MODES[mode])
    return state


@PARTED
@NETWORKS
def test_a_training_is_that_of_a_cpu(name: str, batching: Batching) -> None:
    how = config(6, 3, MOMENTUM)
    here, there = (trained(name, batching, how, device) for device in (CPU, CUDA))
    for key, tensor in here.replicates.tensors().items():
        found = there.replicates.tensors()[key].cpu()
        torch.testing.assert_close(found, tensor, rtol=1e-3, atol=1e-4, msg=key)
    for one, other in zip(here.validations, there.validations, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@PARTED
@NETWORKS
def test_every_mode_gives_the_same_bits(name: str, batching: Batching, precision: str) -> None:
    how = with_precision(config(20, 7), precision)
    first, *others = [
        checkpoint_to_bytes(trained(name, batching, how, mode=mode)) for mode in MODES
    ]
    assert all(other == first for other in others)


def with_precision(how: TrainingConfig, precision: Any) -> TrainingConfig:
    """The same in another precision."""
    return dataclasses.replace(how, precision=precision)


class StoppedError(Exception):
    """Stands for a signal."""


@pytest.mark.parametrize("mode", MODES)
@NETWORKS
def test_a_resumed_training_ends_in_the_same_bits(name: str, mode: str) -> None:
    how = config(40, 7)
    whole = checkpoint_to_bytes(trained(name, "stacked", how, mode=mode))
    saved: list[bytes] = []

    def stop(state: TrainingState) -> None:
        if state.step == 18:
            saved.append(checkpoint_to_bytes(state))
            raise StoppedError

    with pytest.raises(StoppedError):
        trained(name, "stacked", how, mode=mode, hook=stop)
    state, task, masks = begun(name, "stacked", how, CUDA)
    restore_checkpoint(state, saved[0], Path("checkpoint"))
    train(state, task, how, 40, masks, no_hook, **MODES[mode])
    assert checkpoint_to_bytes(state) == whole


@NETWORKS
def test_a_checkpoint_of_cuda_goes_on_on_a_cpu(name: str) -> None:
    how = config(6, 3, MOMENTUM)
    saved = checkpoint_to_bytes(trained(name, "stacked", how))
    state, task, masks = begun(name, "stacked", config(12, 3, MOMENTUM), CPU)
    restore_checkpoint(state, saved, Path("checkpoint"))
    train(state, task, config(12, 3, MOMENTUM), 12, masks, no_hook)
    assert state.step == 12
    assert state.diverged_at == [None] * 3


@PARTED
@pytest.mark.parametrize("name", ["resnet", "enas-micro"])
def test_batch_norm_learns_in_bf16(name: str, batching: Batching) -> None:
    full = trained(name, batching, config(10, 10, MOMENTUM))
    half = trained(name, batching, with_precision(config(10, 10, MOMENTUM), "bf16"))
    assert half.diverged_at == [None] * 3
    for loss, other in zip(full.validations[-1].loss, half.validations[-1].loss, strict=True):
        assert loss is not None
        assert other == pytest.approx(loss, rel=0.2)
    assert {t.dtype for t in half.replicates.weights().values()} == {torch.float32}


@pytest.mark.parametrize("mode", MODES)
@PARTED
@NETWORKS
def test_memory_is_flat_over_200_steps(name: str, batching: Batching, mode: str) -> None:
    seen: dict[int, int] = {}

    def note(state: TrainingState) -> None:
        state.recent.clear()
        if state.step % 40 == 0:
            seen[state.step] = torch.cuda.memory_allocated()

    # An epoch's order is there from its beginning to the next one's.
    trained(name, batching, config(200, 1000), mode=mode, hook=note)
    assert seen[200] <= seen[80], seen


@PARTED
@NETWORKS
def test_no_step_of_an_epoch_waits_for_the_device(name: str, batching: Batching) -> None:
    how, taken = config(REPLAY.fewest_calls, 1000), []

    def note(state: TrainingState) -> None:
        taken.append(state.step)
        # Two steps are captured; the last is followed by a look at the validation split.
        torch.cuda.set_sync_debug_mode("error" if 3 <= state.step < 8 else "default")

    try:
        trained(name, batching, how, hook=note)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert taken == [*range(1, REPLAY.fewest_calls + 1)]
