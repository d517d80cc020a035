"""Shared weights of layerwise networks: as the stand-alone network, and only on the path."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor

from nas.convolutional.layers import LayerNetwork
from nas.genotypes.values import Layer, LayerwiseGenotype
from nas.search.layer_space import LayerSpace
from nas.search.shared import SharedNetwork, shared_network
from nas.search.space import random_choices
from tests.shared_checks import assert_as_alone, gradients, live
from training.noise import generator
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=5)
SPACE = LayerSpace(layers=6)


def shared(space: LayerSpace = SPACE, dropout: float = 0.0) -> SharedNetwork:
    sizes = {"channels": 4, "dropout": dropout}
    return shared_network(space, sizes, SPEC, generator(0, "initial weights")).double()


def alone(genotype: LayerwiseGenotype, dropout: float = 0.0) -> LayerNetwork:
    network = LayerNetwork(SPEC, genotype=genotype, channels=4, dropout=dropout, separable=True)
    return network.double()


def images() -> Tensor:
    return torch.randn(3, 3, 8, 8, generator=generator(0, "images"), dtype=torch.double)


def drawn(seed: int, space: LayerSpace = SPACE) -> LayerwiseGenotype:
    return space.genotype(random_choices(space, Random(seed)))


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_stand_alone_network(layers: int, seed: int) -> None:
    space = LayerSpace(layers=layers)
    genotype = drawn(seed, space)
    assert_as_alone(shared(space, 0.5), alone(genotype, 0.5), genotype, images())


@pytest.mark.parametrize("layer", range(3))
def test_every_operation_has_its_own_weights_at_every_layer(layer: int) -> None:
    space = LayerSpace(layers=3)
    network = shared(space)
    for word in space.operations:
        words = ["max-3x3"] * 3
        words[layer] = word
        genotype = LayerwiseGenotype(layers=tuple(Layer(operation=w, skips=()) for w in words))
        found = assert_as_alone(network, alone(genotype), genotype, images())
        squeezes = {tuple(name.split(".")[1:4:2]) for name in found if ".squeezes." in name}
        assert squeezes == {(str(index), own) for index, own in enumerate(words)}
        operations = {tuple(name.split(".")[1:4:2]) for name in found if ".operations." in name}
        has_weights = word not in ("max-3x3", "average-3x3")
        assert operations == ({(str(layer), word)} if has_weights else set())


def test_skips_and_halvings_written_out() -> None:
    plain = Layer(operation="max-3x3", skips=())
    # Halved after layers 2 and 4 of 6. Layer 5 reads outputs 0, 1 and, directly, 4.
    genotype = LayerwiseGenotype(
        layers=(plain,) * 4 + (Layer(operation="max-3x3", skips=(0, 1)), plain)
    )
    network = shared()
    found = gradients(network, network(genotype, images()))
    halved = {tuple(name.split(".")[1:3]) for name in found if name.startswith("halvings.")}
    assert halved == {("2", "0"), ("2", "1"), ("2", "2"), ("4", "0"), ("4", "1"), ("4", "4")}
    # Layer 5 has 16 channels and may join outputs 0 to 3 before its own: blocks 2 and 3 are unread.
    joined = found["layers.4.join.1.weight"].abs().sum((0, 2, 3)).unflatten(0, (5, 16)).bool()
    assert joined.all(1).tolist() == [True, True, False, False, True]
    assert joined.any(1).tolist() == [True, True, False, False, True]


def test_memory_does_not_grow_with_the_architectures() -> None:
    network = shared()

    def sample(seed: int) -> None:
        gradients(network, network(drawn(seed), images()))
        network.zero_grad()

    sample(0)
    before = live()
    for seed in range(1, 12):
        sample(seed)
    assert live() == before


def test_batches_are_normalised_by_themselves() -> None:
    network = shared()
    training = network(drawn(0), images())
    assert torch.equal(network.eval()(drawn(0), images()), training)
    assert not [*network.buffers()]
