"""Steps as graphs, captured on a CPU by a stand-in that carries nothing out: they equal called ones bit for bit."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.graphed_cases import ADAM, CASES, Case, begun, how, plain_images, written
from tests.recorded_graphs import RecordedGraphs, recorded
from tests.tiny_tasks import image_task, no_hook
from training.batching import Batching
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint
from training.graphed import Graphed
from training.graphs import BACKENDS, GRAPH, NO_GRAPH, GraphPolicy
from training.loop import begin, train
from training.replay import NO_REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.tasks.task import Batch, Carry


class Counted(RecordedGraphs):
    """Counts captures and launches, of all that are made."""

    captured = 0
    played = 0

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """As before."""
        play = super().capture(function)
        Counted.captured += 1

        def counted() -> None:
            Counted.played += 1
            play()

        return counted


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> GraphPolicy:
    """Graphs that are counted."""
    monkeypatch.setattr(Counted, "captured", 0)
    monkeypatch.setattr(Counted, "played", 0)
    return GraphPolicy(backends={"cpu": Counted})


@functools.cache
def plain(name: str, batching: Batching, count: int, spoiled: int | None = None) -> list[bytes]:
    """What is written after every step without graphs."""
    return written(CASES[name], tuple(range(count)), batching, spoiled=spoiled)


# Graphs, and the steps that are launched: all but the first two of each form, and others whenever means begin.
PLAYED = {
    "LeNet with Adam and clipping": (1, 14),
    "ResNet with momentum and augmentation": (1, 14),
    "LeNet in parts": (1, 13),
    "ENAS cells": (1, 12),
}


@pytest.mark.parametrize(
    ("name", "batching", "count"),
    [
        ("LeNet with Adam and clipping", "stacked", 3),
        ("LeNet with Adam and clipping", "looped", 1),
        ("ResNet with momentum and augmentation", "looped", 3),
        ("ResNet with momentum and augmentation", "stacked", 1),
        ("LeNet in parts", "stacked", 3),
        ("AWD-LSTM with Adam", "stacked", 3),
        ("AWD-LSTM with Adam", "looped", 1),
        ("AWD-LSTM in parts", "looped", 3),
        ("AWD-LSTM with NT-ASGD and varied windows", "stacked", 3),
        ("ENAS cells", "looped", 1),
    ],
)
def test_graphs_equal_steps_that_are_called(
    name: str, batching: Batching, count: int, counted: GraphPolicy
) -> None:
    graphed = written(CASES[name], tuple(range(count)), batching, counted)
    assert graphed == plain(name, batching, count)
    if name in PLAYED:
        assert (Counted.captured, Counted.played) == PLAYED[name]
    else:
        assert Counted.captured >= 2
        assert Counted.played >= 10


# While steps are recorded, at a validation, and as graphs between two.
@pytest.mark.parametrize(
    ("name", "stop"),
    [
        *(("LeNet with Adam and clipping", stop) for stop in (1, 5, 9)),
        ("ResNet with momentum and augmentation", 9),
        ("LeNet in parts", 5),
        ("AWD-LSTM with Adam", 9),
    ],
)
def test_stopped_and_resumed_equals_uninterrupted(name: str, stop: int) -> None:
    seeds, graph = (0, 1, 2), recorded()
    before = written(CASES[name], seeds, "stacked", graph, stop=stop)
    after = written(CASES[name], seeds, "stacked", graph, data=before[-1])
    assert [*before, *after] == plain(name, "stacked", 3)
    # Who goes on without graphs finds the same.
    assert written(CASES[name], seeds, "stacked", data=before[-1])[-1] == after[-1]


@pytest.mark.parametrize("stop", [44])
def test_means_are_resumed_too(stop: int) -> None:
    name = "AWD-LSTM with NT-ASGD and varied windows"
    seeds, graph = (0, 1, 2), recorded()
    before = written(CASES[name], seeds, "stacked", graph, stop=stop)
    after = written(CASES[name], seeds, "stacked", graph, data=before[-1])
    assert [*before, *after] == plain(name, "stacked", 3)


def test_the_case_of_nt_asgd_averages_and_fine_tunes() -> None:
    case = CASES["AWD-LSTM with NT-ASGD and varied windows"]
    state, task, masks = begun(case, (0, 1, 2), "stacked")
    running: list[int] = []
    lengths: list[int] = []

    def note(state: object) -> None:
        running.append(sum(since is not None for since in averages.since))

    averages, batch = state.averages, task.batches((0,))
    lengths = [batch(step)[0].shape[1] for step in range(60)]
    train(state, task, case.how, 60, masks, note)
    assert running[0] == 0
    assert {1, 2, 3} <= {*running[:36]} | {*running[36:]}
    assert len({*lengths}) >= 4


@pytest.mark.parametrize(
    ("name", "batching"),
    [
        ("LeNet with Adam and clipping", "stacked"),
        ("ResNet with momentum and augmentation", "looped"),
        ("AWD-LSTM with NT-ASGD and varied windows", "stacked"),
    ],
)
def test_a_replicate_that_diverges_leaves_the_others_alone(name: str, batching: Batching) -> None:
    found = written(CASES[name], (0, 1, 2), batching, recorded(), spoiled=1)
    assert found == plain(name, batching, 3, spoiled=1)
    assert found[-1] != plain(name, batching, 3)[-1]


def test_a_restored_state_in_the_midst_of_training_is_what_graphs_go_on_from() -> None:
    """Weights, momenta and counts are copied to where the graphs read them."""
    case, seeds = CASES["LeNet with Adam and clipping"], (0, 1)
    whole = plain("LeNet with Adam and clipping", "stacked", 2)
    state, task, masks = begun(case, seeds, "stacked")
    again: list[bytes] = []

    def rewind_once(now: object) -> None:
        if state.step == 10 and not again:
            restore_checkpoint(state, whole[4], Path("checkpoint"))
            again.append(checkpoint_to_bytes(state))

    train(state, task, case.how, 16, masks, rewind_once, graph=recorded())
    assert again == [whole[4]]
    assert checkpoint_to_bytes(state) == whole[-1]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_there_are_no_more_graphs_than_allowed_and_rarer_forms_are_replayed(
    most: int, counted: GraphPolicy
) -> None:
    name = "AWD-LSTM with Adam"
    graph = GraphPolicy(most_forms=most, backends=counted.backends)
    assert written(CASES[name], (0,), "stacked", graph) == plain(name, "stacked", 1)
    assert Counted.captured == most


def test_forms_are_captured_when_they_come_a_third_time(counted: GraphPolicy) -> None:
    """5 windows an epoch: the first, whose state is one zero for all, three of 7 after it, and the last, of 2."""
    name = "AWD-LSTM with Adam"
    launched = []
    for stop in (4, 5, 10, 11, 15):
        Counted.captured = 0
        written(CASES[name], (0, 1), "stacked", counted, stop=stop)
        launched.append(Counted.captured)
    # The fourth window is the third of its form; the first ones' and last ones' third are at steps 11 and 15.
    assert launched == [1, 1, 1, 2, 3]


class Failing(RecordedGraphs):
    """Captures so many graphs, and then none."""

    left = 0

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """As before, or an error such as CUDA's: what came of it when the capture ended hides why."""
        if Failing.left:
            Failing.left -= 1
            return super().capture(function)
        super().capture(function)
        ended = RuntimeError("operation failed due to a previous error during capture")
        ended.__context__ = RuntimeError(
            "operation not permitted when stream is capturing\nCUDA kernel errors ..."
        )
        raise ended


@pytest.mark.parametrize("left", [0, 1])
def test_a_capture_that_fails_says_why_once_and_steps_are_replayed(left: int) -> None:
    name = "AWD-LSTM with Adam"
    Failing.left = left
    told: list[str] = []
    graph = GraphPolicy(told=told.append, backends={"cpu": Failing})
    assert written(CASES[name], (0, 1), "stacked", graph) == plain(name, "stacked", 2)
    assert told == [*[""] * left, "operation not permitted when stream is capturing"]


@pytest.mark.parametrize("policy", [NO_REPLAY, ReplayPolicy(fewest_calls=100)])
def test_what_is_not_replayed_becomes_no_graph(policy: ReplayPolicy, counted: GraphPolicy) -> None:
    name = "LeNet with Adam and clipping"
    assert written(CASES[name], (0,), "stacked", counted, policy) == plain(name, "stacked", 1)
    assert Counted.captured == 0


class Counting(nn.Module):
    """Follows from how often it was called, which no graph could."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3]`."""
        self.calls += 1
        logits: Tensor = self.layer(images.flatten(1)) * self.calls
        return logits


def test_what_follows_from_something_else_becomes_no_graph(counted: GraphPolicy) -> None:
    found = []
    for graph in (counted, NO_GRAPH):
        torch.manual_seed(0)
        replicates, task = Replicates([Counting()], [0], "looped"), image_task()
        state = begin(replicates, task, how(14, 7, ADAM), 0)
        train(state, task, how(14, 7, ADAM), 14, {}, no_hook, graph=graph)
        found.append(replicates.tensors()["layer.weight"].clone())
    assert torch.equal(*found)
    assert Counted.captured == 0


def test_graphs_are_let_go_of_when_a_training_ends() -> None:
    """Not only when cycles are collected: their memory is the next training's."""
    made: list[weakref.ref[RecordedGraphs]] = []

    def backend(device: torch.device) -> RecordedGraphs:
        graphs = RecordedGraphs(device)
        made.append(weakref.ref(graphs))
        return graphs

    gc.disable()
    try:
        written(
            CASES["LeNet with Adam and clipping"],
            (0,),
            "stacked",
            GraphPolicy(backends={"cpu": backend}),
        )
        assert made[0]() is None
    finally:
        gc.enable()


class Adding:
    """A step that adds its batch to what is carried, and a number of the host's."""

    variant: object = None

    def __init__(self) -> None:
        self.calls = 0
        self.weight = torch.zeros(2)

    def replays(self, carry: Carry, batch: Batch) -> bool:
        """Always."""
        return True

    def __call__(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """As above."""
        self.calls += 1
        self.weight.add_(1.0)
        after = carry[0] + batch[0] + self.calls
        return after.sum(-1), (after,)


def test_what_is_captured_is_done_when_it_is_launched_and_only_then() -> None:
    step = Adding()
    graphed = Graphed(step, RecordedGraphs(torch.device("cpu")), GRAPH)
    carry: Carry = (torch.zeros(1, 2).expand(3, 2),)
    sums = []
    for number in range(4):
        losses, carry = graphed(carry, (torch.full((3, 2), float(number)),))
        sums.append(losses.tolist())
    # The first form is the expanded one, once; the second is captured at its second time, where calls are 3.
    assert step.calls == 3
    assert step.weight.tolist() == [4.0, 4.0]
    assert sums == [[2.0] * 3, [2.0 + 2 * 3] * 3, [8.0 + 2 * 5] * 3, [18.0 + 2 * 6] * 3]


def test_losses_outlive_the_next_step() -> None:
    graphed = Graphed(Adding(), RecordedGraphs(torch.device("cpu")), GRAPH)
    carry: Carry = (torch.zeros(3, 2),)
    kept = []
    for _ in range(4):
        losses, carry = graphed(carry, (torch.ones(3, 2),))
        kept.append(losses)
    assert len({tuple(losses.tolist()) for losses in kept}) == 4


class Swapping(Adding):
    """Carries two tensors on, one a view of where the other was."""

    def __call__(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """Turned over."""
        first, second = carry
        return batch[0].sum(-1), (second.view(3, 2) + batch[0], first.view(2, 3).t().t().view(3, 2))


def test_what_is_carried_on_may_show_what_was_carried_in() -> None:
    found = []
    for graph in (True, False):
        step = Swapping()
        run = Graphed(step, RecordedGraphs(torch.device("cpu")), GRAPH) if graph else step
        carry: Carry = (torch.arange(6.0).view(3, 2), torch.arange(6.0, 12.0).view(3, 2))
        for number in range(5):
            _, carry = run(carry, (torch.full((3, 2), float(number)),))
        found.append([tensor.tolist() for tensor in carry])
    assert found[0] == found[1]


def test_another_variant_is_captured_anew(counted: GraphPolicy) -> None:
    step = Adding()
    graphed = Graphed(step, Counted(torch.device("cpu")), counted)
    carry: Carry = (torch.zeros(3, 2),)
    for variant in (0, 0, 0, 1, 1, 1):
        step.variant = variant
        _, carry = graphed(carry, (torch.ones(3, 2),))
    assert (Counted.captured, Counted.played) == (2, 4)


class Elsewhere(Adding):
    """Counts in a tensor of another device, which no graph would do again."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.zeros(2, device="meta")


def test_a_tensor_of_another_device_is_refused() -> None:
    told: list[str] = []
    graphed = Graphed(Elsewhere(), RecordedGraphs(torch.device("cpu")), recorded(told=told.append))
    carry: Carry = (torch.zeros(3, 2),)
    for _ in range(3):
        _, carry = graphed(carry, (torch.ones(3, 2),))
    assert told == ["aten.add_.Tensor reads a tensor on the meta"]


def test_graphs_are_for_cuda_and_can_be_switched_off() -> None:
    assert set(BACKENDS) == {"cuda"}
    assert GRAPH.backend(torch.device("cpu")) is None
    assert NO_GRAPH.backend(torch.device("cuda")) is None


def test_a_rate_in_a_tensor_is_the_float_it_was() -> None:
    """Without graphs a CPU's optimizers are told floats; with them, numbers in fp64."""
    case = Case("lenet-300-100", plain_images, how(14, 5, ADAM))
    rates = []
    for graph in (NO_GRAPH, recorded()):
        state, task, masks = begun(case, (0,), "stacked")
        train(state, task, case.how, 14, masks, no_hook, graph=graph)
        rates.append(state.optimizer.param_groups[0]["lr"])
    assert isinstance(rates[0], float)
    assert rates[1].dtype == torch.float64
    assert rates[0] == float(rates[1])
