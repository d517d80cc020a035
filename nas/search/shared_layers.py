"""Weights that all layerwise networks of a space share."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from nas.convolutional.image_sizes import check_halvings
from nas.convolutional.initialisation import initialise
from nas.convolutional.layers import (
    SEPARABLE_OPERATIONS,
    AssembledLayer,
    AssembledLayerNetwork,
    halved_outputs,
    layer_stem,
    read_after,
)
from nas.convolutional.operations import FactorizedReduction, relu_conv_norm
from nas.genotypes.values import Layer, LayerwiseGenotype
from nas.search.layer_space import LayerSpace
from nas.search.shared_weights import Columns, Selection, SharedNetwork
from training.dropout import Dropout
from training.specs import ImageSpec


class SharedLayer(nn.Module):
    """All weights of the layers that may stand at one place of a network.

    Each operation has a 1x1 convolution of its own before it, as in `_conv_branch` and `_pool_branch` of
    `general_child.py` in melodyguan/enas; the one that joins has columns for all earlier outputs.

    Args:
        space: of the layers.
        index: of the layer, from 0: so many outputs may be skipped to it.
        channels: of every output.
    """

    def __init__(self, space: LayerSpace, index: int, channels: int) -> None:
        super().__init__()
        self.index = index
        self.channels = channels
        self.squeezes = nn.ModuleDict(
            {word: relu_conv_norm(channels, channels) for word in space.operations}
        )
        self.operations = nn.ModuleDict(
            {word: SEPARABLE_OPERATIONS[word](channels, 1) for word in space.operations}
        )
        self.join = relu_conv_norm((index + 1) * channels, channels) if index else nn.Identity()

    def select(self, layer: Layer) -> AssembledLayer:
        """The layer of an operation and skips."""
        return AssembledLayer(
            layer.skips,
            squeeze=self.squeezes[layer.operation],
            operation=self.operations[layer.operation],
            join=self.join,
        )

    def joined(self, layer: Layer, name: str) -> dict[str, Tensor]:
        """What stands in place of the parameters of the layer `name`."""
        if not self.index:
            return {}
        columns = Columns(blocks=(*layer.skips, self.index), width=self.channels)
        return columns.of(self.join, f"{name}.join", "1.weight")


class SharedLayers(SharedNetwork):
    """The shared weights of networks that are searched layer by layer, `LayerNetwork` with separable convolutions.

    ENAS searches with another network than it retrains (`_enas_layer` and `_fixed_layer` of `general_child.py`): there
    skipped outputs are added to the operation's and normalised, and a halving keeps the number of channels. Here they
    are concatenated and joined by a 1x1 convolution, and a halving doubles the channels. Each output that is halved has
    a factorized reduction of its own at each halving.

    Args:
        spec: of the images.
        space: of the layers.
        channels: of the stem and the first layers.
        dropout: on the features that the classifier reads.

    Raises:
        LotteryError: the images are too small to be halved twice.
    """

    def __init__(
        self, spec: ImageSpec, space: LayerSpace, *, channels: int, dropout: float
    ) -> None:
        super().__init__()
        halved = halved_outputs(space.layers)
        check_halvings(spec, len(halved), "a network of searched layers")
        self.stem = layer_stem(spec, channels)
        self.layers = nn.ModuleList()
        self.halvings = nn.ModuleDict()
        for index in range(space.layers):
            self.layers.append(SharedLayer(space, index, channels))
            if index + 1 in halved:
                self.halvings[str(index + 1)] = nn.ModuleList(
                    FactorizedReduction(channels, 2 * channels) for _ in range(index + 2)
                )
                channels *= 2
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.classifier = nn.Linear(channels, spec.classes, bias=False)
        initialise(self, "enas")

    def select(self, genotype: LayerwiseGenotype) -> Selection:
        """See `SharedNetwork.select`."""
        all_layers = cast(list[SharedLayer], self.layers)
        pairs = [*zip(all_layers, genotype.layers, strict=True)]
        tensors: dict[str, Tensor] = {}
        for index, (shared, layer) in enumerate(pairs):
            tensors |= shared.joined(layer, f"layers.{index}")
        network = AssembledLayerNetwork(
            stem=self.stem,
            layers=[shared.select(layer) for shared, layer in pairs],
            halvings={
                int(number): {
                    output: cast(nn.ModuleList, reductions)[output]
                    for output in read_after(genotype.layers, int(number))
                }
                for number, reductions in self.halvings.items()
            },
            dropout=self.dropout,
            classifier=self.classifier,
        )
        return Selection(network=network, tensors=tensors)

    def drawing(self) -> nn.Module:
        """See `SharedNetwork.drawing`."""
        return nn.ModuleDict({"dropout": self.dropout})
