"""The `Genotype(...)` of DARTS as Python writes it, read by hand and never run; torch-free.

    Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=[2, 3, 4, 5])

What stands in cnn/genotypes.py and rnn/genotypes.py of quark0/darts, also with the name that it is assigned to, and
what its searches print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from training.errors import LotteryError

# More states than a cell can have; a longer range is a slip.
MAX_RANGE = 100
# Lists of pairs need two.
MAX_DEPTH = 4

_HEAD = re.compile(r"\s*(?:\w+\s*=\s*)?Genotype\s*\(", re.ASCII)
_TOKEN = re.compile(
    r"""\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<number>\d{1,9})(?!\w)|(?P<text>'[^'\\\n]*'|"[^"\\\n]*")|(?P<sign>[()\[\],=]))""",
    re.ASCII,
)
_CLOSING = {"[": "]", "(": ")"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def is_python(text: str) -> bool:
    """Whether a text begins as a `Genotype(...)` does."""
    return _HEAD.match(text) is not None


def read_python(text: str) -> list[tuple[str, object]]:
    """The arguments of a `Genotype(...)` by name: texts, integers and lists; tuples and ranges become lists.

    Args:
        text: for which `is_python`; its length is the caller's to limit.

    Raises:
        LotteryError: it is anything else; the line and the column, counted from 1, are named.
    """
    head = _HEAD.match(text)
    reader = _Reader(text, head.end() if head else 0)
    pairs: list[tuple[str, object]] = []
    while not reader.skip(")"):
        key = reader.take("word", "a name such as normal")
        reader.sign("=")
        pairs.append((key, reader.value(1)))
        if not reader.skip(","):
            reader.sign(")")
            break
    reader.take("end", "the end of the text")
    return pairs


class _Reader:
    """The tokens of a text from a position on, taken one by one."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._tokens: list[_Token] = []
        end = len(text.rstrip())
        while start < end:
            match = _TOKEN.match(text, start)
            if match is None or match.lastgroup is None:
                at = len(text) - len(text[start:].lstrip())
                self._refuse(_Token("", text[at], at), "a name, a text, an integer or a list")
            kind = match.lastgroup
            self._tokens.append(_Token(kind, match[kind], match.start(kind)))
            start = match.end()
        self._tokens.append(_Token("end", "", end))
        self._next = 0

    def skip(self, sign: str) -> bool:
        """Whether the next token is a sign; it is taken if so."""
        token = self._tokens[self._next]
        found = (token.kind, token.text) == ("sign", sign)
        self._next += found
        return found

    def sign(self, sign: str) -> None:
        """Take a sign."""
        if not self.skip(sign):
            self._refuse(self._tokens[self._next], repr(sign))

    def take(self, kind: str, possible: str) -> str:
        """Take a token of a kind."""
        token = self._tokens[self._next]
        if token.kind != kind:
            self._refuse(token, possible)
        self._next += 1
        return token.text

    def value(self, depth: int) -> object:
        """Take a text, an integer, a list, a tuple or a range; lists are no deeper than `MAX_DEPTH`."""
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "number":
            return int(token.text)
        if token.kind == "text":
            return token.text[1:-1]
        if (token.kind, token.text) == ("word", "range"):
            return self._range(token)
        if token.text not in _CLOSING or depth > MAX_DEPTH:
            self._refuse(token, "a text, an integer, a list of pairs or range(2, 6)")
        items: list[object] = []
        while not self.skip(_CLOSING[token.text]):
            items.append(self.value(depth + 1))
            if not self.skip(","):
                self.sign(_CLOSING[token.text])
                break
        return items

    def _range(self, token: _Token) -> list[int]:
        self.sign("(")
        first = int(self.take("number", "an integer"))
        self.sign(",")
        end = int(self.take("number", "an integer"))
        self.sign(")")
        if not 0 < end - first <= MAX_RANGE:
            self._refuse(token, f"a range of 1 to {MAX_RANGE} states, such as range(2, 6),")
        return list(range(first, end))

    def _refuse(self, token: _Token, possible: str) -> NoReturn:
        before = self._text[: token.at]
        line, column = before.count("\n") + 1, token.at - before.rfind("\n")
        found = repr(token.text[:20]) if token.text else "the end"
        raise LotteryError(
            f"The DARTS text has {found} at line {line}, column {column}, where only {possible} is "
            "possible; write it as Genotype(...) stands in DARTS' genotypes.py."
        )
