"""Rows of integers as sources write their architectures, read with errors that name the position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from training.errors import LotteryError

# More than the longest row that is read, of 64 layers, needs.
MAX_CHARACTERS = 10_000


@dataclass(frozen=True, kw_only=True)
class IntegerRow:
    """The integers of a text.

    Attributes:
        kind: whose text it is, for messages.
        numbers: at index i stands item i + 1 of the text.
    """

    kind: str
    numbers: tuple[int, ...]

    @classmethod
    def read(cls, kind: str, text: str) -> IntegerRow:
        """The integers of a text, separated by white space.

        Raises:
            LotteryError: the text is too long, or an item is no integer of 0 to 9999.
        """
        if len(text) > MAX_CHARACTERS:
            raise LotteryError(
                f"The {kind} text has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are "
                "read; give only the integers of one architecture."
            )
        tokens = text.split()
        for position, token in enumerate(tokens, start=1):
            if not (token.isascii() and token.isdigit() and len(token) <= 4):
                raise LotteryError(
                    f"Item {position} of the {kind} text is {token[:20]!r}; "
                    "write integers of 0 or more with spaces between them."
                )
        return cls(kind=kind, numbers=tuple(map(int, tokens)))

    def count(self, parts: str, *, per_part: int, extra: int, form: str, most: int) -> int:
        """The number of further parts, of `per_part` integers each, after `extra` single ones.

        Raises:
            LotteryError: the integers do not come out even, or there are none or too many parts.
        """
        count, rest = divmod(len(self.numbers) - extra, per_part)
        if rest or count + extra < 1:
            raise self.wrong_length(form)
        if count + extra > most:
            raise self.too_many(count + extra, parts, most)
        return count

    def source(self, index: int, states: int) -> int:
        """The number at an index as one of so many states."""
        if self.numbers[index] >= states:
            raise self._error(index, f"an input of this node is 0 to {states - 1}")
        return self.numbers[index]

    def word(self, index: int, what: str, numbering: Mapping[int, str]) -> str:
        """The number at an index as the word that it stands for."""
        if self.numbers[index] not in numbering:
            words = ", ".join(f"{number} {word}" for number, word in numbering.items())
            raise self._error(index, f"{what} is one of {words}")
        return numbering[self.numbers[index]]

    def bit(self, index: int, what: str) -> bool:
        """The number at an index as no or yes."""
        if self.numbers[index] > 1:
            raise self._error(index, f"{what} is 0 or 1")
        return self.numbers[index] == 1

    def wrong_length(self, form: str) -> LotteryError:
        """The error for a text that breaks off."""
        return LotteryError(
            f"The {self.kind} text has {len(self.numbers)} integers, but it needs {form}; "
            f"it breaks off after item {len(self.numbers)}."
        )

    def too_many(self, count: int, parts: str, most: int) -> LotteryError:
        """The error for a text of too many parts."""
        return LotteryError(
            f"The {self.kind} text has {count} {parts}, and at most {most} are possible; "
            "give a smaller architecture."
        )

    def _error(self, index: int, possible: str) -> LotteryError:
        return LotteryError(
            f"Item {index + 1} of the {self.kind} text is {self.numbers[index]}, but {possible}; "
            "correct the text."
        )


def numbers_of(numbering: Mapping[int, str]) -> dict[str, int]:
    """Word -> number; of two numbers the higher."""
    return {word: number for number, word in numbering.items()}


def written(numbers: Iterable[int]) -> str:
    """The text of a row, its integers separated by single spaces."""
    return " ".join(map(str, numbers))
