"""Convolutional networks that repeat two searched cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.auxiliary import AuxiliaryHead
from nas.genotypes import CellGraph, ConvCellGenotype
from nas.image_sizes import check_halvings
from nas.initialisation import initialise
from nas.operations import FactorizedReduction, rectified_reduction, relu_conv_norm
from nas.wirings import WIRINGS, Source, Wiring
from training.errors import LotteryError
from training.noise import Dropout, DropPath
from training.specs import ImageSpec


class Cell(nn.Module):
    """One cell: two inputs, brought to the same shape, nodes, and a concatenation of states.

    The older input is halved by a factorized reduction after a ReLU where a reduction lies between
    the two inputs; else both pass ReLU-1x1-BN where their channels differ from the cell's, or as
    the wiring says. An input that is part of a reduction cell's output is reduced too. Pooling pads
    symmetrically, where TensorFlow's "SAME", in ENAS, pads only below and to the right at stride 2.

    Args:
        graph: the nodes.
        inputs: channels of the outputs of the cell before the last and of the last cell.
        channels: of every node.
        stride: of the edges that read an input; 2 in a reduction cell.
        older_is_larger: whether a reduction lies between the two inputs.
        wiring: what the source builds its own way.
        drop_path: probability at the end of training that an example's path is dropped.
    """

    def __init__(
        self,
        graph: CellGraph,
        inputs: tuple[int, int],
        channels: int,
        *,
        stride: int,
        older_is_larger: bool,
        wiring: Wiring,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.channels_out = channels * len(graph.output)
        self.older = (
            rectified_reduction(inputs[0], channels)
            if older_is_larger
            else _calibration(inputs[0], channels, wiring)
        )
        self.newer = _calibration(inputs[1], channels, wiring)
        if wiring.newer_twice:
            self.newer = nn.Sequential(self.newer, relu_conv_norm(channels, channels))
        edges = [
            (operation, stride if source < 2 else 1)
            for node in graph.nodes
            for source, operation in node
        ]
        self.edges = nn.ModuleList(wiring.operations[word](channels, by) for word, by in edges)
        self.drops = nn.ModuleList(
            DropPath(drop_path) if drop_path and _is_dropped(word, by, wiring) else nn.Identity()
            for word, by in edges
        )
        self.loose_ends = nn.ModuleList(
            FactorizedReduction(channels, channels) if stride == 2 and state < 2 else nn.Identity()
            for state in graph.output
        )

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


def _calibration(inputs: int, channels: int, wiring: Wiring) -> nn.Module:
    if inputs == channels and not wiring.always_calibrated:
        return nn.Identity()
    return relu_conv_norm(inputs, channels)


def _is_dropped(operation: str, stride: int, wiring: Wiring) -> bool:
    return operation != "identity" or stride in wiring.dropped_identities


class CellNetwork(nn.Module):
    """Stem, stages of normal cells with a reduction cell between them, mean, linear classifier.

    Args:
        spec: of the images.
        genotype: the two cells.
        wiring: the source whose release is followed, a word of `WIRINGS`.
        channels: of the nodes of the first stage, doubled at each reduction; the stem has three
            times as many.
        normal_cells: normal cells per stage.
        reductions: reduction cells; there is one stage more.
        drop_path: probability that a path of the last cell is dropped at the end of training.
        dropout: on the features that the classifier reads.
        auxiliary: 1 for an auxiliary head behind the last reduction, 0 for none.

    Raises:
        LotteryError: the images are too small for so many reductions, or there is no reduction for
            the auxiliary head.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        genotype: ConvCellGenotype,
        wiring: Source,
        channels: int,
        normal_cells: int,
        reductions: int,
        drop_path: float,
        dropout: float,
        auxiliary: int,
    ) -> None:
        super().__init__()
        _check_sizes(spec, reductions, auxiliary)
        way = WIRINGS[wiring]
        self.rectified = way.rectified
        self.stem = nn.Sequential(
            nn.Conv2d(spec.channels, 3 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(3 * channels),
        )
        strides = _strides(normal_cells, reductions)
        rates = _drop_rates(drop_path, len(strides), way)
        cells = _cells(genotype, way, channels, strides, rates)
        self.cells = nn.ModuleList(cells)
        widths = [3 * channels, *(cell.channels_out for cell in cells)]
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.classifier = nn.Linear(widths[-1], spec.classes, bias=way.bias)
        self.auxiliary: AuxiliaryHead | None = None
        self.auxiliary_cell = _auxiliary_cell(strides, normal_cells, way)
        if auxiliary:
            size = (_reduced(spec.height, reductions), _reduced(spec.width, reductions))
            inputs = widths[self.auxiliary_cell + 1]
            self.auxiliary = AuxiliaryHead(inputs, size, spec.classes, bias=way.bias)
        if way.he_normal:
            initialise(self, "he")

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


def _check_sizes(spec: ImageSpec, reductions: int, auxiliary: int) -> None:
    network = f"cells with {reductions} reductions"
    check_halvings(spec, reductions, network, "fewer reductions")
    if auxiliary and not reductions:
        raise LotteryError(
            "The auxiliary head reads what the last reduction cell leaves, but reductions is 0; "
            "give at least 1 reduction, or auxiliary 0."
        )


def _strides(normal_cells: int, reductions: int) -> list[int]:
    stage = [1] * normal_cells
    return [*[*stage, 2] * reductions, *stage]


def _auxiliary_cell(strides: list[int], normal_cells: int, way: Wiring) -> int:
    """The cell behind which the auxiliary head stands; the last one where there are too few."""
    last_reduction = len(strides) - 1 - normal_cells
    return min(last_reduction + way.auxiliary_after, len(strides) - 1)


def _drop_rates(last: float, cells: int, way: Wiring) -> list[float]:
    if not way.drop_path_grows:
        return [last] * cells
    return [last * (index + 1) / cells for index in range(cells)]


def _cells(
    genotype: ConvCellGenotype,
    wiring: Wiring,
    channels: int,
    strides: list[int],
    rates: list[float],
) -> list[Cell]:
    cells = []
    older, newer, last_stride = 3 * channels, 3 * channels, 1
    for stride, drop_path in zip(strides, rates, strict=True):
        channels *= stride
        cell = Cell(
            genotype.normal if stride == 1 else genotype.reduction,
            (older, newer),
            channels,
            stride=stride,
            older_is_larger=last_stride == 2,
            wiring=wiring,
            drop_path=drop_path,
        )
        cells.append(cell)
        older, newer, last_stride = newer, cell.channels_out, stride
    return cells


def _reduced(length: int, reductions: int) -> int:
    """Half of `length`, rounded up, `reductions` times over."""
    return -(-length // (1 << reductions))
