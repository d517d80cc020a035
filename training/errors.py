"""The one error that users are shown, and what the process returns for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")

# Characters of another library's message that are shown; torch's say what is wrong within so many.
_LONGEST_TEXT = 400
# Likewise of a value that a user gave.
_LONGEST_VALUE = 100
# What torch's allocators, CUDA, and the libraries that multiply there say of a lack of memory.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "_ALLOC_FAILED")
# Known names that are listed in full, and how many of more.
_MOST_NAMES, _FEW_NAMES = 20, 5


class ExitCode(IntEnum):
    """What a command returns to the shell; schedulers requeue on `RESUMABLE`."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    BAD_DATA = 3
    DISK = 4
    OUT_OF_MEMORY = 5
    RESUMABLE = 75
    ABORTED = 130


class LotteryError(Exception):
    """An error whose message is shown to the user as it is.

    The message is one sentence: what was given, what is possible, what to do.

    Attributes:
        exit_code: what the command returns.
    """

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python or of torch, for which memory has no type of its own, is about memory."""
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in _NO_MEMORY)
    return isinstance(error, MemoryError)


def unknown(kind: str, name: str, known: Iterable[str], command: str = "") -> LotteryError:
    """The error for a name that does not exist, with the nearest ones that do.

    Args:
        kind: of what it would be the name.
        name: that a user gave.
        known: every name that exists; where there are many, only the nearest of them are shown, or the first.
        command: that lists them, where there is one.

    >>> print(unknown("recipe", "lth-lenett", ["lth-lenet", "demo-text"]))
    There is no recipe 'lth-lenett'; did you mean lth-lenet? Known: demo-text, lth-lenet.
    """
    names = sorted(known)
    many = len(names) > _MOST_NAMES
    near = difflib.get_close_matches(name, names, n=_FEW_NAMES if many else 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    message = f"There is no {kind} {shown(name)}{hint}"
    if not many:
        message += f" Known: {', '.join(names)}."
    elif not near:
        message += f" Known: {', '.join(names[:_FEW_NAMES])} and {len(names) - _FEW_NAMES} more."
    if many and command:
        message += f" `{command}` lists all {len(names)}."
    return LotteryError(message)


def chosen(kind: str, name: str, table: Mapping[str, T], command: str = "") -> T:
    """The entry of a name in a table of what can be chosen: every registry is looked up by this.

    Args:
        kind: of what it is the name, in words.
        name: that a user gave.
        table: every entry by its name.
        command: that lists them, where there is one.

    Raises:
        LotteryError: there is none of that name, see `unknown`.
    """
    if name not in table:
        raise unknown(kind, name, table, command)
    return table[name]


def require(holds: bool, name: str, value: object, possible: str) -> None:
    """Refuse a value of a field.

    Raises:
        LotteryError: `holds` is false.
    """
    if not holds:
        raise LotteryError(
            f"{name} = {cut_short(str(value), 100)} is out of range; it must be {possible}."
        )


def shown(value: object) -> str:
    """A value that a user gave, as Python writes it; its end is left out where that is long.

    >>> shown("a"), shown("9" * 401)[-8:]
    ("'a'", '99999...')
    """
    return cut_short(repr(value), _LONGEST_VALUE)


def enumerated(words: Iterable[str], last: str) -> str:
    """Words in a sentence, the last one after `and` or `or`.

    >>> enumerated(["enas", "nao", "random"], "or"), enumerated(["cell"], "and")
    ('enas, nao or random', 'cell')
    """
    *before, end = words
    return f"{', '.join(before)} {last} {end}" if before else end


def cut_short(text: str, most: int) -> str:
    """A text of so many characters at most, three dots in the place of its end."""
    return text if len(text) <= most else text[: most - 3] + "..."


def in_one_line(error: BaseException) -> str:
    r"""An exception of someone else's code in one line: its class, and what it says.

    Its text is cut where it is long, and left out where it quotes bytes that can't be printed.

    >>> in_one_line(ValueError("two\nlines")), in_one_line(EOFError())
    ('ValueError: two lines', 'EOFError')
    """
    kind, text = type(error).__name__, " ".join(str(error).split())
    if not text or not text.isprintable():
        return kind
    return f"{kind}: {cut_short(text, _LONGEST_TEXT)}"


def visible(text: str) -> str:
    r"""Text as one line in which nothing hides or acts: line ends, a terminal's escapes, marks that turn the direction.

    They are written as Python writes them.

    >>> visible("a\x1b[31mred"), visible("two\nlines"), visible("left \u202etfel")
    ('a\\x1b[31mred', 'two\\nlines', 'left \\u202etfel')
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
