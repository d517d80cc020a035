"""Stopping in good order: the wish to, which a signal sets, and the error that ends the work; torch-free."""

from __future__ import annotations

from pathlib import Path

from training.errors import ExitCode, LotteryError


class StopFlag:
    """Carries the wish to stop from whoever has it to what is at work."""

    _requested = False

    def request_stop(self) -> None:
        """Ask for a checkpoint, and for the end as soon as can be."""
        self._requested = True

    def stop_requested(self) -> bool:
        """Whether that was asked for."""
        return self._requested


def stopped_before() -> LotteryError:
    """The error of work that was asked to stop before anything was written."""
    return LotteryError("Stopped; nothing was begun or written.", ExitCode.RESUMABLE)


def stopped(where: str, root: Path) -> LotteryError:
    """The error of work that was asked to stop and goes on from there later.

    Args:
        where: how far it is, such as `at step 5 of level 0`.
        root: the folder that holds it.
    """
    return LotteryError(
        f"Stopped {where}; the same command goes on from there ({root}).", ExitCode.RESUMABLE
    )
