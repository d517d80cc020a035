"""Genotypes drawn at random, the control of every search; torch-free.

Draws use nothing but `random.Random(seed).random()`, whose values Python promises to keep, so that
a seed names the same genotype everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from nas.genotypes.convolutional_encodings import ENAS_MACRO_OPERATIONS, ENAS_MICRO_OPERATIONS
from nas.genotypes.recurrent_encodings import ENAS_RNN_ACTIVATIONS
from nas.genotypes.values import (
    MAX_LAYERS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    Edge,
    Layer,
    LayerwiseGenotype,
    RecurrentGenotype,
    loose_ends,
    recurrent_loose_ends,
)
from training.errors import LotteryError

# The share of skips that ENAS draws its controller to, `controller_skip_target` in
# cifar10_macro_search.sh of melodyguan/enas.
SKIP_PROBABILITY = 0.4


def random_cells(seed: int, nodes: int) -> ConvCellGenotype:
    """Two cells of the ENAS micro space, uniform over its texts.

    Each edge of each node draws its input uniformly from the states before the node, then one of
    the five operations; the normal cell is drawn first. The loose ends are the output.

    Raises:
        LotteryError: so many nodes are not possible.
    """
    _check("nodes", nodes, MAX_NODES)
    draws = Random(seed)
    normal = _random_cell(draws, nodes)
    return ConvCellGenotype(normal=normal, reduction=_random_cell(draws, nodes))


def random_layers(seed: int, layers: int) -> LayerwiseGenotype:
    """A network of the ENAS macro space.

    Each layer draws one of the six operations uniformly, then each of its possible skips
    independently with probability 0.4 (`SKIP_PROBABILITY`).

    Raises:
        LotteryError: so many layers are not possible.
    """
    _check("layers", layers, MAX_LAYERS)
    draws = Random(seed)
    return LayerwiseGenotype(layers=tuple(_random_layer(draws, index) for index in range(layers)))


def random_recurrent(seed: int, nodes: int) -> RecurrentGenotype:
    """A cell of the ENAS recurrent space, uniform over its texts.

    The first activation is drawn, then for each further node its previous state and its activation,
    all uniformly. The loose ends are the output.

    Args:
        seed: names the cell.
        nodes: how many states, the first, which reads the input, among them.

    Raises:
        LotteryError: so many nodes are not possible.
    """
    _check("nodes", nodes, MAX_NODES)
    draws = Random(seed)
    first = _operation(draws, ENAS_RNN_ACTIVATIONS)
    graph = tuple(
        (_below(draws, states), _operation(draws, ENAS_RNN_ACTIVATIONS))
        for states in range(1, nodes)
    )
    return RecurrentGenotype(first=first, nodes=graph, output=recurrent_loose_ends(graph))


def _random_cell(draws: Random, nodes: int) -> CellGraph:
    def edge(states: int) -> Edge:
        return _below(draws, states), _operation(draws, ENAS_MICRO_OPERATIONS)

    graph = tuple((edge(states), edge(states)) for states in range(2, nodes + 2))
    return CellGraph(nodes=graph, output=loose_ends(graph))


def _random_layer(draws: Random, index: int) -> Layer:
    operation = _operation(draws, ENAS_MACRO_OPERATIONS)
    skips = tuple(output for output in range(index) if draws.random() < SKIP_PROBABILITY)
    return Layer(operation=operation, skips=skips)


def _operation(draws: Random, numbering: Mapping[int, str]) -> str:
    return numbering[_below(draws, len(numbering))]


def _below(draws: Random, count: int) -> int:
    return int(draws.random() * count)


def _check(parts: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise LotteryError(
            f"A random network can't have {count} {parts}; give 1 to {most} of them."
        )
