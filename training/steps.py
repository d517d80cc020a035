"""Numbers of training steps as a type: epochs, iterations or both; torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.errors import LotteryError, shown

_STEPS = re.compile(r"(?:(\d{1,9})ep)?(?:(\d{1,12})it)?")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A number of training steps, in epochs, iterations or both: `2ep`, `500it`, `1ep50it`."""

    epochs: int = 0
    iterations: int = 0

    @staticmethod
    def parse(text: str) -> Steps:
        """Read `2ep`, `500it`, `1ep50it`, or a bare number of iterations.

        Raises:
            LotteryError: `text` is none of these.
        """
        match = _STEPS.fullmatch(text if not text.isascii() or not text.isdigit() else f"{text}it")
        if not text or match is None:
            raise LotteryError(
                f"{shown(text)} is not a number of steps; write epochs, iterations or both: "
                "2ep, 500it, 1ep50it."
            )
        return Steps(epochs=int(match[1] or 0), iterations=int(match[2] or 0))

    def __str__(self) -> str:
        epochs = f"{self.epochs}ep" if self.epochs else ""
        iterations = f"{self.iterations}it" if self.iterations or not self.epochs else ""
        return epochs + iterations

    def count(self, steps_per_epoch: int) -> int:
        """The number of iterations."""
        return self.epochs * steps_per_epoch + self.iterations

    def resolved(self, steps_per_epoch: int) -> Steps:
        """The same number in iterations alone, so that equal meanings compare equal."""
        return Steps(iterations=self.count(steps_per_epoch))
