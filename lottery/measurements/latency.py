"""How long forward passes take: medians, the intervals around them, and factors that these allow to be named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.device import now

# Forward passes before any is timed.
WARM_UP = 5


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds of a forward pass: the median, and two passes that enclose it in 95 of 100 cases or more."""

    low: float
    median: float
    high: float


def speed_up(form: Latency, dense: Latency) -> float | None:
    """How many times as fast as the dense form; None where the two intervals overlap, so that nothing is known."""
    if form.high < dense.low or dense.high < form.low:
        return dense.median / form.median
    return None


def interval_of_median(seconds: Sequence[float]) -> Latency:
    """The median of some times, between those two that enclose it in 95 of 100 cases or more (the sign test's).

    Args:
        seconds: six or more.
    """
    ordered, count = sorted(seconds), len(seconds)
    below, outside = 0, 0.5**count
    # The next one may be left out while both tails stay within 5 %.
    while 2 * (outside + math.comb(count, below + 1) * 0.5**count) <= 0.05:
        below += 1
        outside += math.comb(count, below) * 0.5**count
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Latency(low=ordered[below], median=middle, high=ordered[-1 - below])


@torch.no_grad()
def latencies(forms: Mapping[str, nn.Module], images: Tensor, repeats: int) -> dict[str, Latency]:
    """Each form's time for a batch of images, the forms in turn, so that none has the quieter moments."""
    found: dict[str, list[float]] = {form: [] for form in forms}
    for repeat in range(WARM_UP + repeats):
        for form, network in forms.items():
            before = now(images.device)
            network.eval()(images)
            after = now(images.device)
            if repeat >= WARM_UP:
                found[form].append(after - before)
    return {form: interval_of_median(seconds) for form, seconds in found.items()}


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Inside, operations of a processor take so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
