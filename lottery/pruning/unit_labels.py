"""Labels of elements: which are one unit, and which parameters make and read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from lottery.pruning.groups import LayerKinds
from lottery.pruning.units import Units


class Labels:
    """Labels from 1 on, of which several can become one; 0 stands for none.

    Args:
        shapes: of the parameters and buffers whose entries are made or read, by name.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.parents = [0]
        self.whole: set[int] = set()
        self.convolutions: set[str] = set()
        self.order: list[str] = []
        self.tables = {
            side: {name: torch.zeros(shape, dtype=torch.long) for name, shape in shapes.items()}
            for side in ("makes", "reads")
        }

    def new(self, count: int) -> Tensor:
        """So many that were not there before."""
        first = len(self.parents)
        self.parents += range(first, first + count)
        return torch.arange(first, first + count)

    def join(self, one: Tensor, other: Tensor) -> Tensor:
        """Make labels one where both are some."""
        both = (one != other) & (one != 0) & (other != 0)
        for a, b in torch.stack([one[both], other[both]]).unique(dim=1).T.tolist():
            low, high = sorted((self.root(a), self.root(b)))
            self.parents[high] = low
        return one.maximum(other)

    def note(
        self, side: Literal["makes", "reads"], name: str, places: Tensor, labels: Tensor
    ) -> None:
        """Label entries of a parameter; those that have a label, as in a layer that is used twice, become one with it.

        Args:
            side: whether labels make the entries or are what they are multiplied by.
            name: of the parameter.
            places: of the entries in it, flat.
            labels: in a shape that is expanded to that of the places.
        """
        flat, at = self.tables[side][name].view(-1), places.flatten()
        flat[at] = self.join(flat[at], labels.expand(places.shape).flatten())
        if name not in self.order:
            self.order.append(name)

    def keep_whole(self, labels: Tensor) -> None:
        """Never prune what these stand for."""
        self.whole |= {*labels.unique().tolist()} - {0}

    def root(self, label: int) -> int:
        """The label that stands for all that became one with it."""
        while self.parents[label] != label:
            self.parents[label] = self.parents[self.parents[label]]
            label = self.parents[label]
        return label


def numbered(labels: Labels, masked: Collection[str]) -> Units:
    """The units among labels; a layer is of what the same parameters make and read.

    Args:
        labels: of a trace that is done.
        masked: the names of the parameters that a mask covers.
    """
    names = [name for name in labels.order if name in masked]
    roots = torch.tensor([labels.root(label) for label in range(len(labels.parents))])
    whole = {labels.root(label) for label in labels.whole} | {0}
    parts: dict[int, tuple[list[str], list[str]]] = {}
    for side, table in enumerate((labels.tables["makes"], labels.tables["reads"])):
        for name in names:
            for label in roots[table[name]].unique().tolist():
                parts.setdefault(label, ([], []))[side].append(name)
    layers: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for label in sorted(parts):
        if label not in whole and all(parts[label]):
            makers, readers = parts[label]
            layers.setdefault((tuple(makers), tuple(readers)), []).append(label)
    numbers, named, number = torch.full((len(roots),), -1), dict[str, Tensor](), 0
    for (makes, _), own in layers.items():
        name, again = makes[0], 1
        while name in named:
            again += 1
            name = f"{makes[0]} ({again})"
        named[name] = torch.arange(number, number + len(own))
        numbers[torch.tensor(own)] = named[name]
        number += len(own)
    numbers = numbers[roots]
    vectors = [name for name in labels.order if labels.tables["makes"][name].dim() == 1]
    return Units(
        layers=named,
        makes={name: numbers[labels.tables["makes"][name]] for name in names},
        reads={name: numbers[labels.tables["reads"][name]] for name in names},
        follows={name: numbers[labels.tables["makes"][name]] for name in vectors},
        kinds=LayerKinds(
            convolutions=frozenset(
                name
                for name, (makes, _) in zip(named, layers, strict=True)
                if makes[0] in labels.convolutions
            )
        ),
    )
