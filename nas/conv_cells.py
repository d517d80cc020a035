"""Convolutional networks that repeat two searched cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.genotypes import CellGraph, ConvCellGenotype
from nas.operations import OPERATIONS, FactorizedReduction, relu_conv_norm
from training.errors import LotteryError
from training.specs import ImageSpec


class Cell(nn.Module):
    """One cell, wired as ENAS retrains it (`_fixed_layer` in `micro_child.py` of melodyguan/enas).

    Both inputs are first calibrated to `channels`: by a factorized reduction after a ReLU where the
    older input is still larger, by ReLU-1x1-BN where the channels differ, else not at all. The
    newer input then passes one more ReLU-1x1-BN, which the release calls `layer_base`. The nodes
    follow, and the loose ends are concatenated; an input that is a loose end of a reduction cell is
    reduced too. Pooling pads symmetrically, where TensorFlow's "SAME" pads only below and to the
    right at stride 2.

    Args:
        graph: the nodes.
        inputs: channels of the outputs of the cell before the last and of the last cell.
        channels: of every node.
        stride: of the edges that read an input; 2 in a reduction cell.
        older_is_larger: whether a reduction lies between the two inputs.
    """

    def __init__(
        self,
        graph: CellGraph,
        inputs: tuple[int, int],
        channels: int,
        stride: int,
        older_is_larger: bool,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.channels_out = channels * len(graph.output)
        if older_is_larger:
            self.older: nn.Module = nn.Sequential(
                nn.ReLU(), FactorizedReduction(inputs[0], channels)
            )
        else:
            self.older = _match_channels(inputs[0], channels)
        self.newer = nn.Sequential(
            _match_channels(inputs[1], channels), relu_conv_norm(channels, channels)
        )
        self.edges = nn.ModuleList(
            OPERATIONS[operation](channels, stride if source < 2 else 1)
            for node in graph.nodes
            for source, operation in node
        )
        self.loose_ends = nn.ModuleList(
            FactorizedReduction(channels, channels) if stride == 2 and state < 2 else nn.Identity()
            for state in graph.output
        )

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """Apply the cell to the outputs of the two cells before it, each `[B, C, H, W]`."""
        states = [self.older(older), self.newer(newer)]
        edges = iter(self.edges)
        for (left, _), (right, _) in self.graph.nodes:
            states.append(next(edges)(states[left]) + next(edges)(states[right]))
        ends = zip(self.graph.output, self.loose_ends, strict=True)
        return torch.cat([module(states[state]) for state, module in ends], dim=1)


def _match_channels(inputs: int, channels: int) -> nn.Module:
    return nn.Identity() if inputs == channels else relu_conv_norm(inputs, channels)


class CellNetwork(nn.Module):
    """Stem, stages of normal cells with a reduction cell between them, mean, linear classifier.

    As the ENAS release retrains a micro cell, without its auxiliary head, drop-path and dropout.
    The classifier has no bias, as there. Initial weights are He normal (He et al. 2015).

    Args:
        spec: of the images.
        genotype: the two cells.
        channels: of the nodes of the first stage, doubled at each reduction; the stem has three
            times as many.
        normal_cells: normal cells per stage.
        reductions: reduction cells; there is one stage more.

    Raises:
        LotteryError: the images are too small for so many reductions.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        genotype: ConvCellGenotype,
        channels: int,
        normal_cells: int,
        reductions: int,
    ) -> None:
        super().__init__()
        if min(spec.height, spec.width) < 2**reductions:
            raise LotteryError(
                f"Images of {spec.height} x {spec.width} pixels can't be halved {reductions} "
                "times; give fewer reductions."
            )
        self.stem = nn.Sequential(
            nn.Conv2d(spec.channels, 3 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(3 * channels),
        )
        self.cells = nn.ModuleList()
        older, newer, last_stride = 3 * channels, 3 * channels, 1
        for stride in _strides(normal_cells, reductions):
            channels *= stride
            graph = genotype.normal if stride == 1 else genotype.reduction
            cell = Cell(graph, (older, newer), channels, stride, older_is_larger=last_stride == 2)
            self.cells.append(cell)
            older, newer, last_stride = newer, cell.channels_out, stride
        self.classifier = nn.Linear(newer, spec.classes, bias=False)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        older = newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        logits: Tensor = self.classifier(newer.relu().mean((2, 3)))
        return logits


def _strides(normal_cells: int, reductions: int) -> list[int]:
    stage = [1] * normal_cells
    return [*[*stage, 2] * reductions, *stage]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
