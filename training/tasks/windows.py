"""The windows in which a text is read: where each one of an epoch ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch

from training.noise import generator

# awd-lstm-lm, main.py: how often a window is half as long, and the least length.
_HALVED = 0.05
_LEAST = 5


def fixed_ends(rows: int, sequence: int) -> list[int]:
    """Windows of `sequence` rows, the last one with what is left."""
    return [*range(sequence, rows, sequence), rows]


def varied_ends(rows: int, sequence: int, cap: int, epoch: int, deviation: float) -> list[int]:
    """Windows of varied lengths, as many in every epoch (Merity et al. 2018, section 4.1).

    Lengths are drawn as in awd-lstm-lm's main.py, with finetune.py's cap: about `sequence`, once in twenty times about
    half of it, normal with a deviation (there of 5), and at least 5. The release draws until the text is read, so that
    an epoch has one step more or fewer than another. Here an epoch has always rows / (expected length) windows, and
    what was drawn is stretched to end with the text. Lengths are a function of the epoch alone: all replicates of a
    stack read the same text at the same step.

    Args:
        rows: of the text in columns.
        sequence: N.
        cap: a window has at most N + `cap` rows.
        epoch: counted from 0.
        deviation: of the normal draws; 0 for none.
    """
    most = sequence + cap
    draw = generator(0, "windows", epoch)
    count = varied_count(rows, sequence, cap, deviation)
    halved = torch.rand(count, generator=draw, dtype=torch.float64) < _HALVED
    centre = torch.where(halved, sequence / 2, float(sequence))
    drawn = centre + deviation * torch.randn(count, generator=draw, dtype=torch.float64)
    return stretched(drawn.trunc().clamp(_LEAST, most).tolist(), rows, most)


def varied_count(rows: int, sequence: int, cap: int, deviation: float) -> int:
    """How many windows of varied lengths an epoch has: `rows` by the expected length, rounded up.

    That length is the sum over k of the probability that a window has k rows or more.
    """
    most = sequence + cap
    least = min(_LEAST, most)
    longer = (
        (1 - _HALVED) * _share_from(k - sequence, deviation)
        + _HALVED * _share_from(k - sequence / 2, deviation)
        for k in range(least + 1, most + 1)
    )
    return math.ceil(rows / (least + sum(longer)))


def _share_from(distance: float, deviation: float) -> float:
    """The probability of a normal draw that lies at least so far above its centre."""
    if deviation == 0:
        return float(distance <= 0)
    return 0.5 * math.erfc(distance / (deviation * math.sqrt(2)))


def stretched(lengths: Sequence[float], rows: int, most: int) -> list[int]:
    """Where windows end whose lengths are in proportion to the given ones and sum to `rows`.

    Each has at least one row and at most `most`: where rounding or stretching would break that, the end goes to the
    nearest row that leaves the others room.
    """
    total, count = sum(lengths), len(lengths)
    ends: list[int] = []
    before = 0
    for number, so_far in enumerate(accumulate(lengths), 1):
        after = count - number
        first = max(before + 1, rows - after * most)
        last = min(before + most, rows - after)
        before = min(max(round(so_far * rows / total), first), last)
        ends.append(before)
    return ends
