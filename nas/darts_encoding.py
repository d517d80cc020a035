"""Genotypes from and to the `Genotype` of DARTS (quark0/darts, cnn/genotypes.py) as JSON; torch-free.

    {"normal": [["sep_conv_3x3", 1], ["skip_connect", 0], ...], "normal_concat": [2, 3, 4, 5],
     "reduce": [...], "reduce_concat": [...]}

Two consecutive items are one node, each an operation and the state that it reads; states are
numbered as in `nas.genotypes.CellGraph`.
"""

from __future__ import annotations

import json
import reprlib
from typing import Never, TypeGuard

from nas.genotypes import MAX_NODES, CellGraph, ConvCellGenotype, Edge, unread_nodes
from training.errors import LotteryError, unknown

# `OPS` in cnn/operations.py of quark0/darts; its averages leave out padded pixels.
DARTS_OPERATIONS = {
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

# Two cells of as many nodes as are possible, written with indentation, need about 15,000.
MAX_CHARACTERS = 50_000


def parse_darts(text: str) -> ConvCellGenotype:
    """Read a DARTS genotype from JSON; see the head of this module for the form.

    Raises:
        LotteryError: the text is malformed; the position, counted from 1, is named.
    """
    value = _read(text)
    if not isinstance(value, dict):
        raise LotteryError(
            f"The DARTS text is {reprlib.repr(value)}, but it must be a JSON object with the keys "
            f"{', '.join(KEYS)}."
        )
    for key in value:
        if key not in KEYS:
            raise unknown("key of the DARTS text", key[:40], KEYS)
    missing = [key for key in KEYS if key not in value]
    if missing:
        raise LotteryError(f"The DARTS text has no {missing[0]}; give {', '.join(KEYS)}.")
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


def _read(text: str) -> object:
    if len(text) > MAX_CHARACTERS:
        raise LotteryError(
            f"The DARTS text has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are "
            "read; give only the JSON of one genotype."
        )
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise LotteryError(
            f"The DARTS text is no JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            f"give an object with the keys {', '.join(KEYS)}."
        ) from None
    except RecursionError:
        raise LotteryError(
            "The DARTS text has brackets nested far deeper than the three levels that a genotype "
            "needs; correct the text."
        ) from None
    except ValueError:
        raise LotteryError(
            f"The DARTS text holds an integer of thousands of digits; states are 0 to "
            f"{MAX_NODES + 1}."
        ) from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise LotteryError(
            f"The DARTS text has the key {reprlib.repr(twice)} twice; keep one of them."
        )
    return dict(pairs)


def _constant(word: str) -> Never:
    raise LotteryError(f"The DARTS text holds {word}, which JSON does not have; give integers.")


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
    edges = [_parse_edge(name, index, item) for index, item in enumerate(items)]
    nodes = tuple(zip(edges[::2], edges[1::2], strict=True))
    output = _parse_concat(f"{name}_concat", concat, states=len(nodes) + 2)
    unread = unread_nodes(nodes, output)
    if unread:
        raise LotteryError(
            f"Node {unread[0]} of {name} in the DARTS text is read by no node and missing from "
            f"{name}_concat, so that its weights would be idle; add it there."
        )
    return CellGraph(nodes=nodes, output=output)


def _parse_edge(name: str, index: int, item: object) -> Edge:
    last = index // 2 + 1
    match item:
        case [str(word), source] if word in DARTS_OPERATIONS and _is_state(source, last):
            return source, DARTS_OPERATIONS[word]
        case [str(word), _] if word in DARTS_OPERATIONS:
            possible = f"this node reads a state from 0 to {last}"
        case [str(_), _]:
            possible = f"an operation is one of {', '.join(sorted(DARTS_OPERATIONS))}"
        case _:
            possible = "it must be an operation and a state, such as ['sep_conv_3x3', 0]"
    raise LotteryError(
        f"Item {index + 1} of {name} in the DARTS text is {reprlib.repr(item)}, but {possible}; "
        "correct the text."
    )


def _parse_concat(name: str, concat: object, states: int) -> tuple[int, ...]:
    if not isinstance(concat, list) or not concat:
        raise LotteryError(
            f"The {name} of the DARTS text is {reprlib.repr(concat)}, but it must be a list of the "
            "states that are concatenated, such as [2, 3, 4, 5]; correct the text."
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
    words = {ours: theirs for theirs, ours in DARTS_OPERATIONS.items()}
    for node in graph.nodes:
        for _, operation in node:
            if operation not in words:
                raise ValueError(f"DARTS has no word for {operation}")
    return [[words[operation], source] for node in graph.nodes for source, operation in node]
