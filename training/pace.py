"""How often what is being trained is saved: at most once a minute, and for a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Between two checkpoints at least.
SECONDS = 60.0
# Of all time, what checkpoints may take; they are also written where a process is asked to stop.
SHARE = 0.02


class Pace:
    """When the next checkpoint is due.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._saved_at = clock()
        self._all = self._last = 0.0

    def is_due(self) -> bool:
        """Whether the last one was long ago, and all until now and one more, as long as the last, are a small share."""
        now = self._clock()
        affordable = self._all + self._last <= SHARE * (now - self._began)
        return affordable and now - self._saved_at > SECONDS

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around writing a checkpoint, which is timed."""
        began = self._clock()
        yield
        self._saved_at = self._clock()
        self._last = self._saved_at - began
        self._all += self._last
