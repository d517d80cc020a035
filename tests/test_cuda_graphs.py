"""Steps as CUDA graphs, on a card: the same numbers as called, recorded and replayed ones, and no wait for the card."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch

from tests.graphed_cases import ADAM, CASES, Case, begun, how, images, text, written
from training.batching import Batching
from training.graphs import GRAPH, NO_GRAPH, CudaGraphs, GraphPolicy
from training.loop import train
from training.replay import NO_REPLAY
from training.state import TrainingState
from training.tasks.task import Task

pytestmark = pytest.mark.cuda
CUDA = torch.device("cuda")


@functools.cache
def replayed(name: str, batching: Batching, spoiled: int | None = None) -> list[bytes]:
    """What is written after every step without graphs."""
    return written(CASES[name], (0, 1, 2), batching, NO_GRAPH, device=CUDA, spoiled=spoiled)


@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", CASES)
def test_called_replayed_and_launched_steps_are_one(name: str, batching: Batching) -> None:
    told: list[str] = []
    graph = GraphPolicy(told=told.append)
    launched = written(CASES[name], (0, 1, 2), batching, graph, device=CUDA)
    assert {*told} == {""}
    assert launched == replayed(name, batching)
    called = written(CASES[name], (0, 1, 2), batching, NO_GRAPH, NO_REPLAY, device=CUDA)
    assert called == launched


@pytest.mark.parametrize("stop", [2, 5, 11])
@pytest.mark.parametrize("name", CASES)
def test_stopped_and_resumed_equals_uninterrupted(name: str, stop: int) -> None:
    before = written(CASES[name], (0, 1, 2), "stacked", GRAPH, device=CUDA, stop=stop)
    after = written(CASES[name], (0, 1, 2), "stacked", GRAPH, device=CUDA, data=before[-1])
    assert [*before, *after] == replayed(name, "stacked")


@pytest.mark.parametrize("name", [*list(CASES)[:2], *list(CASES)[3:4], *list(CASES)[5:6]])
def test_a_replicate_that_diverges_leaves_the_others_alone(name: str) -> None:
    found = written(CASES[name], (0, 1, 2), "stacked", GRAPH, device=CUDA, spoiled=1)
    assert found == replayed(name, "stacked", spoiled=1)


@pytest.mark.parametrize("graph", [GRAPH, NO_GRAPH], ids=["launched", "replayed"])
@pytest.mark.parametrize(
    ("name", "task", "first"),
    [("lenet-300-100", images, 3), ("resnet", images, 3), ("awd-lstm", text, 16)],
)
def test_no_step_waits_for_the_card(
    name: str, task: Callable[[torch.device], Task], first: int, graph: GraphPolicy
) -> None:
    """From the third step of a form on, but for an epoch's first, which has an order copied or a state checked."""
    steps = first + 12
    case = Case(name, task, how(steps, steps, ADAM))
    state, data, masks = begun(case, (0, 1, 2), "stacked", CUDA)
    modes: list[int] = []

    def watch(now: TrainingState) -> None:
        modes.append(torch.cuda.get_sync_debug_mode())
        inside = now.step >= first and now.step % data.steps_per_epoch and now.step < steps - 1
        torch.cuda.set_sync_debug_mode("error" if inside else "default")

    try:
        train(state, data, case.how, steps, masks, watch, graph=graph)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert modes.count(2) >= 6


def test_memory_stays_flat_over_200_steps() -> None:
    name = "AWD-LSTM with NT-ASGD and varied windows"
    case = Case("awd-lstm", CASES[name].task, how(260, 20, CASES[name].how.optimizer, tuned=60))
    state, task, masks = begun(case, (0, 1, 2), "stacked", CUDA)
    allocated: list[int] = []

    def note(now: TrainingState) -> None:
        # At validations, since when losses are kept.
        if now.step % 20 == 0:
            allocated.append(torch.cuda.memory_reserved())

    train(state, task, case.how, 260, masks, note)
    half = allocated[len(allocated) // 2 :]
    assert max(half) - min(half) <= 2**21


def test_a_capture_that_fails_leaves_torch_as_it_was() -> None:
    graphs, tensor = CudaGraphs(CUDA), torch.ones(3, device=CUDA)
    stream = torch.cuda.current_stream()

    def reading() -> None:
        """A value, which no capture allows."""
        tensor.mul_(float(tensor.sum()))

    def adding() -> None:
        tensor.add_(1.0)

    with pytest.raises(RuntimeError):
        graphs.capture(reading)
    assert torch.cuda.current_stream() == stream
    assert (tensor * 2).tolist() == [2.0] * 3
    play = graphs.capture(adding)
    assert tensor.tolist() == [1.0] * 3
    play()
    assert tensor.tolist() == [2.0] * 3


def test_a_failed_capture_is_replayed_with_a_reason() -> None:
    class Failing(CudaGraphs):
        """Reads a value at the end of every capture."""

        def capture(self, function: Callable[[], None]) -> Callable[[], None]:
            """As before, and then it fails."""

            def reading() -> None:
                function()
                torch.ones(3, device=CUDA).tolist()

            return super().capture(reading)

    told: list[str] = []
    graph = GraphPolicy(told=told.append, backends={"cuda": Failing})
    name = "LeNet with Adam and clipping"
    assert written(CASES[name], (0, 1, 2), "stacked", graph, device=CUDA) == replayed(
        name, "stacked"
    )
    assert len(told) == 1
    assert "captur" in told[0]


def test_a_rate_is_a_tensor_on_cuda_before_anything_is_captured() -> None:
    state, _, _ = begun(CASES["LeNet with Adam and clipping"], (0,), "stacked", CUDA)
    rate = state.optimizer.param_groups[0]["lr"]
    assert (rate.device.type, rate.dtype) == ("cuda", torch.float32)
