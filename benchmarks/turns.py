"""A training that takes turns with other steps, so that the ratios of their times hold on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

Step = Callable[[], object]
Hook = Callable[[object], None]
# Turns before the timed ones: a training captures its first two steps.
WARM = 3


class _EnoughError(Exception):
    """Ends a timed training."""


def in_turns(
    training: Callable[[Hook], None], others: Mapping[str, Step], turns: int
) -> tuple[list[float], dict[str, list[float]]]:
    """The seconds of a training's steps, and of each of the others, which are taken between them.

    All stay in one thread and one call of the training's loop: a second thread's workers slow down the first one's, and
    a loop that is entered anew for each step only ever captures.

    Args:
        training: begins to train; takes the hook that is called after every step.
        others: each takes a step.
        turns: that count, after the first `WARM`.
    """
    own: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in others}
    began = time.perf_counter()

    def hook(_: object) -> None:
        nonlocal began
        own.append(time.perf_counter() - began)
        for name, step in others.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
        if len(own) == turns + WARM:
            raise _EnoughError
        began = time.perf_counter()

    with suppress(_EnoughError):
        training(hook)
    return own[WARM:], {name: values[WARM:] for name, values in times.items()}
