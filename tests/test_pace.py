"""Checkpoints: once a minute where they are fast, and seldom where they are slow."""

from __future__ import annotations

import pytest

from training.pace import Pace


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def written(steps: int, takes: float) -> list[float]:
    """When checkpoints that take so many seconds begin, in a training of steps of one second."""
    clock = Clock()
    pace = Pace(clock)
    begun = []
    for _ in range(steps):
        clock.now += 1.0
        if pace.is_due():
            begun.append(clock.now)
            with pace.saving():
                clock.now += takes
    return begun


def test_fast_ones_are_written_every_minute() -> None:
    # More than 60 seconds after the last one's end.
    assert written(200, takes=0.0) == [61.0, 122.0, 183.0]


def test_slow_ones_take_two_percent_of_the_time_with_the_next_one() -> None:
    """The first at 61 s; the second where 2 x 4 s are 2 %, at 400 s; the third where 3 x 4 s are, at 600 s."""
    assert written(700, takes=4.0) == [61.0, 400.0, 600.0]


@pytest.mark.parametrize("takes", [0.1, 1.0, 10.0])
def test_their_share_stays_small(takes: float) -> None:
    found = written(10_000, takes)
    assert all(number * takes <= 0.02 * begun for number, begun in enumerate(found[1:], 2))
    assert len(found) > 5
