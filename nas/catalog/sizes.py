"""The sizes of networks: each knows its default and what it can be, and checks what is asked for; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from training.errors import LotteryError, shown

# The widest published layer is far below; a slip of the keyboard should not ask for terabytes.
MAX_SIZE = 65_536
# The most layers, cells or nodes: ResNet-1202's (He et al. 2016, section 4.2).
MAX_DEPTH = 1202

SizeValue = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Count:
    """A whole number: how wide or how many something is.

    Attributes:
        default: unless something else is asked for.
        least: that is possible.
        most: that is possible.
    """

    default: int
    least: int = 1
    most: int = MAX_SIZE

    def checked(self, whose: str, value: object) -> int:
        """The value as an int.

        Args:
            whose: the size, in words, for the message.
            value: that is asked for.

        Raises:
            LotteryError: it is no whole number in the range.
        """
        if _is_count(value, self.least, self.most):
            return value
        raise _refused(whose, value, f"one of the {_range(self.least, self.most)}")


@dataclass(frozen=True)
class Counts:
    """Several whole numbers, such as the widths of layers one after the other; there may be fewer or more of them.

    Attributes:
        default: unless something else is asked for.
    """

    default: tuple[int, ...]

    def checked(self, whose: str, value: object) -> list[int]:
        """The value as a list of ints, see `Count.checked`."""
        items = list(value) if isinstance(value, list | tuple) else []
        if 1 <= len(items) <= MAX_DEPTH and all(_is_count(item, 1, MAX_SIZE) for item in items):
            return items
        counts = f"a list of {_range(1, MAX_SIZE)}, at most {MAX_DEPTH:,} of them"
        raise _refused(whose, value, f"{counts}, such as {list(self.default)}")


@dataclass(frozen=True)
class Probability:
    """The probability that something is dropped.

    Attributes:
        default: unless something else is asked for.
    """

    default: float

    def checked(self, whose: str, value: object) -> float:
        """The value as a float, see `Count.checked`."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
            return float(value)
        raise _refused(whose, value, "a probability, from 0 to below 1")


Size = Count | Counts | Probability


def depth(default: int, *, least: int = 1) -> Count:
    """How many layers, cells or nodes there are."""
    return Count(default, least, MAX_DEPTH)


def switch(default: int) -> Count:
    """Whether a network has something: 0 or 1."""
    return Count(default, 0, 1)


def seed(default: int) -> Count:
    """Which one of all random networks it is."""
    return Count(default, 0)


def _is_count(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _range(least: int, most: int) -> str:
    return f"whole numbers from {least} to {most:,}"


def _refused(whose: str, value: object, possible: str) -> LotteryError:
    return LotteryError(f"The size {whose} is {shown(value)}, but it must be {possible}.")
