"""A count in a file of its own, for the networks that call it."""

from __future__ import annotations

calls = 0


def count() -> int:
    """One more."""
    global calls  # noqa: PLW0603
    calls += 1
    return calls
