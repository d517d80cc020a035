"""Checkpoints: bytes and back, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.tiny_tasks import config, no_hook, stack, task_for, trained
from training.checkpoints import (
    checkpoint_to_bytes,
    restore_checkpoint,
    tensors_from_bytes,
    tensors_to_bytes,
)
from training.errors import ExitCode, LotteryError
from training.loop import begin, train
from training.state import TrainingState

PATH = Path("level-01/checkpoint-0.safetensors")


def refused(state: TrainingState, data: bytes) -> str:
    with pytest.raises(LotteryError) as caught:
        restore_checkpoint(state, data, PATH)
    assert caught.value.exit_code is ExitCode.BAD_DATA
    message = str(caught.value)
    assert message.startswith(f"{PATH} is damaged: ")
    return message


def fresh(name: str) -> TrainingState:
    return begin(stack(name, (0, 1)), task_for(name), config(), 0)


def test_tensors_and_metadata_go_to_bytes_and_back() -> None:
    tensors = {
        "a": torch.arange(6).view(2, 3).mT,
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "scalar": torch.tensor(math.inf),
    }
    metadata = {"step": 3, "names": ["x", None], "nested": {"loss": 0.1}}
    read, told = tensors_from_bytes(tensors_to_bytes(tensors, metadata), PATH)
    assert told == metadata
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


@pytest.mark.parametrize(
    "state", ["5", "[1]", "null", '"a"', "[" * 100_000 + "]" * 100_000, "9" * 5000]
)
def test_metadata_of_another_form_are_refused(state: str) -> None:
    data = save({"a": torch.zeros(1)}, {"state": state})
    with pytest.raises(LotteryError, match="is damaged: ") as caught:
        tensors_from_bytes(data, PATH)
    assert caught.value.exit_code is ExitCode.BAD_DATA
    assert len(str(caught.value)) < 400


def test_tensors_may_share_their_storage() -> None:
    whole = torch.arange(4.0)
    read, _ = tensors_from_bytes(tensors_to_bytes({"a": whole, "b": whole[1:3]}), PATH)
    assert read["b"].tolist() == [1.0, 2.0]


def test_equal_tensors_give_equal_bytes_in_any_order() -> None:
    a, b = torch.zeros(2), torch.ones(3)
    assert tensors_to_bytes({"a": a, "b": b}, {"x": 1, "y": 2}) == tensors_to_bytes(
        {"b": b, "a": a}, {"y": 2, "x": 1}
    )


@pytest.mark.parametrize("length", [0, 4, 8, 40, -1])
def test_truncated_bytes_are_refused(length: int) -> None:
    data = tensors_to_bytes({"a": torch.arange(50.0)}, {"step": 1})
    with pytest.raises(LotteryError, match="not a file of tensors") as caught:
        tensors_from_bytes(data[:length], PATH)
    assert caught.value.exit_code is ExitCode.BAD_DATA


def test_a_file_of_tensors_without_metadata_is_refused() -> None:
    with pytest.raises(LotteryError, match="not a file of tensors"):
        tensors_from_bytes(save({"a": torch.zeros(1)}), PATH)


def test_a_checkpoint_holds_the_state_of_the_text() -> None:
    state = trained(stack("awd-lstm", (0, 1)), task_for("awd-lstm"), config(7, 3))
    again = fresh("awd-lstm")
    assert not any(tensor.any() for tensor in again.carry)
    restore_checkpoint(again, checkpoint_to_bytes(state), PATH)
    # Two layers of (h, c), `[R, B, H]`.
    assert [tuple(t.shape) for t in again.carry] == [(2, 3, 6)] * 2 + [(2, 3, 5)] * 2
    assert all(torch.equal(a, b) for a, b in zip(again.carry, state.carry, strict=True))
    assert (again.step, again.validations, again.best_loss) == (
        7,
        state.validations,
        state.best_loss,
    )


def test_a_state_before_the_first_step_and_between_looks_is_kept() -> None:
    state = fresh("lenet-300-100")
    data = checkpoint_to_bytes(state)
    again = fresh("lenet-300-100")
    restore_checkpoint(again, data, PATH)
    assert (again.step, again.recent, again.best_loss) == (0, [], [math.inf, math.inf])
    stopped = []

    def note(now: TrainingState) -> None:
        if now.step == 2:
            stopped.append(checkpoint_to_bytes(now))

    train(again, task_for("lenet-300-100"), config(), 6, {}, note)
    restore_checkpoint(state, stopped[0], PATH)
    assert len(state.recent) == 2
    train(state, task_for("lenet-300-100"), config(), 6, {}, no_hook)
    assert checkpoint_to_bytes(state) == checkpoint_to_bytes(again)


def test_a_checkpoint_of_another_network_or_count_is_refused() -> None:
    data = checkpoint_to_bytes(fresh("lenet-300-100"))
    assert "no checkpoint of this network" in refused(fresh("resnet"), data)
    one = begin(stack("lenet-300-100", (0,)), task_for("lenet-300-100"), config(), 0)
    assert "no checkpoint of this network" in refused(one, data)
    assert "no checkpoint of this network" in refused(
        fresh("lenet-300-100"), checkpoint_to_bytes(one)
    )


def test_a_checkpoint_with_parts_missing_is_refused() -> None:
    data = checkpoint_to_bytes(fresh("lenet-300-100"))
    tensors, metadata = tensors_from_bytes(data, PATH)
    for name in ("best/1.layers.0.weight", "now/1.layers.0.bias"):
        fewer = {n: t for n, t in tensors.items() if n != name}
        refused(fresh("lenet-300-100"), tensors_to_bytes(fewer, metadata))
    for key in metadata:
        fewer_metadata = {k: v for k, v in metadata.items() if k != key}
        refused(fresh("lenet-300-100"), tensors_to_bytes(tensors, fewer_metadata))
    refused(fresh("lenet-300-100"), tensors_to_bytes(tensors | {"x/y": torch.ones(1)}, metadata))
    refused(fresh("lenet-300-100"), data[:-3])
