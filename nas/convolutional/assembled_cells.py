"""Convolutional cells, and networks of them, made of given parts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nas.convolutional.auxiliary import AuxiliaryHead
from nas.genotypes.values import CellGraph


class AssembledCell(nn.Module):
    """A cell of given parts: new ones (`Cell`), or those that a search shares between architectures.

    Args:
        graph: the nodes.
        older: brings the output of the cell before the last to the shape of the nodes.
        newer: the same for the last cell's.
        edges: the operations, two per node.
        drops: what follows each of them, drop-path or the identity.
        loose_ends: what each output state passes.
    """

    def __init__(
        self,
        graph: CellGraph,
        *,
        older: nn.Module,
        newer: nn.Module,
        edges: Iterable[nn.Module],
        drops: Iterable[nn.Module],
        loose_ends: Iterable[nn.Module],
    ) -> None:
        super().__init__()
        self.graph = graph
        self.older = older
        self.newer = newer
        self.edges = nn.ModuleList(edges)
        self.drops = nn.ModuleList(drops)
        self.loose_ends = nn.ModuleList(loose_ends)

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """Apply the cell to the outputs of the two cells before it, each `[B, C, H, W]`."""
        states = [self.older(older), self.newer(newer)]
        paths = zip(self.edges, self.drops, strict=True)

        def next_path(source: int) -> Tensor:
            edge, drop = next(paths)
            out: Tensor = drop(edge(states[source]))
            return out

        for (left, _), (right, _) in self.graph.nodes:
            states.append(next_path(left) + next_path(right))
        ends = zip(self.graph.output, self.loose_ends, strict=True)
        return torch.cat([module(states[state]) for state, module in ends], dim=1)


class AssembledCellNetwork(nn.Module):
    """A stem, cells and classifiers that are given: new ones (`CellNetwork`), or those that a search shares.

    Args:
        stem: from images to the two inputs of the first cell.
        cells: each reads the outputs of the two before it.
        dropout: on the features that the classifier reads.
        classifier: from the mean over the image to the logits.
        auxiliary: an auxiliary head, or None.
        auxiliary_cell: the cell behind which that stands.
        rectified: whether a ReLU stands before the mean over the image.
    """

    def __init__(
        self,
        *,
        stem: nn.Module,
        cells: Iterable[AssembledCell],
        dropout: nn.Module,
        classifier: nn.Module,
        auxiliary: AuxiliaryHead | None,
        auxiliary_cell: int,
        rectified: bool,
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.dropout = dropout
        self.classifier = classifier
        self.auxiliary = auxiliary
        self.auxiliary_cell = auxiliary_cell

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Classify images `[B, C, H, W]`.

        Returns:
            The logits `[B, classes]`; while a network with an auxiliary head trains, the head's
            logits `[B, classes]` too.
        """
        older = newer = middle = self.stem(images)
        for index, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer)
            if index == self.auxiliary_cell:
                middle = newer
        features = newer.relu() if self.rectified else newer
        logits: Tensor = self.classifier(self.dropout(features.mean((2, 3))))
        if self.auxiliary is None or not self.training:
            return logits
        return logits, self.auxiliary(middle)
