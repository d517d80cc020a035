"""Convolutional networks that repeat two searched cells."""

from __future__ import annotations

from torch import nn

from nas.convolutional.assembled_cells import AssembledCell, AssembledCellNetwork
from nas.convolutional.auxiliary import AuxiliaryHead
from nas.convolutional.image_sizes import check_halvings
from nas.convolutional.initialisation import initialise
from nas.convolutional.operations import FactorizedReduction, rectified_reduction, relu_conv_norm
from nas.convolutional.wirings import WIRINGS, Wiring
from nas.genotypes.values import CellGraph, ConvCellGenotype
from training.dropout import Dropout, DropPath
from training.errors import LotteryError, chosen
from training.specs import ImageSpec


class Cell(AssembledCell):
    """One cell: two inputs, brought to the same shape, nodes, and a concatenation of states.

    The older input is halved by a factorized reduction after a ReLU where a reduction lies between
    the two inputs; else both pass ReLU-1x1-BN where their channels differ from the cell's, or as
    the wiring says. An input that is part of a reduction cell's output is reduced too.

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
        if older_is_larger:
            older = rectified_reduction(inputs[0], channels)
        else:
            older = _calibration(inputs[0], channels, wiring)
        newer = _calibration(inputs[1], channels, wiring)
        if wiring.newer_twice:
            newer = nn.Sequential(newer, relu_conv_norm(channels, channels))
        edges = [
            (operation, stride if source < 2 else 1)
            for node in graph.nodes
            for source, operation in node
        ]
        super().__init__(
            graph,
            older=older,
            newer=newer,
            edges=[
                chosen("operation", word, wiring.operations)(channels, by) for word, by in edges
            ],
            drops=[
                DropPath(drop_path)
                if drop_path and _is_dropped(word, by, wiring)
                else nn.Identity()
                for word, by in edges
            ],
            loose_ends=[
                FactorizedReduction(channels, channels)
                if stride == 2 and state < 2
                else nn.Identity()
                for state in graph.output
            ],
        )
        self.channels_out = channels * len(graph.output)


def _calibration(inputs: int, channels: int, wiring: Wiring) -> nn.Module:
    if inputs == channels and not wiring.always_calibrated:
        return nn.Identity()
    return relu_conv_norm(inputs, channels)


def _is_dropped(operation: str, stride: int, wiring: Wiring) -> bool:
    return operation != "identity" or stride in wiring.dropped_identities


class CellNetwork(AssembledCellNetwork):
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
        wiring: str,
        channels: int,
        normal_cells: int,
        reductions: int,
        drop_path: float,
        dropout: float,
        auxiliary: int,
    ) -> None:
        check_cell_sizes(spec, reductions, auxiliary)
        way = chosen("wiring", wiring, WIRINGS)
        stem = cell_stem(spec, channels)
        strides = cell_strides(normal_cells, reductions)
        cells = _cells(genotype, way, channels, strides, _drop_rates(drop_path, len(strides), way))
        widths = [3 * channels, *(cell.channels_out for cell in cells)]
        classifier = nn.Linear(widths[-1], spec.classes, bias=way.bias)
        behind = auxiliary_place(strides, normal_cells, way)
        super().__init__(
            stem=stem,
            cells=cells,
            dropout=Dropout(dropout) if dropout else nn.Identity(),
            classifier=classifier,
            auxiliary=auxiliary_head(spec, widths[behind + 1], reductions, way)
            if auxiliary
            else None,
            auxiliary_cell=behind,
            rectified=way.rectified,
        )
        initialise(self, way.start)


def check_cell_sizes(spec: ImageSpec, reductions: int, auxiliary: int) -> None:
    """Refuse images that are too small for so many reductions, and an auxiliary head without any.

    Raises:
        LotteryError: either is the case.
    """
    network = f"cells with {reductions} reductions"
    check_halvings(spec, reductions, network, "fewer reductions")
    if auxiliary and not reductions:
        raise LotteryError(
            "The auxiliary head reads what the last reduction cell leaves, but reductions is 0; "
            "give at least 1 reduction, or auxiliary 0."
        )


def cell_stem(spec: ImageSpec, channels: int) -> nn.Module:
    """3x3 convolution and batch norm: from `[B, spec.channels, H, W]` to `[B, 3 channels, H, W]`."""
    return nn.Sequential(
        nn.Conv2d(spec.channels, 3 * channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(3 * channels),
    )


def cell_strides(normal_cells: int, reductions: int) -> list[int]:
    """1 for each normal and 2 for each reduction cell, in their order."""
    stage = [1] * normal_cells
    return [*[*stage, 2] * reductions, *stage]


def auxiliary_head(spec: ImageSpec, inputs: int, reductions: int, way: Wiring) -> AuxiliaryHead:
    """The auxiliary head that reads `inputs` channels behind the last reduction."""
    size = (_reduced(spec.height, reductions), _reduced(spec.width, reductions))
    return AuxiliaryHead(inputs, size, spec.classes, bias=way.bias)


def auxiliary_place(strides: list[int], normal_cells: int, way: Wiring) -> int:
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
