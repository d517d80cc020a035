"""Classifiers of digits with counts in objects of every kind, to be noticed wherever a count stands."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
import types
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tests import counting_elsewhere as other_file
from tests.counting_elsewhere import count as count_there


class Counting(nn.Module):
    """A linear layer whose input is doubled once a count is beyond `late`.

    Args:
        count: whatever holds the count.
        step: counts one further in it and says how far it is.
        late: up to which count nothing happens.
        pixels: of an image.
        classes: how many.
    """

    # A count of all instances.
    everywhere: ClassVar[list[int]] = [0]

    def __init__(
        self,
        count: Any,
        step: Callable[[Any], int],
        late: int = 1000,
        pixels: int = 64,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.count = count
        self.step = step
        self.late = late
        self.last = nn.Linear(pixels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        factor = 2.0 if self.step(self.count) > self.late else 1.0
        logits: Tensor = self.last(factor * x.flatten(1))
        return logits


@dataclasses.dataclass
class Value:
    """A count in a dataclass."""

    calls: int = 0

    def add(self) -> int:
        """Count one."""
        self.calls += 1
        return self.calls


class Slots:
    """A count in an object without a dict."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0


def _add(count: Any) -> int:
    count.calls += 1
    return int(count.calls)


def _add_first(count: Any) -> int:
    count[0] += 1
    return int(count[0])


def _append(count: Any) -> int:
    count.append(0)
    return len(count)


def _join(count: Any) -> int:
    count.seen |= {len(count.seen)}
    return len(count.seen)


def _everywhere(_: Any) -> int:
    return _add_first(Counting.everywhere)


def _enclosed() -> Callable[[], int]:
    calls = 0

    def count() -> int:
        nonlocal calls
        calls += 1
        return calls

    return count


in_this_file = 0


def _in_this_file(_: Any) -> int:
    global in_this_file  # noqa: PLW0603
    in_this_file += 1
    return in_this_file


# What holds it, how it goes on, and where it is found.
COUNTS: list[tuple[Callable[[], Any], Callable[[Any], int], str]] = [
    (lambda: types.SimpleNamespace(calls=0), _add, "count.calls"),
    (
        lambda: [types.SimpleNamespace(inner=Value())],
        lambda c: _add(c[0].inner),
        "count[0].inner.calls",
    ),
    (Value, _add, "count.calls"),
    (Slots, _add, "count.calls"),
    (lambda: {0: 0}, _add_first, "count[0]"),
    (list, _append, "len(count)"),
    (deque, _append, "len(count)"),
    (lambda: np.zeros(1, int), _add_first, "count"),
    (lambda: torch.zeros(1), _add_first, "count"),
    (lambda: itertools.count(1), next, "count"),
    (_enclosed, lambda count: count(), "count.calls"),
    (lambda: None, _everywhere, "everywhere[0]"),
    (lambda: None, _in_this_file, "step.in_this_file"),
    (lambda: random.Random(3), lambda draw: draw.randrange(9), "count"),
    (
        lambda: np.random.default_rng(3),
        lambda draw: int(draw.integers(9)),
        "count['state']['state']",
    ),
    (
        lambda: torch.Generator().manual_seed(3),
        lambda draw: len(torch.rand(1, generator=draw)),
        "count",
    ),
    (
        lambda: np.random.RandomState(3),
        lambda draw: int(draw.randint(9)),
        "count['state']['key']",
    ),
    (lambda: types.SimpleNamespace(seen=set()), _join, "count.seen"),
    (lambda: types.SimpleNamespace(seen=frozenset()), _join, "count.seen"),
    (lambda: Value().add, lambda add: add(), "count[1].calls"),
    (lambda: functools.partial(Value.add, Value()), lambda add: add(), "count[1][0].calls"),
]


# What stands beside `forward` in its file, and what that names in turn.

calls = 0
state = types.SimpleNamespace(calls=0)
generator = np.random.default_rng(3)
layer = nn.BatchNorm1d(64)


class Tally:
    """An object with a method that counts, and a class that does."""

    total: ClassVar[int] = 0
    inner: ClassVar[Value] = Value()

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        """Count one."""
        self.calls += 1
        return self.calls

    @staticmethod
    def once() -> int:
        """Count one in the class."""
        Tally.total += 1
        return Tally.total

    @property
    def next(self) -> int:
        """Count one in the file."""
        return _helper()


tally = Tally()


class Once:
    """An object that counts when it is first asked."""

    @functools.cached_property
    def first(self) -> int:
        """Count one in the file."""
        return _helper()


def _in_place(_: Any) -> int:
    other_file.calls += 1
    return 0


def _helper() -> int:
    global calls  # noqa: PLW0603
    calls += 1
    return calls


def _ring(depth: int) -> int:
    return _helper() if depth else _ring(depth + 1)


# How a function counts without any argument, and where that is found.
BESIDE: list[tuple[Callable[[Any], int], str]] = [
    (lambda _: _helper(), "step._helper.calls"),
    (lambda _: _ring(0), "step._ring._helper.calls"),
    (lambda _: max(_helper() for _ in range(2)), "step._helper.calls"),
    (lambda _: _add(state), "step.state.calls"),
    (lambda _: tally(), "step.tally.calls"),
    (lambda _: Tally.once(), "step.Tally.total"),
    (lambda _: _add(Tally.inner), "step.Tally.inner.calls"),
    (lambda _: tally.next, "step.tally.once.Tally.next._helper.calls"),
    (lambda _: Once().first, "step.Once.first._helper.calls"),
    (_in_place, "step.other_file.calls"),
    (lambda _: int(generator.integers(9)), "step.generator['state']['state']"),
    (lambda _: len(layer(torch.rand(3, 64))), "step.layer.running_mean"),
    (lambda _: other_file.count(), "step.other_file.count.calls"),
    (lambda _: count_there(), "step.count_there.calls"),
]
