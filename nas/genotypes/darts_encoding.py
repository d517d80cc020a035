"""Genotypes from and to the `Genotype` of DARTS (quark0/darts) as JSON, and from its Python; torch-free.

Convolutional (cnn/genotypes.py): two consecutive items are one node, each an operation and the
state that it reads; states are numbered as in `nas.genotypes.values.CellGraph`.

    {"normal": [["sep_conv_3x3", 1], ["skip_connect", 0], ...], "normal_concat": [2, 3, 4, 5],
     "reduce": [...], "reduce_concat": [...]}

Recurrent (rnn/genotypes.py): each item is one node, its activation and the state that it reads;
states are numbered as in `nas.genotypes.values.RecurrentGenotype`. State 0 is always a tanh, and the output
is the mean of the states in "concat" (rnn/model.py).

    {"recurrent": [["relu", 0], ["tanh", 1], ...], "concat": [1, 2, ...]}

Either is also read as DARTS writes it in Python, see `nas.genotypes.darts_objects`.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection
from typing import TypeGuard

from nas.genotypes.darts_objects import read_object
from nas.genotypes.values import (
    ACTIVATIONS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    Edge,
    RecurrentGenotype,
    recurrent_loose_ends,
    unread_nodes,
)
from training.errors import LotteryError

# `OPS` in cnn/operations.py of quark0/darts; its averages leave out padded pixels.
DARTS_WORDS = {
    "sep_conv_3x3": "separable-3x3",
    "sep_conv_5x5": "separable-5x5",
    "sep_conv_7x7": "separable-7x7",
    "dil_conv_3x3": "dilated-3x3",
    "dil_conv_5x5": "dilated-5x5",
    "conv_7x1_1x7": "convolution-1x7-7x1",
    "max_pool_3x3": "max-3x3",
    "avg_pool_3x3": "average-3x3",
    "skip_connect": "identity",
    "none": "none",
}
KEYS = ("normal", "normal_concat", "reduce", "reduce_concat")
RECURRENT_KEYS = ("recurrent", "concat")


def parse_darts(text: str) -> ConvCellGenotype:
    """Read a DARTS genotype from JSON or Python; see the head of this module for the form.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    value = read_object(text, KEYS)
    return ConvCellGenotype(
        normal=_parse_cell("normal", value["normal"], value["normal_concat"]),
        reduction=_parse_cell("reduce", value["reduce"], value["reduce_concat"]),
    )


def print_darts(genotype: ConvCellGenotype) -> str:
    """The JSON text of a genotype in one line, see `parse_darts`.

    Raises:
        ValueError: DARTS has no word for an operation.
    """
    return json.dumps(
        {
            "normal": _print_edges(genotype.normal),
            "normal_concat": list(genotype.normal.output),
            "reduce": _print_edges(genotype.reduction),
            "reduce_concat": list(genotype.reduction.output),
        }
    )


def parse_darts_recurrent(text: str) -> RecurrentGenotype:
    """Read a recurrent DARTS genotype from JSON or Python; see the head of this module for the form.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    value = read_object(text, RECURRENT_KEYS)
    items = value["recurrent"]
    if not isinstance(items, list) or not 1 <= len(items) < MAX_NODES:
        size = f"{len(items)} items" if isinstance(items, list) else reprlib.repr(items)
        raise LotteryError(
            f"The recurrent of the DARTS text is {size}, but it must be a list of 1 to "
            f"{MAX_NODES - 1} nodes; correct the text."
        )
    nodes = tuple(
        _parse_item("recurrent", index, item, "activation", ACTIVATIONS, last=index)
        for index, item in enumerate(items)
    )
    output = _parse_concat("concat", value["concat"], states=len(nodes) + 1)
    _check_read("recurrent", "concat", set(recurrent_loose_ends(nodes)) - set(output))
    return RecurrentGenotype(first="tanh", nodes=nodes, output=output)


def print_darts_recurrent(genotype: RecurrentGenotype) -> str:
    """The JSON text of a genotype in one line, see `parse_darts_recurrent`.

    Raises:
        ValueError: the first activation is not tanh, or there is no node.
    """
    if genotype.first != "tanh" or not genotype.nodes:
        raise ValueError("the recurrent DARTS text needs tanh first and at least one node")
    nodes = [[activation, previous] for previous, activation in genotype.nodes]
    return json.dumps({"recurrent": nodes, "concat": list(genotype.output)})


def _parse_cell(name: str, items: object, concat: object) -> CellGraph:
    if not isinstance(items, list) or not items or len(items) % 2:
        size = f"{len(items)} items" if isinstance(items, list) else reprlib.repr(items)
        raise LotteryError(
            f"The {name} of the DARTS text is {size}, but it must be a list of two items for each "
            "node; correct the text."
        )
    if len(items) > 2 * MAX_NODES:
        raise LotteryError(
            f"The {name} of the DARTS text has {len(items) // 2} nodes, and at most {MAX_NODES} "
            "are possible; give a smaller cell."
        )
    edges = [
        _parse_item(name, index, item, "operation", DARTS_WORDS, last=index // 2 + 1)
        for index, item in enumerate(items)
    ]
    edges = [(source, DARTS_WORDS[word]) for source, word in edges]
    nodes = tuple(zip(edges[::2], edges[1::2], strict=True))
    output = _parse_concat(f"{name}_concat", concat, states=len(nodes) + 2)
    _check_read(name, f"{name}_concat", unread_nodes(nodes, output))
    return CellGraph(nodes=nodes, output=output)


def _parse_item(
    name: str, index: int, item: object, what: str, words: Collection[str], *, last: int
) -> Edge:
    match item:
        case [str(word), source] if word in words and _is_state(source, last):
            return source, word
        case [str(word), _] if word in words:
            possible = f"this node reads a state from 0 to {last}"
        case [str(_), _]:
            possible = f"an {what} is one of {', '.join(sorted(words))}"
        case _:
            possible = f"it must be an {what} and a state, such as {[min(words), 0]}"
    raise LotteryError(
        f"Item {index + 1} of {name} in the DARTS text is {reprlib.repr(item)}, but {possible}; "
        "correct the text."
    )


def _check_read(name: str, concat: str, unread: Collection[int]) -> None:
    if unread:
        raise LotteryError(
            f"Node {min(unread)} of {name} in the DARTS text is read by no node and missing from "
            f"{concat}, so that its weights would be idle; add it there."
        )


def _parse_concat(name: str, concat: object, states: int) -> tuple[int, ...]:
    if not isinstance(concat, list) or not concat:
        raise LotteryError(
            f"The {name} of the DARTS text is {reprlib.repr(concat)}, but it must be a list of the "
            "states that are the output, such as [2, 3, 4, 5]; correct the text."
        )
    least = 0
    for index, state in enumerate(concat):
        if not _is_state(state, states - 1) or state < least:
            raise LotteryError(
                f"Item {index + 1} of {name} in the DARTS text is {reprlib.repr(state)}, but the states "
                f"are 0 to {states - 1}, each once and ascending; correct the text."
            )
        least = state + 1
    return tuple(concat)


def _is_state(value: object, last: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= last


def _print_edges(graph: CellGraph) -> list[list[str | int]]:
    words = {ours: theirs for theirs, ours in DARTS_WORDS.items()}
    for node in graph.nodes:
        for _, operation in node:
            if operation not in words:
                raise ValueError(f"DARTS has no word for {operation}")
    return [[words[operation], source] for node in graph.nodes for source, operation in node]
