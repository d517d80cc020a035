"""A training that is let go one step at a time, so that it can take turns with others."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore, Thread

Step = Callable[[], None]


def one_step_at_a_time(run: Callable[[Callable[[object], None]], None]) -> Step:
    """What takes the next step of a training and comes back.

    The training stays inside its loop, in a thread of its own that waits between steps: the loop records its first
    steps and plays them from then on, and one that was entered anew for each step would only ever record.

    Args:
        run: the training; takes the hook that is called after every step.
    """
    go, done = Semaphore(0), Semaphore(0)
    faults: list[BaseException] = []

    def hook(_: object) -> None:
        done.release()
        go.acquire()

    def body() -> None:
        go.acquire()
        try:
            run(hook)
        except BaseException as fault:
            faults.append(fault)
        done.release()

    def step() -> None:
        go.release()
        done.acquire()
        if faults:
            raise faults[0]

    Thread(target=body, daemon=True).start()
    return step
