"""Spaces and settings of NAO that are learned in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from nas.search.cell_space import CellSpace
from nas.search.layer_space import LayerSpace
from nas.search.nao_config import NaoConfig
from nas.search.recurrent_space import RecurrentSpace
from nas.search.space import Choices, Space, random_choices

CELLS = CellSpace(nodes=2)
LAYERS = LayerSpace(layers=4)
# Five tokens with a first activation to choose, so that steps of two tokens begin with a gap.
RECURRENT = RecurrentSpace(nodes=3)
SPACES: dict[str, Space] = {"cell": CELLS, "layers": LAYERS, "recurrent": RECURRENT}

TINY = NaoConfig(
    pool=40,
    top=10,
    new=10,
    rounds=2,
    every=1,
    largest_step=20,
    tokens_per_step=2,
    embedding=8,
    hidden=24,
    predictor_layers=1,
    predictor_width=16,
    encoder_dropout=0.1,
    epochs=60,
    batch_size=40,
    learning_rate=1e-2,
    continued="nothing",
    swaps=1,
    fresh_swaps=False,
)


def drawn(space: Space, count: int, seed: int = 0) -> list[Choices]:
    """Different rows of a space, in the order of their drawing."""
    draws = Random(seed)
    rows: dict[Choices, None] = {}
    while len(rows) < count:
        rows[random_choices(space, draws)] = None
    return [*rows]


def tiny(**changes: Any) -> NaoConfig:
    """`TINY` with other settings."""
    return replace(TINY, **changes)


def third_operations(rows: Sequence[Choices]) -> list[float]:
    """How often each of some cells has operation 2."""
    return [float(row[1::2].count(2)) for row in rows]
