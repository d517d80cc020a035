"""How lines of text become numbered tokens: words or characters, known from the training split alone."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

END = "<eos>"
UNKNOWN = "<unk>"


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How text is cut into tokens; each line ends with the token `<eos>`.

    Attributes:
        characters: whether a token is a character, blanks included, instead of a word between white space.
        blank_lines: whether a line without words counts as a line.
        limits: tokens that are read of a split at most, where that is not all.
    """

    characters: bool = False
    blank_lines: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)

    def pieces(self, split: str, paragraphs: Sequence[str]) -> Iterator[list[str]]:
        """The tokens of each line of a split, up to the limit."""
        left = self.limits.get(split, sys.maxsize)
        for line in (line for paragraph in paragraphs for line in paragraph.split("\n")):
            if not self.blank_lines and not line.strip():
                continue
            tokens = [*(line if self.characters else line.split()), END]
            yield tokens[:left]
            left -= len(tokens)
            if left <= 0:
                return

    def words(self, split: str, paragraphs: Sequence[str]) -> int:
        """How many words a split has, ends of line among them: its tokens, unless those are characters."""
        pieces = self.pieces(split, paragraphs)
        return sum(_words(tokens) if self.characters else len(tokens) for tokens in pieces)

    def key(self, least_count: int) -> str:
        """What a fingerprint takes in of how text is cut; data sets that were cut by default keep theirs."""
        if self == Cutting():
            return f"{least_count}"
        return f"{least_count} {json.dumps(asdict(self), sort_keys=True)}"


def vocabulary(pieces: Iterator[list[str]], least_count: int) -> tuple[str, ...]:
    """`<unk>`, then the tokens that stand at least `least_count` times, by frequency; `<eos>` is always one."""
    counts = Counter(token for piece in pieces for token in piece)
    kept = {
        token
        for token, count in counts.items()
        if count >= least_count and token not in (UNKNOWN, END)
    }
    return (UNKNOWN, *sorted({*kept, END}, key=lambda token: (-counts[token], token)))


def numbered(pieces: Iterator[list[str]], words: Sequence[str]) -> Tensor:
    """Each token's position in a vocabulary, `[N]` int64; that of a token which it does not hold is 0."""
    number = {word: index for index, word in enumerate(words)}
    numbers = (number.get(token, 0) for piece in pieces for token in piece)
    return torch.from_numpy(np.fromiter(numbers, dtype=np.int64))


def _words(characters: Sequence[str]) -> int:
    """How many words the characters of a line are, its end among them where it was not cut off."""
    ended = characters[-1] == END
    return len("".join(characters[: len(characters) - ended]).split()) + ended
