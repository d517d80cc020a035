"""Layerwise networks: weights of the release, halvings, skips, and stacks of replicates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas.convolutional.layers import (
    RELEASED_OPERATIONS,
    SEPARABLE_OPERATIONS,
    LayerNetwork,
    SearchedLayer,
)
from nas.genotypes.published import ENAS_MACRO
from nas.genotypes.values import LAYER_OPERATIONS, Layer, LayerwiseGenotype
from tests.tiny_tasks import gradients_by_name
from training.batching import Batching
from training.dropout import Dropout
from training.errors import LotteryError
from training.replicates import Replicates
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=5)
SIX = LayerwiseGenotype(
    layers=(
        Layer(operation="convolution-3x3", skips=()),
        Layer(operation="average-3x3", skips=(0,)),
        Layer(operation="separable-5x5", skips=()),
        Layer(operation="max-3x3", skips=(0, 2)),
        Layer(operation="separable-3x3", skips=(2,)),
        Layer(operation="convolution-5x5", skips=(0, 1, 4)),
    )
)


def small(
    genotype: LayerwiseGenotype = SIX,
    seed: int = 0,
    *,
    spec: ImageSpec = SPEC,
    dropout: float = 0.0,
    separable: bool = True,
) -> LayerNetwork:
    torch.manual_seed(seed)
    return LayerNetwork(spec, genotype=genotype, channels=4, dropout=dropout, separable=separable)


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# By a formula over the rows of the published text: with F channels a layer has F^2 + 2 F for its
# 1x1 convolution, k^2 F^2 + 2 F for a full and (k^2 + F) F + 2 F for a separable one of side k, and
# but for the first (skips + 1) F^2 + 2 F to join; a halved output costs 2 F^2 + 4 F.
@pytest.mark.parametrize(("separable", "expected"), [(False, 42_559_392), (True, 30_947_424)])
def test_weights_of_the_release(separable: bool, expected: int) -> None:
    with torch.device("meta"):
        network = LayerNetwork(
            ImageSpec(channels=3, height=32, width=32, classes=10),
            genotype=ENAS_MACRO,
            channels=96,
            dropout=0.5,
            separable=separable,
        )
    assert weights(network) == expected


def test_every_word_of_a_genotype_has_a_constructor() -> None:
    assert SEPARABLE_OPERATIONS.keys() == RELEASED_OPERATIONS.keys() == LAYER_OPERATIONS


@pytest.mark.parametrize("word", sorted(LAYER_OPERATIONS))
def test_operations_keep_the_shape(word: str) -> None:
    x = torch.randn(2, 4, 5, 7)
    for operations in (SEPARABLE_OPERATIONS, RELEASED_OPERATIONS):
        assert operations[word](4, 1)(x).shape == x.shape


def test_a_separable_layer_is_separable_once_and_full_as_released() -> None:
    # Depthwise 4 x 9, pointwise 16, norm 8; a full kernel 16 x 9 and the norm.
    assert weights(SEPARABLE_OPERATIONS["separable-3x3"](4, 1)) == 60
    assert weights(RELEASED_OPERATIONS["separable-3x3"](4, 1)) == 152
    assert weights(RELEASED_OPERATIONS["separable-5x5"](4, 1)) == 408


def test_a_layer_joins_its_skips_before_its_own_output() -> None:
    torch.manual_seed(0)
    layer = SearchedLayer(
        Layer(operation="max-3x3", skips=(0, 1)), 2, SEPARABLE_OPERATIONS, first=False
    ).eval()
    outputs = {number: torch.randn(1, 2, 3, 3) for number in range(3)}
    own = layer.operation(layer.squeeze(outputs[2]))
    joined = layer.join(torch.cat([outputs[0], outputs[1], own], 1))
    assert torch.equal(layer(outputs[2], outputs), joined)


def test_only_the_first_layer_joins_nothing() -> None:
    layer = Layer(operation="max-3x3", skips=())
    first, later = (SearchedLayer(layer, 4, SEPARABLE_OPERATIONS, first=f) for f in (True, False))
    assert weights(first.join) == 0
    assert weights(later.join) == 4 * 4 + 8


def test_outputs_are_halved_twice_where_later_layers_read_them() -> None:
    network = small()
    # After layer 2 of 6: layers 3 to 6 skip to 0, 1 and 2, and layer 3 reads 2. After layer 4:
    # layer 5 skips to 2 and reads 4, layer 6 skips to 0, 1 and 4; nobody reads 3 any more.
    halved = {
        tuple(map(int, name.split(".")[:2])) for name, _ in network.halvings.named_parameters()
    }
    assert halved == {(2, 0), (2, 1), (2, 2), (4, 0), (4, 1), (4, 2), (4, 4)}
    shapes: list[tuple[int, ...]] = []
    for layer in network.layers:
        layer.register_forward_hook(lambda module, args, out: shapes.append(tuple(out.shape[1:])))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert shapes == [(4, 8, 8)] * 2 + [(8, 4, 4)] * 2 + [(16, 2, 2)] * 2


@pytest.mark.parametrize(("layers", "halvings"), [(1, 0), (2, 0), (3, 2), (5, 2)])
def test_a_few_layers(layers: int, halvings: int) -> None:
    network = small(LayerwiseGenotype(layers=SIX.layers[:layers]))
    assert len(network.halvings) == halvings
    assert network.classifier.weight.shape == (5, 4 * 2**halvings)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("size", [(28, 28), (5, 9), (4, 4)])
def test_any_size_of_images(size: tuple[int, int]) -> None:
    spec = ImageSpec(channels=1, height=size[0], width=size[1], classes=3)
    assert small(spec=spec)(torch.randn(2, 1, *size)).shape == (2, 3)


def test_images_too_small() -> None:
    with pytest.raises(LotteryError, match="3 x 8 pixels are too small for .*halves them 2 times"):
        small(spec=ImageSpec(channels=3, height=3, width=8, classes=5))


def test_the_head_averages_and_classifies_without_bias() -> None:
    network = small()
    seen: list[Tensor] = []
    network.layers[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    logits = network(torch.randn(2, 3, 8, 8))
    weight = network.get_parameter("classifier.weight")
    torch.testing.assert_close(logits, seen[0].mean((2, 3)) @ weight.t())


def test_dropout_only_where_it_is_asked_for() -> None:
    assert not any(isinstance(module, Dropout) for module in small().modules())
    assert [m.p for m in small(dropout=0.5).modules() if isinstance(m, Dropout)] == [0.5]


@pytest.mark.parametrize("separable", [True, False])
def test_gradients_reach_every_weight(separable: bool) -> None:
    network = small(separable=separable)
    torch.autograd.backward(network(torch.randn(4, 3, 8, 8)).pow(3).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_channels_last_is_kept() -> None:
    network = small().to(memory_format=torch.channels_last)
    kept: list[bool] = []
    for layer in network.layers:
        layer.register_forward_hook(
            lambda module, args, out: kept.append(
                out.is_contiguous(memory_format=torch.channels_last)
            )
        )
    network(torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last))
    assert kept == [True] * 6


def stack(seeds: list[int], images: Tensor, batching: Batching) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of a stack that trains, and their gradients."""
    replicates = Replicates([small(seed=s, dropout=0.3) for s in seeds], seeds, batching)
    replicates.advance(3)
    logits: Tensor = replicates(lambda network, x: network(x), images)
    torch.autograd.backward(logits.square().sum())
    return logits.detach(), gradients_by_name(replicates)


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_a_replicate_of_three_is_the_one_that_is_alone(batching: Batching) -> None:
    images = torch.randn(3, 6, 3, 8, 8)
    logits, gradients = stack([1, 2, 3], images, batching)
    alone, own = stack([2], images[1:2], "looped")
    torch.testing.assert_close(logits[1], alone[0], rtol=1e-3, atol=1e-4)
    for name, gradient in own.items():
        near = gradients[name][1]
        # Through a norm over few pixels, sums in another order differ by more than one rounding.
        assert (near - gradient[0]).norm() <= 1e-3 * gradient[0].norm() + 1e-4, name
