"""Searched architectures as values: graphs of operations, without sizes; torch-free.

Operations and activations are words, so that a number never changes its meaning; what the sources
write is in `nas.genotypes.convolutional_encodings` and `nas.genotypes.darts_encoding`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Of an edge of a cell. The averages leave out padded pixels, the "-padded" ones count them as 0.
CONV_OPERATIONS = frozenset(
    [
        *("separable-3x3", "separable-5x5", "separable-7x7", "dilated-3x3", "dilated-5x5"),
        *("convolution-1x1", "convolution-3x3", "convolution-5x5"),
        *("convolution-1x3-3x1", "convolution-1x7-7x1"),
        *("max-2x2", "max-3x3", "max-5x5"),
        *("average-2x2", "average-3x3", "average-5x5", "average-3x3-padded", "average-5x5-padded"),
        *("identity", "none"),
    ]
)
# Of a layer of a layerwise network.
LAYER_OPERATIONS = frozenset(
    [
        *("convolution-3x3", "convolution-5x5", "separable-3x3", "separable-5x5"),
        *("average-3x3", "max-3x3"),
    ]
)
ACTIVATIONS = frozenset(["tanh", "relu", "sigmoid", "identity"])

# Larger than any published architecture, small enough that a hostile text costs nothing.
MAX_NODES = 64
MAX_LAYERS = 64

Edge = tuple[int, str]
Node = tuple[Edge, Edge]


@dataclass(frozen=True, kw_only=True)
class CellGraph:
    """The graph of one convolutional cell.

    States are numbered: 0 is the output of the cell before the last, 1 that of the last cell, 2 and
    up are the nodes.

    Attributes:
        nodes: each the sum of two edges (input state, operation).
        output: the states that are concatenated to the cell's output, ascending. A node that
            nothing reads is among them.
    """

    nodes: tuple[Node, ...]
    output: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_count("a cell", "nodes", len(self.nodes), MAX_NODES)
        for index, node in enumerate(self.nodes, start=2):
            for source, operation in node:
                _check_source(source, index)
                _check_word(operation, CONV_OPERATIONS)
        _check_output(self.output, states=len(self.nodes) + 2)
        _check_all_used(unread_nodes(self.nodes, self.output))


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
class Layer:
    """One layer of a layerwise network.

    Attributes:
        operation: applied to the output before this one.
        skips: the further outputs that are joined to its result, ascending: 0 is the stem, j the
            j-th layer, counted from 1.
    """

    operation: str
    skips: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_word(self.operation, LAYER_OPERATIONS)
        if list(self.skips) != sorted(set(self.skips)):
            raise ValueError(f"skips are ascending, not {self.skips}")


@dataclass(frozen=True, kw_only=True)
class LayerwiseGenotype:
    """A convolutional network layer by layer (the macro space of Pham et al. 2018, section 2.3).

    Attributes:
        layers: `layers[i]` applies its operation to output i (0 is the stem, j the j-th layer,
            counted from 1), so that its skips are among the outputs 0 to i - 1.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _check_count("a network", "layers", len(self.layers), MAX_LAYERS)
        for index, layer in enumerate(self.layers):
            for skip in layer.skips:
                if not 0 <= skip < index:
                    raise ValueError(f"layer {index + 1} has no skip from output {skip}")


@dataclass(frozen=True, kw_only=True)
class RecurrentGenotype:
    """A recurrent cell of highway nodes (Pham et al. 2018, section 2.1).

    States are numbered: 0 comes from the input and the previous hidden state, 1 and up are the
    nodes.

    Attributes:
        first: activation of state 0.
        nodes: (previous state, activation) of each further state.
        output: the states whose mean is the cell's output, ascending. A node that nothing reads is
            among them.
    """

    first: str
    nodes: tuple[tuple[int, str], ...]
    output: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_count("a cell", "nodes", len(self.nodes) + 1, MAX_NODES)
        _check_word(self.first, ACTIVATIONS)
        for index, (previous, activation) in enumerate(self.nodes, start=1):
            _check_source(previous, index)
            _check_word(activation, ACTIVATIONS)
        _check_output(self.output, states=len(self.nodes) + 1)
        ends = recurrent_loose_ends(self.nodes)
        _check_all_used(tuple(state for state in ends if state >= 1 and state not in self.output))


Genotype = ConvCellGenotype | LayerwiseGenotype | RecurrentGenotype


def loose_ends(nodes: Iterable[Node]) -> tuple[int, ...]:
    """The states of a convolutional cell that no node reads, ascending.

    >>> loose_ends([((1, "identity"), (1, "max-3x3"))])
    (0, 2)
    """
    nodes = tuple(nodes)
    read = {source for node in nodes for source, _ in node}
    return tuple(state for state in range(len(nodes) + 2) if state not in read)


def unread_nodes(nodes: Iterable[Node], output: Iterable[int]) -> tuple[int, ...]:
    """The nodes that are neither read nor in the output; their weights would never be used."""
    used = set(output)
    return tuple(state for state in loose_ends(nodes) if state >= 2 and state not in used)


def recurrent_loose_ends(nodes: Iterable[tuple[int, str]]) -> tuple[int, ...]:
    """The states of a recurrent cell that no node reads, ascending."""
    sources = [previous for previous, _ in nodes]
    return tuple(state for state in range(len(sources) + 1) if state not in sources)


def _check_count(what: str, parts: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ValueError(f"{what} has 1 to {most} {parts}, not {count}")


def _check_source(source: int, states: int) -> None:
    if not 0 <= source < states:
        raise ValueError(f"a state that exists here is 0 to {states - 1}, not {source}")


def _check_output(output: tuple[int, ...], states: int) -> None:
    if not output or list(output) != sorted(set(output)):
        raise ValueError(f"the output states are ascending and not empty, not {output}")
    for state in output:
        _check_source(state, states)


def _check_all_used(unread: tuple[int, ...]) -> None:
    if unread:
        raise ValueError(f"nothing reads the nodes {unread}, and they are not in the output")


def _check_word(word: str, known: frozenset[str]) -> None:
    if word not in known:
        raise ValueError(f"{word!r} is none of {', '.join(sorted(known))}")
