"""Convolutional networks whose every layer is searched: the macro space of ENAS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from nas.convolutional.image_sizes import check_halvings
from nas.convolutional.initialisation import initialise
from nas.convolutional.operations import (
    OPERATIONS,
    Constructor,
    FactorizedReduction,
    relu_conv_norm,
    separable_convolution,
)
from nas.genotypes.values import Layer, LayerwiseGenotype
from training.dropout import Dropout
from training.errors import chosen
from training.specs import ImageSpec

# Unlike on the edges of a cell, a separable convolution is applied once (`_conv_branch` in
# `general_child.py` of melodyguan/enas).
SEPARABLE_OPERATIONS: Mapping[str, Constructor] = {
    "convolution-3x3": OPERATIONS["convolution-3x3"],
    "separable-3x3": partial(separable_convolution, kernel=3, times=1),
    "convolution-5x5": OPERATIONS["convolution-5x5"],
    "separable-5x5": partial(separable_convolution, kernel=5, times=1),
    "average-3x3": OPERATIONS["average-3x3"],
    "max-3x3": OPERATIONS["max-3x3"],
}

# `_fixed_layer` of the release builds separable convolutions as full ones, by their size alone.
RELEASED_OPERATIONS: Mapping[str, Constructor] = {
    **SEPARABLE_OPERATIONS,
    "separable-3x3": SEPARABLE_OPERATIONS["convolution-3x3"],
    "separable-5x5": SEPARABLE_OPERATIONS["convolution-5x5"],
}


class AssembledLayer(nn.Module):
    """A layer of given parts: new ones (`SearchedLayer`), or those that a search shares.

    Args:
        skips: the earlier outputs that are joined.
        squeeze: before the operation.
        operation: keeps the shape.
        join: of the skipped outputs and the operation's, concatenated.
    """

    def __init__(
        self, skips: tuple[int, ...], *, squeeze: nn.Module, operation: nn.Module, join: nn.Module
    ) -> None:
        super().__init__()
        self.skips = skips
        self.squeeze = squeeze
        self.operation = operation
        self.join = join

    def forward(self, newest: Tensor, earlier: Mapping[int, Tensor]) -> Tensor:
        """Apply the layer.

        Args:
            newest: the output before this one, `[B, C, H, W]`.
            earlier: outputs by number, each `[B, C, H, W]`.

        Returns:
            `[B, C, H, W]`.
        """
        out = self.operation(self.squeeze(newest))
        if self.skips:
            out = torch.cat([*(earlier[skip] for skip in self.skips), out], dim=1)
        joined: Tensor = self.join(out)
        return joined


class SearchedLayer(AssembledLayer):
    """ReLU-1x1-BN, the operation, and a ReLU-1x1-BN that joins its output with skipped ones.

    As `_fixed_layer` in `general_child.py` of melodyguan/enas retrains a layer. There the pools are
    missing; here they follow the same 1x1 convolution, as in `_pool_branch` of the search. The
    first layer has nothing to join.

    Args:
        layer: the operation and which earlier outputs are joined.
        channels: of every output.
        operations: the constructor of each word.
        first: whether this is the first layer.
    """

    def __init__(
        self, layer: Layer, channels: int, operations: Mapping[str, Constructor], first: bool
    ) -> None:
        inputs = (len(layer.skips) + 1) * channels
        super().__init__(
            layer.skips,
            squeeze=relu_conv_norm(channels, channels),
            operation=chosen("operation", layer.operation, operations)(channels, 1),
            join=nn.Identity() if first else relu_conv_norm(inputs, channels),
        )


class AssembledLayerNetwork(nn.Module):
    """A stem, layers and a classifier that are given: new ones (`LayerNetwork`), or those that a search shares.

    Args:
        stem: from images to output 0.
        layers: each gives the next output.
        halvings: number of the output after which a halving comes -> number of an output -> its reduction.
        dropout: on the features that the classifier reads.
        classifier: from the mean over the image to the logits.
    """

    def __init__(
        self,
        *,
        stem: nn.Module,
        layers: Iterable[AssembledLayer],
        halvings: Mapping[int, Mapping[int, nn.Module]],
        dropout: nn.Module,
        classifier: nn.Module,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(layers)
        self.halvings = nn.ModuleDict(
            {
                str(number): nn.ModuleDict({str(output): m for output, m in reductions.items()})
                for number, reductions in halvings.items()
            }
        )
        self.dropout = dropout
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """The logits `[B, classes]` of images `[B, C, H, W]`."""
        newest = self.stem(images)
        outputs = {0: newest}
        for number, layer in enumerate(self.layers, start=1):
            newest = outputs[number] = layer(newest, outputs)
            if str(number) in self.halvings:
                reductions = cast(nn.ModuleDict, self.halvings[str(number)])
                outputs = {int(of): halve(outputs[int(of)]) for of, halve in reductions.items()}
                newest = outputs[number]
        logits: Tensor = self.classifier(self.dropout(newest.mean((2, 3))))
        return logits


class LayerNetwork(AssembledLayerNetwork):
    """Stem, searched layers, mean, linear classifier without bias.

    After the layers L // 3 and 2 (L // 3) of L, counted from 1, each output that a later layer
    reads passes a factorized reduction of its own, to half the size and twice the channels
    (`general_child.py` of melodyguan/enas). Fewer than three layers are never halved. Initial
    weights are drawn as there (`nas.convolutional.initialisation`).

    Args:
        spec: of the images.
        genotype: the layers.
        channels: of the stem and the first layers.
        dropout: on the features that the classifier reads.
        separable: whether separable convolutions are; in the release they are full ones.

    Raises:
        LotteryError: the images are too small to be halved twice.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        genotype: LayerwiseGenotype,
        channels: int,
        dropout: float,
        separable: bool,
    ) -> None:
        operations = SEPARABLE_OPERATIONS if separable else RELEASED_OPERATIONS
        halved = halved_outputs(len(genotype.layers))
        check_halvings(spec, len(halved), "a network of searched layers")
        stem = layer_stem(spec, channels)
        layers: list[SearchedLayer] = []
        halvings: dict[int, dict[int, nn.Module]] = {}
        for number, layer in enumerate(genotype.layers, start=1):
            layers.append(SearchedLayer(layer, channels, operations, first=number == 1))
            if number in halved:
                halvings[number] = {
                    output: FactorizedReduction(channels, 2 * channels)
                    for output in read_after(genotype.layers, number)
                }
                channels *= 2
        super().__init__(
            stem=stem,
            layers=layers,
            halvings=halvings,
            dropout=Dropout(dropout) if dropout else nn.Identity(),
            classifier=nn.Linear(channels, spec.classes, bias=False),
        )
        initialise(self, "enas")


def layer_stem(spec: ImageSpec, channels: int) -> nn.Module:
    """3x3 convolution and batch norm: from `[B, spec.channels, H, W]` to `[B, channels, H, W]`."""
    return nn.Sequential(
        nn.Conv2d(spec.channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    )


def halved_outputs(layers: int) -> set[int]:
    """The numbers of the outputs after which a network of so many layers is halved."""
    return {layers // 3, 2 * (layers // 3)} - {0}


def read_after(layers: Sequence[Layer], output: int) -> list[int]:
    """The outputs up to `output` that layers behind it read; the next one reads `output` itself."""
    skips = {skip for layer in layers[output:] for skip in layer.skips if skip < output}
    return [*sorted(skips), output]
