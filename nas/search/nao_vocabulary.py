"""Architectures as tokens, which NAO's encoder reads and its decoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.search.space import Choices, Space

# What the decoder reads before its first decision, `SOS` of all releases.
START = 0

Code = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The tokens of a space: 0 starts a row; then come inputs, operations and skips, each kind apart.

    A choice has the same tokens wherever it is made: state 1 as an input is the same token at every node.

    Attributes:
        codes: the tokens of each choice of each decision.
        size: how many tokens there are.
    """

    codes: tuple[tuple[Code, ...], ...]
    size: int

    def tokens(self, rows: Sequence[Choices]) -> Tensor:
        """Rows of choices as `[B, T]` int64."""
        pairs = (zip(self.codes, row, strict=True) for row in rows)
        written = [[token for code, choice in row for token in code[choice]] for row in pairs]
        return torch.tensor(written, dtype=torch.int64).view(len(rows), -1)

    def choices(self, tokens: Tensor) -> list[Choices]:
        """What `tokens` was given."""
        read = [{code: choice for choice, code in enumerate(codes)} for codes in self.codes]
        rows: list[Choices] = []
        for written in tokens.tolist():
            rest = iter(written)
            row = [codes[tuple(next(rest) for _ in min(codes))] for codes in read]
            rows.append(tuple(row))
        return rows

    def allowed(self) -> Tensor:
        """Which tokens may stand at each position after the token before it, `[T, V, V]` bool."""
        positions = []
        for codes in self.codes:
            for part in range(len(codes[0])):
                after = torch.zeros(self.size, self.size, dtype=torch.bool)
                for code in codes:
                    if part:
                        after[code[part - 1], code[part]] = True
                    else:
                        after[:, code[0]] = True
                positions.append(after)
        return torch.stack(positions)


def vocabulary(space: Space, *, split: bool = False) -> Vocabulary:
    """The tokens of a space; for ENAS cells of five nodes the 12 of NAO-WS.

    Args:
        space: of the architectures.
        split: whether an operation of cells is two tokens, its kind and its kernel, as where NAO is used without
            sharing (vocab.py; an identity has the kernel 1x1).
    """
    decisions = space.decisions()

    def most(kind: str) -> int:
        return max((d.choices for d in decisions if d.kind == kind), default=0)

    whole: list[Code] = [(number,) for number in range(most("operation"))]
    parts = _parts(space) if split else whole
    inputs = START + 1
    operations = inputs + most("input")
    skips = operations + max((max(part) + 1 for part in parts), default=0)
    codes: dict[str, list[Code]] = {
        "input": [(inputs + choice,) for choice in range(most("input"))],
        "operation": [tuple(operations + number for number in part) for part in parts],
        "skip": [(skips + choice,) for choice in range(most("skip"))],
    }
    return Vocabulary(
        codes=tuple(tuple(codes[d.kind][: d.choices]) for d in decisions),
        size=skips + most("skip"),
    )


def _parts(space: Space) -> list[Code]:
    """The numbers of each operation's kind and kernel, kinds before kernels.

    Raises:
        ValueError: the space's operations have none.
    """
    if not space.has_kernels:
        raise ValueError("only operations of cells have a kind and a kernel")
    words = [[*word.split("-"), "1x1"][:2] for word in space.operation_words]
    kinds = list(dict.fromkeys(kind for kind, _ in words))
    kernels = list(dict.fromkeys(kernel for _, kernel in words))
    return [(kinds.index(kind), len(kinds) + kernels.index(kernel)) for kind, kernel in words]
