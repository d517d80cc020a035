"""Replays: only where nothing but the tensors decides what happens, and then bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import training.replay
from tests.tiny_tasks import (
    SIZES,
    config,
    half_masks,
    image_task,
    some_text,
    stack,
    task_for,
    trained,
)
from training.batching import Batching
from training.replay import NO_REPLAY, REPLAY, Replayed, ReplayPolicy
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining


class Calls:
    """A function and how often it was called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.count = 0

    def __call__(self, *inputs: Any) -> Any:
        """What the function returns."""
        self.count += 1
        return self.function(*inputs)


def replaying(calls: Calls, policy: ReplayPolicy = REPLAY) -> Replayed:
    return Replayed(calls, lambda: None, REPLAY.fewest_calls, policy)


def test_the_third_call_is_replayed_with_new_arguments_and_the_present_weights() -> None:
    weight = torch.tensor([1.0, 2.0])
    calls = Calls(lambda x: (x * weight).sum())
    replayed = replaying(calls)
    assert [float(replayed(torch.tensor([1.0, n]))) for n in (1.0, 2.0, 3.0)] == [3.0, 5.0, 7.0]
    weight.copy_(torch.tensor([10.0, 1.0]))
    assert float(replayed(torch.tensor([2.0, 5.0]))) == 25.0
    assert calls.count == 2


def test_views_of_weights_follow_them() -> None:
    weight = torch.eye(2)
    replayed = replaying(Calls(lambda x: x @ weight.t()[:1].unbind(0)[0].view(2, 1)))
    for _ in range(3):
        assert replayed(torch.tensor([[3.0, 4.0]])).tolist() == [[3.0]]
    weight.copy_(torch.tensor([[2.0, 0.0], [7.0, 0.0]]))  # the first row of its transpose is 2, 7
    assert replayed(torch.tensor([[3.0, 4.0]])).tolist() == [[34.0]]


def several(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Operations of every kind: several results, in place, into a given tensor, of lists, and one for its effect."""
    low, high = x.split(2)
    out = torch.empty(2)
    torch.mul(low, high, out=out)
    values, places = out.sort()
    torch._foreach_add_([values, low], 1.0)
    x.clone().zero_()
    return torch.cat([values, low]), [places, torch.where(low > 0, high, -high)]


def test_operations_of_every_kind_are_replayed() -> None:
    calls = Calls(several)
    replayed = replaying(calls)
    for step in range(5):
        mine, its = (torch.tensor([3.0, -1.0, 2.0, float(step)]) for _ in range(2))
        (first, others), (expected, rest) = replayed(mine), several(its)
        assert torch.equal(first, expected)
        assert all(torch.equal(a, b) for a, b in zip(others, rest, strict=True))
        assert torch.equal(mine, its)  # `low` is a view of the argument, which is changed in place
    assert calls.count == 2


def test_few_calls_are_not_captured() -> None:
    for steps, count in ((4, 4), (5, 2)):
        calls = Calls(lambda x: x + 1)
        few = Replayed(calls, lambda: None, steps, ReplayPolicy(fewest_calls=5))
        assert [float(few(torch.tensor(float(n)))) for n in range(steps)] == [
            n + 1 for n in range(steps)
        ]
        assert calls.count == count


def test_nothing_is_captured_where_replay_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.replay, "capture", None)
    calls = Calls(lambda x: x + 1)
    replayed = replaying(calls, NO_REPLAY)
    assert [float(replayed(torch.tensor(1.0))) for _ in range(4)] == [2.0] * 4
    assert calls.count == 4


def test_arguments_of_another_shape_are_replayed_by_themselves() -> None:
    calls = Calls(lambda x: x.sum() * len(x))
    replayed = replaying(calls)
    for _ in range(3):
        assert float(replayed(torch.ones(2))) == 4.0
        assert float(replayed(torch.ones(3))) == 9.0
    assert float(replayed(torch.ones(4).view(2, 2).t())) == 8.0
    assert calls.count == 5


def test_of_many_forms_the_first_are_replayed() -> None:
    calls = Calls(lambda x: x.sum() * len(x))
    replayed = replaying(calls, ReplayPolicy(most_forms=2))
    for _ in range(4):
        assert [float(replayed(torch.ones(n))) for n in (1, 2, 3)] == [1.0, 4.0, 9.0]
    assert calls.count == 2 + 2 + 4


def test_gradients_are_replayed() -> None:
    weight = nn.Parameter(torch.tensor(3.0))

    def gradient(x: Tensor) -> Tensor | None:
        weight.grad = None
        (weight * weight * x).backward()
        return weight.grad

    calls = Calls(gradient)
    replayed = replaying(calls)
    assert [float(replayed(torch.tensor(x))) for x in (1.0, 2.0, 5.0)] == [6.0, 12.0, 30.0]
    with torch.no_grad():
        weight.fill_(1.0)
    assert float(replayed(torch.tensor(5.0))) == 10.0
    assert calls.count == 2


class Counting:
    """Functions that follow from something besides tensors, in ways that a capture has to notice."""

    def __init__(self) -> None:
        self.calls = 0
        self.before = torch.zeros(())

    def a_number(self, x: Tensor) -> Tensor:
        """An operation's constant changes."""
        self.calls += 1
        return x + self.calls

    def a_tensor(self, x: Tensor) -> Tensor:
        """A tensor is replaced, not changed in place."""
        self.before = self.before + x
        return self.before * 2

    def a_branch(self, x: Tensor) -> Tensor:
        """A value decides what is done."""
        return x + 1 if float(x) > 2 else -x

    def a_value(self, x: Tensor) -> Tensor:
        """A value decides, without an operation."""
        return x + 1 if x.view(1).tolist()[0] > 2 else -x

    def an_array(self, x: Tensor) -> Tensor:
        """The same through an array."""
        return x + 1 if x.numpy() > 2 else -x

    def a_shape(self, x: Tensor) -> Tensor:
        """How many elements there are decides."""
        return x + len((x > 2).nonzero())

    def a_mask(self, x: Tensor) -> Tensor:
        """How many elements a mask keeps decides."""
        row = x.repeat(3)
        return x + len(row[row > 2])

    def later(self, x: Tensor) -> Tensor:
        """The count matters only after the captures: the state tells."""
        self.calls += 1
        return x if self.calls < 4 else -x


@pytest.mark.parametrize(
    "name",
    ["a_number", "a_tensor", "a_branch", "a_value", "an_array", "a_shape", "a_mask", "later"],
)
def test_what_follows_from_something_else_is_never_replayed(name: str) -> None:
    mine, its = Counting(), Counting()
    calls = Calls(getattr(mine, name))
    watched = Replayed(calls, lambda: mine.calls, REPLAY.fewest_calls)
    for x in (1.0, 2.0, 3.0, 4.0, 5.0):
        assert float(watched(torch.tensor(x))) == float(getattr(its, name)(torch.tensor(x)))
    assert calls.count == 5


def test_a_view_that_gets_another_shape_in_place_is_never_replayed() -> None:
    def function(x: Tensor) -> Tensor:
        row = x * 2
        row.view(2).unsqueeze_(0)
        return row.unsqueeze(0)

    calls = Calls(function)
    replayed = replaying(calls)
    assert [tuple(replayed(torch.ones(2)).shape) for _ in range(4)] == [(1, 2)] * 4
    assert calls.count == 4


def test_what_is_returned_as_it_was_given_is_never_replayed() -> None:
    weight = torch.ones(2)
    for function in (lambda x: [x, x + 1], lambda x: [weight, x + 1]):
        calls = Calls(function)
        replayed = replaying(calls)
        for _ in range(4):
            replayed(torch.ones(2))
        assert calls.count == 4


@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", SIZES)
def test_a_replayed_training_equals_one_that_is_not_bit_for_bit(
    name: str, batching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(policy: ReplayPolicy) -> tuple[dict[str, Tensor], list[Any]]:
        replicates = stack(name, (0, 1), batching)
        masks = half_masks(replicates)
        state = trained(replicates, task_for(name), config(12, 5), masks, replay=policy)
        return replicates.tensors(), state.validations

    tensors, looks = run(REPLAY)
    # As one would write it, with no mode of torch's entered.
    monkeypatch.setattr(training.replay, "Observed", nullcontext)
    plain, seen = run(NO_REPLAY)
    assert all(torch.equal(tensor, plain[key]) for key, tensor in tensors.items())
    assert looks == seen


def test_a_training_on_text_calls_its_network_twice_for_every_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """24 steps of 5 epochs: the first window, whose state is zeros, those of 7 after it, and the last, of 1."""
    calls: list[bool] = []
    forward = Replicates.forward

    def counted(self: Replicates, *inputs: Any) -> Any:
        calls.append(self.training)
        return forward(self, *inputs)

    monkeypatch.setattr(Replicates, "forward", counted)
    trained(stack("awd-lstm", (0, 1)), task_for("awd-lstm"), config(24, 24))
    assert calls.count(True) == 6


def test_windows_of_varied_lengths_are_never_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise AssertionError("it was captured")

    monkeypatch.setattr(training.replay, "capture", fail)
    settings = TextTraining(varied_windows=True)
    varied = LanguageModelling(some_text(), 3, 7, settings=settings)
    trained(stack("awd-lstm", (0,)), varied, config(12, 12))
    with pytest.raises(AssertionError, match="it was captured"):
        trained(stack("awd-lstm", (0,)), task_for("awd-lstm"), config(12, 12))


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("batching", ["stacked", "looped"])
@pytest.mark.parametrize("name", ["lenet-300-100", "resnet"])
def test_a_training_on_images_calls_its_network_twice(
    name: str, batching: Batching, accumulation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    replicates = stack(name, [0, 1], batching)
    forward = Replicates.forward

    def counted(self: Replicates, *inputs: Any) -> Any:
        calls.append(self.training)
        return forward(self, *inputs)

    # Not by a hook: a network that counts its calls is never replayed.
    monkeypatch.setattr(Replicates, "forward", counted)
    trained(replicates, image_task(), dataclasses.replace(config(12, 4), accumulation=accumulation))
    assert calls.count(True) == 2
