"""Weights that all convolutional cells of a space share."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from nas.convolutional.assembled_cells import AssembledCell, AssembledCellNetwork
from nas.convolutional.auxiliary import AuxiliaryHead
from nas.convolutional.cells import (
    auxiliary_head,
    auxiliary_place,
    cell_stem,
    cell_strides,
    check_cell_sizes,
)
from nas.convolutional.initialisation import initialise
from nas.convolutional.operations import FactorizedReduction, rectified_reduction, relu_conv_norm
from nas.convolutional.wirings import WIRINGS
from nas.genotypes.values import CellGraph, ConvCellGenotype
from nas.search.cell_space import CellSpace
from nas.search.shared_weights import Columns, Selection, SharedNetwork, prefixed
from training.dropout import Dropout
from training.specs import ImageSpec

WIRING = WIRINGS["enas"]


class SharedCell(nn.Module):
    """All weights of the cells that may stand at one place of a network.

    Each operation has weights of its own for each node, each of its two sides and each state that it may read, as in
    `_enas_layer` of `micro_child.py` in melodyguan/enas. What reads a cell's output has columns for all of its states.

    Args:
        space: of the cells.
        inputs: channels of the outputs of the cell before the last and of the last cell, with all their states.
        channels: of every node.
        stride: of the edges that read an input.
        older_is_larger: whether a reduction lies between the two inputs.
    """

    def __init__(
        self,
        space: CellSpace,
        inputs: tuple[int, int],
        channels: int,
        *,
        stride: int,
        older_is_larger: bool,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.older_is_larger = older_is_larger
        calibrate = rectified_reduction if older_is_larger else relu_conv_norm
        self.older = calibrate(inputs[0], channels)
        self.newer = relu_conv_norm(inputs[1], channels)
        self.newer_again = relu_conv_norm(channels, channels)
        self.edges = nn.ModuleDict(
            {
                _edge(node, side, source, word): WIRING.operations[word](
                    channels, stride if source < 2 else 1
                )
                for node in range(space.nodes)
                for side in range(2)
                for source in range(node + 2)
                for word in space.operations
            }
        )
        self.reductions = nn.ModuleList(
            FactorizedReduction(channels, channels) for _ in range(2) if stride == 2
        )
        self.nothing = nn.Identity()

    def select(
        self, graph: CellGraph, older: Columns, newer: Columns
    ) -> tuple[AssembledCell, dict[str, Tensor]]:
        """The cell of a graph.

        Args:
            graph: the nodes.
            older: what there is of the output of the cell before the last.
            newer: the same of the last cell's.

        Returns:
            The cell, and what stands in place of its parameters, by name.
        """
        keys = [
            _edge(node, side, source, word)
            for node, pair in enumerate(graph.nodes)
            for side, (source, word) in enumerate(pair)
        ]
        older_input, tensors = self._older(older)
        newer_input: nn.Module = self.nothing
        if newer.count != self.channels:
            newer_input = self.newer
            tensors |= newer.of(self.newer, "newer.0", "1.weight")
        cell = AssembledCell(
            graph,
            older=older_input,
            newer=nn.Sequential(newer_input, self.newer_again),
            edges=[self.edges[key] for key in keys],
            drops=[self.nothing] * len(keys),
            loose_ends=[
                self.reductions[state] if self.stride == 2 and state < 2 else self.nothing
                for state in graph.output
            ],
        )
        return cell, tensors

    def _older(self, older: Columns) -> tuple[nn.Module, dict[str, Tensor]]:
        if self.older_is_larger:
            return self.older, older.of(self.older, "older", "1.even.weight", "1.odd.weight")
        if older.count == self.channels:
            return self.nothing, {}
        return self.older, older.of(self.older, "older", "1.weight")


class SharedCells(SharedNetwork):
    """The shared weights of networks of two searched cells, `CellNetwork` with the wiring of ENAS.

    ENAS searches with another network than it retrains (`_enas_layer` and `_fixed_layer` of `micro_child.py`): there a
    `final_conv`, whose columns are gathered by loose ends, brings a cell's output back to one node's channels, and a
    reduction is a factorized reduction before a cell of stride 1. Here the columns are gathered where the next cells
    read, and the edges of a reduction cell have the stride. As there, drop-path is off; NAO_pytorch's shared weights
    have it. Initial weights are those of the stand-alone network; there the weights that are stacked over the states
    that a node may read count these as inputs, so that they begin larger, and batch norms follow.

    Args:
        spec: of the images.
        space: of the cells.
        channels: of the nodes of the first stage.
        normal_cells: per stage.
        reductions: reduction cells.
        dropout: on the features that the classifier reads.
        auxiliary: 1 for an auxiliary head, 0 for none.

    Raises:
        LotteryError: the images are too small for so many reductions, or there is no reduction for
            the auxiliary head.
    """

    def __init__(
        self,
        spec: ImageSpec,
        space: CellSpace,
        *,
        channels: int,
        normal_cells: int,
        reductions: int,
        dropout: float,
        auxiliary: int,
    ) -> None:
        super().__init__()
        check_cell_sizes(spec, reductions, auxiliary)
        strides = cell_strides(normal_cells, reductions)
        states = space.nodes + 2
        self.stem = cell_stem(spec, channels)
        self.stem_columns = Columns(blocks=(0,), width=3 * channels)
        self.cells = nn.ModuleList()
        widths = [3 * channels] * 2
        for stride, last_stride in zip(strides, [1, *strides], strict=False):
            channels *= stride
            cell = SharedCell(
                space,
                (widths[-2], widths[-1]),
                channels,
                stride=stride,
                older_is_larger=last_stride == 2,
            )
            self.cells.append(cell)
            widths.append(states * channels)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.classifier = nn.Linear(widths[-1], spec.classes, bias=WIRING.bias)
        self.auxiliary_cell = auxiliary_place(strides, normal_cells, WIRING)
        behind = widths[self.auxiliary_cell + 2]
        self.auxiliary: AuxiliaryHead | None = (
            auxiliary_head(spec, behind, reductions, WIRING) if auxiliary else None
        )
        initialise(self, WIRING.start)

    def select(self, genotype: ConvCellGenotype) -> Selection:
        """See `SharedNetwork.select`."""
        outputs = [self.stem_columns] * 2
        cells: list[AssembledCell] = []
        tensors: dict[str, Tensor] = {}
        for index, shared in enumerate(cast(list[SharedCell], self.cells)):
            graph = genotype.normal if shared.stride == 1 else genotype.reduction
            cell, own = shared.select(graph, outputs[-2], outputs[-1])
            cells.append(cell)
            tensors |= prefixed(f"cells.{index}", own)
            outputs.append(Columns(blocks=graph.output, width=shared.channels))
        tensors |= outputs[-1].of(self.classifier, "classifier", "weight")
        if self.auxiliary is not None:
            behind = outputs[self.auxiliary_cell + 2]
            tensors |= behind.of(self.auxiliary, "auxiliary", "features.2.weight")
        network = AssembledCellNetwork(
            stem=self.stem,
            cells=cells,
            dropout=self.dropout,
            classifier=self.classifier,
            auxiliary=self.auxiliary,
            auxiliary_cell=self.auxiliary_cell,
            rectified=WIRING.rectified,
        )
        # Of the modules that are new, only this one asks.
        network.training = self.training
        return Selection(network=network, tensors=tensors)

    def drawing(self) -> nn.Module:
        """See `SharedNetwork.drawing`."""
        return nn.ModuleDict({"dropout": self.dropout})


def _edge(node: int, side: int, source: int, word: str) -> str:
    return f"{node}-{side}-{source}-{word}"
