"""Searched architectures as values: graphs of operations, without sizes; torch-free.

Each source writes its architectures as a row of integers with its own numbering; the numberings are
the constants below. Inside the project operations and activations are words, so that a number never
changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from training.errors import LotteryError

# ENAS micro space, `micro_child.py` of melodyguan/enas.
ENAS_MICRO_OPERATIONS = ("separable-3x3", "separable-5x5", "average-3x3", "max-3x3", "identity")
# ENAS recurrent space, `ptb_enas_child.py` of melodyguan/enas.
ENAS_RNN_ACTIVATIONS = ("tanh", "relu", "identity", "sigmoid")
# The same space in google-research/enas_lm, whose 2 and 3 are the other way round.
ENAS_LM_ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")

CONV_OPERATIONS = frozenset(ENAS_MICRO_OPERATIONS)
ACTIVATIONS = frozenset(ENAS_RNN_ACTIVATIONS)

# Larger than any published cell, small enough that a hostile text costs nothing.
MAX_NODES = 64
MAX_CHARACTERS = 10_000

Edge = tuple[int, str]
Node = tuple[Edge, Edge]


@dataclass(frozen=True, kw_only=True)
class CellGraph:
    """The graph of one convolutional cell.

    States are numbered: 0 is the output of the cell before the last, 1 that of the last cell, 2 and
    up are the nodes.

    Attributes:
        nodes: each the sum of two edges (input state, operation).
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        _check_count(len(self.nodes))
        for index, node in enumerate(self.nodes, start=2):
            for source, operation in node:
                _check_source(source, index)
                _check_word(operation, CONV_OPERATIONS)

    @property
    def output(self) -> tuple[int, ...]:
        """The loose ends, ascending: what no node reads; concatenated they are the output."""
        read = {source for node in self.nodes for source, _ in node}
        return tuple(state for state in range(len(self.nodes) + 2) if state not in read)


@dataclass(frozen=True, kw_only=True)
class ConvCellGenotype:
    """A convolutional network as the two cells that it repeats (Pham et al. 2018, section 2.4).

    Attributes:
        normal: the cell that keeps the image size.
        reduction: the cell that halves it; its edges from states 0 and 1 have stride 2.
    """

    normal: CellGraph
    reduction: CellGraph


@dataclass(frozen=True, kw_only=True)
class RecurrentGenotype:
    """A recurrent cell of highway nodes (Pham et al. 2018, section 2.1).

    States are numbered: 0 comes from the input and the previous hidden state, 1 and up are the
    nodes.

    Attributes:
        first: activation of state 0.
        nodes: (previous state, activation) of each further state.
        output: the states whose mean is the cell's output, ascending.
    """

    first: str
    nodes: tuple[tuple[int, str], ...]
    output: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_count(len(self.nodes) + 1)
        _check_word(self.first, ACTIVATIONS)
        for index, (previous, activation) in enumerate(self.nodes, start=1):
            _check_source(previous, index)
            _check_word(activation, ACTIVATIONS)
        if not self.output or list(self.output) != sorted(set(self.output)):
            raise ValueError(f"the output states are ascending and not empty, not {self.output}")
        for state in self.output:
            _check_source(state, len(self.nodes) + 1)


def recurrent_loose_ends(nodes: Iterable[tuple[int, str]]) -> tuple[int, ...]:
    """The states of a recurrent cell that no node reads, ascending."""
    sources = [previous for previous, _ in nodes]
    return tuple(state for state in range(len(sources) + 1) if state not in sources)


def parse_enas_micro(text: str) -> ConvCellGenotype:
    """Read the ENAS micro text: the normal cell, then the reduction cell, four integers a node.

    A node is `input operation input operation`; operations are numbered as in
    `ENAS_MICRO_OPERATIONS`.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = _Row.read("ENAS micro", text)
    nodes = _node_count(row, per_node=8, extra=0, form="8 for each node, half of them per cell")
    normal = _parse_cell(row, start=0, nodes=nodes)
    reduction = _parse_cell(row, start=4 * nodes, nodes=nodes)
    return ConvCellGenotype(normal=normal, reduction=reduction)


def print_enas_micro(genotype: ConvCellGenotype) -> str:
    """The ENAS micro text of a genotype, see `parse_enas_micro`.

    Raises:
        ValueError: the two cells differ in their number of nodes, which the text can't say.
    """
    if len(genotype.normal.nodes) != len(genotype.reduction.nodes):
        raise ValueError("the ENAS micro text needs two cells with the same number of nodes")
    edges = [
        edge for graph in (genotype.normal, genotype.reduction) for n in graph.nodes for edge in n
    ]
    return _join((source, ENAS_MICRO_OPERATIONS.index(operation)) for source, operation in edges)


def parse_enas_rnn(text: str) -> RecurrentGenotype:
    """Read the recurrent text of melodyguan/enas.

    It is the first activation, then `previous activation` for each further node. Activations are
    numbered as in `ENAS_RNN_ACTIVATIONS`; the output is the mean of the loose ends.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = _Row.read("ENAS recurrent", text)
    count = _node_count(row, per_node=2, extra=1, form="1 and 2 for each further node")
    first = row.word(0, "an activation", ENAS_RNN_ACTIVATIONS)
    nodes = _parse_recurrent_nodes(row, start=1, nodes=count, numbering=ENAS_RNN_ACTIVATIONS)
    return RecurrentGenotype(first=first, nodes=nodes, output=recurrent_loose_ends(nodes))


def print_enas_rnn(genotype: RecurrentGenotype) -> str:
    """The melodyguan/enas text of a genotype, see `parse_enas_rnn`.

    Raises:
        ValueError: the output is not the loose ends, which the text can't say.
    """
    if genotype.output != recurrent_loose_ends(genotype.nodes):
        raise ValueError("the ENAS recurrent text needs the loose ends as output")
    first = str(ENAS_RNN_ACTIVATIONS.index(genotype.first))
    return f"{first} {_join_nodes(genotype, ENAS_RNN_ACTIVATIONS)}".rstrip()


def parse_enas_lm(text: str) -> RecurrentGenotype:
    """Read the text of enas_lm: `previous activation` per searched node.

    The first transform is always tanh and is not in the text. Activations are numbered as in
    `ENAS_LM_ACTIVATIONS`; the output is the mean of all searched nodes.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    row = _Row.read("enas_lm", text)
    count = _node_count(row, per_node=2, extra=0, form="2 for each node")
    nodes = _parse_recurrent_nodes(row, start=0, nodes=count, numbering=ENAS_LM_ACTIVATIONS)
    return RecurrentGenotype(first="tanh", nodes=nodes, output=_searched(nodes))


def print_enas_lm(genotype: RecurrentGenotype) -> str:
    """The enas_lm text of a genotype, see `parse_enas_lm`.

    Raises:
        ValueError: the first activation is not tanh, there is no node, or the output is not all
            searched nodes.
    """
    if genotype.first != "tanh" or genotype.output != _searched(genotype.nodes):
        raise ValueError("the enas_lm text needs tanh first and all searched nodes as output")
    return _join_nodes(genotype, ENAS_LM_ACTIVATIONS)


@dataclass(frozen=True)
class _Row:
    """The integers of a text, with errors that name the position."""

    kind: str
    numbers: tuple[int, ...]

    @classmethod
    def read(cls, kind: str, text: str) -> _Row:
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
        return cls(kind, tuple(map(int, tokens)))

    def source(self, index: int, states: int) -> int:
        if self.numbers[index] >= states:
            raise self._error(index, f"an input of this node is 0 to {states - 1}")
        return self.numbers[index]

    def word(self, index: int, what: str, numbering: tuple[str, ...]) -> str:
        if self.numbers[index] >= len(numbering):
            words = ", ".join(f"{number} {word}" for number, word in enumerate(numbering))
            raise self._error(index, f"{what} is one of {words}")
        return numbering[self.numbers[index]]

    def _error(self, index: int, possible: str) -> LotteryError:
        return LotteryError(
            f"Item {index + 1} of the {self.kind} text is {self.numbers[index]}, but {possible}; "
            "correct the text."
        )


def _node_count(row: _Row, *, per_node: int, extra: int, form: str) -> int:
    nodes, rest = divmod(len(row.numbers) - extra, per_node)
    if rest or nodes + extra < 1:
        raise LotteryError(
            f"The {row.kind} text has {len(row.numbers)} integers, but it needs {form}; "
            f"it breaks off after item {len(row.numbers)}."
        )
    if nodes + extra > MAX_NODES:
        raise LotteryError(
            f"The {row.kind} text has {nodes + extra} nodes, and at most {MAX_NODES} are possible; "
            "give a smaller cell."
        )
    return nodes


def _parse_cell(row: _Row, *, start: int, nodes: int) -> CellGraph:
    def edge(index: int, states: int) -> Edge:
        source = row.source(index, states)
        return source, row.word(index + 1, "an operation", ENAS_MICRO_OPERATIONS)

    return CellGraph(
        nodes=tuple(
            (edge(start + 4 * n, n + 2), edge(start + 4 * n + 2, n + 2)) for n in range(nodes)
        )
    )


def _parse_recurrent_nodes(
    row: _Row, *, start: int, nodes: int, numbering: tuple[str, ...]
) -> tuple[tuple[int, str], ...]:
    return tuple(
        (
            row.source(start + 2 * n, states=n + 1),
            row.word(start + 2 * n + 1, "an activation", numbering),
        )
        for n in range(nodes)
    )


def _searched(nodes: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    return tuple(range(1, len(nodes) + 1))


def _join(pairs: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{a} {b}" for a, b in pairs)


def _join_nodes(genotype: RecurrentGenotype, numbering: tuple[str, ...]) -> str:
    return _join((previous, numbering.index(word)) for previous, word in genotype.nodes)


def _check_count(nodes: int) -> None:
    if not 1 <= nodes <= MAX_NODES:
        raise ValueError(f"a cell has 1 to {MAX_NODES} nodes, not {nodes}")


def _check_source(source: int, states: int) -> None:
    if not 0 <= source < states:
        raise ValueError(f"a state that exists here is 0 to {states - 1}, not {source}")


def _check_word(word: str, known: frozenset[str]) -> None:
    if word not in known:
        raise ValueError(f"{word!r} is none of {', '.join(sorted(known))}")
