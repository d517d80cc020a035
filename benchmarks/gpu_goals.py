"""What the CUDA path is meant to reach, and whether a result reaches it; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
PLAIN = "plain"


def best(
    rows: Iterable[Row], network: str, count: int, precision: str, *, plain: bool = False
) -> float | None:
    """The most replicate-steps per second of a network with so many replicates; None where none were measured."""
    wanted = {"network": network, "replicates": count, "precision": precision}
    found = [
        float(row["replicate_steps_per_second"])
        for row in rows
        if wanted.items() <= row.items()
        and (row["mode"] == PLAIN) == plain
        and "replicate_steps_per_second" in row
    ]
    return max(found, default=None)


def _rate(rows: Sequence[Row], network: str, count: int, precision: str) -> float | None:
    return best(rows, network, count, precision)


def _over_one(rows: Sequence[Row], network: str, count: int, precision: str) -> float | None:
    one = best(rows, network, 1, precision)
    return _over(best(rows, network, count, precision), one)


def _over_plain(rows: Sequence[Row], network: str, count: int, precision: str) -> float | None:
    plain = best(rows, network, 1, precision, plain=True)
    return _over(best(rows, network, count, precision), plain)


def _over_plain_fp32(rows: Sequence[Row], network: str, count: int, precision: str) -> float | None:
    plain = best(rows, network, 1, "fp32", plain=True)
    return _over(best(rows, network, count, precision), plain)


def _over(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours and theirs else None


@dataclass(frozen=True)
class Goal:
    """Something to reach.

    Attributes:
        what: in words.
        network: of which.
        count: replicates.
        least: value that reaches it.
        value: from rows, network, count and precision; None where it was not measured.
    """

    what: str
    network: str
    count: int
    least: float
    value: Callable[[Sequence[Row], str, int, str], float | None]

    def measured(self, rows: Sequence[Row], precision: str) -> float | None:
        """The value in a precision."""
        return self.value(rows, self.network, self.count, precision)


GOALS = (
    Goal("LeNet-300-100, R = 128: replicate-steps/s", "lenet", 128, 100_000, _rate),
    Goal("Conv-6: R = 16 times R = 1", "conv-6", 16, 6, _over_one),
    Goal("ResNet-20: R = 16 times R = 1", "resnet", 16, 6, _over_one),
    Goal("AWD-LSTM, R = 1: times cuDNN's LSTM", "awd-lstm", 1, 1, _over_plain),
    Goal("AWD-LSTM, R = 5: times cuDNN's LSTM, in all", "awd-lstm", 5, 3, _over_plain),
    Goal("ON-LSTM: times its eager loop", "on-lstm", 1, 5, _over_plain),
    Goal("ENAS's cell: times its eager loop", "enas-rnn", 1, 5, _over_plain),
    Goal("NAO's cell: times its eager loop", "nao-rnn", 1, 5, _over_plain),
    Goal("NAONet-A, C = 36: times eager fp32 NCHW", "naonet-a", 1, 2.5, _over_plain_fp32),
)


def verdict(value: float | None, least: float) -> str:
    """What a value means for a goal."""
    if value is None:
        return "not measured"
    return "reached" if value >= least else "not reached"
