"""Shared weights of convolutional cells: as the stand-alone network, and only on the path."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.convolutional.cells import CellNetwork
from nas.genotypes.values import CellGraph, ConvCellGenotype
from nas.search.cell_space import NAO_CELL_OPERATIONS, CellSpace
from nas.search.shared import SharedNetwork, shared_network
from nas.search.shared_weights import Columns
from nas.search.space import random_choices
from tests.shared_checks import assert_as_alone, gradients, live, path_of
from training.noise import generator
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=5)
SPACE = CellSpace(nodes=3)
SAME, SEPARABLE = "identity", "separable-3x3"


def sizes(**changes: Any) -> dict[str, Any]:
    return {
        **{"channels": 4, "normal_cells": 1, "reductions": 1},
        **{"drop_path": 0.0, "dropout": 0.0, "auxiliary": 0, **changes},
    }


def shared(space: CellSpace = SPACE, seed: int = 0, **changes: Any) -> SharedNetwork:
    network = shared_network(space, sizes(**changes), SPEC, generator(seed, "initial weights"))
    return network.double()


def alone(genotype: ConvCellGenotype, **changes: Any) -> CellNetwork:
    network = CellNetwork(SPEC, genotype=genotype, wiring="enas", **sizes(**changes))
    return network.double()


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 3, 8, 8, generator=generator(seed, "images"), dtype=torch.double)


def drawn(seed: int, space: CellSpace = SPACE) -> ConvCellGenotype:
    return space.genotype(random_choices(space, Random(seed)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("normal_cells", "reductions"), [(1, 2), (2, 1), (2, 0)])
def test_it_is_the_stand_alone_network(seed: int, normal_cells: int, reductions: int) -> None:
    changes: dict[str, Any] = {
        "normal_cells": normal_cells,
        "reductions": reductions,
        "auxiliary": int(reductions > 0),
        "dropout": 0.5,
    }
    genotype = drawn(seed)
    assert_as_alone(shared(**changes), alone(genotype, **changes), genotype, images())


def test_so_it_is_with_the_operations_of_nao() -> None:
    space = CellSpace(nodes=2, operations=NAO_CELL_OPERATIONS)
    network = shared(space)
    for seed in range(4):
        genotype = drawn(seed, space)
        assert_as_alone(network, alone(genotype), genotype, images())


STACKS: tuple[dict[str, Any], ...] = (
    {"normal_cells": 1, "reductions": 2},
    {"normal_cells": 2, "reductions": 1},
)


@pytest.fixture(scope="module")
def without_content() -> list[SharedNetwork]:
    with torch.device("meta"):
        return [shared(**stack, auxiliary=1) for stack in STACKS]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_path_has_the_names_and_shapes_of_the_stand_alone_network(
    without_content: list[SharedNetwork], seed: int
) -> None:
    genotype = drawn(seed)
    for network, stack in zip(without_content, STACKS, strict=True):
        with torch.device("meta"):
            expected = dict(alone(genotype, **stack, auxiliary=1).named_parameters())
        path = path_of(network, genotype)
        assert [*path] == [*expected]
        assert all(path[name].shape == parameter.shape for name, parameter in expected.items())


def one_cell(space: CellSpace, place: tuple[int, int], edge: tuple[int, str]) -> ConvCellGenotype:
    """Identities of state 0 throughout, but for one edge at a place (node, side)."""
    nodes = [[(0, SAME), (0, SAME)] for _ in range(space.nodes)]
    nodes[place[0]][place[1]] = edge
    pairs = tuple((left, right) for left, right in nodes)
    read = {source for node in nodes for source, _ in node}
    output = tuple(state for state in range(space.nodes + 2) if state not in read)
    graph = CellGraph(nodes=pairs, output=output)
    return ConvCellGenotype(normal=graph, reduction=graph)


@pytest.mark.parametrize("node", range(2))
@pytest.mark.parametrize("side", range(2))
def test_every_operation_has_its_own_weights_at_every_place(node: int, side: int) -> None:
    space = CellSpace(nodes=2)
    network = shared(space, reductions=0)
    for source in range(node + 2):
        for word in space.operations:
            genotype = one_cell(space, (node, side), (source, word))
            found = assert_as_alone(network, alone(genotype, reductions=0), genotype, images())
            reached = {name.split(".")[3] for name in found if ".edges." in name}
            has_weights = word.startswith("separable")
            assert reached == ({f"{node}-{side}-{source}-{word}"} if has_weights else set())


def test_which_weights_have_gradients_written_out() -> None:
    space = CellSpace(nodes=1, operations=(SAME, SEPARABLE))
    graph = CellGraph(nodes=(((0, SEPARABLE), (0, SAME)),), output=(1, 2))
    genotype = ConvCellGenotype(normal=graph, reduction=graph)
    network = shared(space)
    found = gradients(network, network(genotype, images()))
    kernels = {name for name, grad in found.items() if grad.dim() == 4}
    steps = [f"edges.0-0-0-{SEPARABLE}.{place}" for place in (1, 2, 5, 6)]
    halved = ["even", "odd"]
    # The second cell is the reduction, whose identity and whose loose end 1 are factorized reductions. It has 8
    # channels, so that the 2 x 4 of the cell before it need no calibration; the stem's 12 do.
    assert kernels == {
        "stem.0.weight",
        *(f"cells.0.{own}.weight" for own in ["older.1", "newer.1", "newer_again.1", *steps]),
        *(f"cells.1.{own}.weight" for own in ["older.1", "newer_again.1", *steps]),
        *(f"cells.1.edges.0-1-0-{SAME}.{own}.weight" for own in halved),
        *(f"cells.1.reductions.1.{own}.weight" for own in halved),
        *(f"cells.2.older.1.{own}.weight" for own in halved),
        *(f"cells.2.{own}.weight" for own in ["newer.1", "newer_again.1", *steps]),
    }
    # Of three states the last two are read; those of the first cell have 4 channels, the others 8.
    for name, width in [
        ("classifier.weight", 8),
        ("cells.2.newer.1.weight", 8),
        ("cells.2.older.1.even.weight", 4),
        ("cells.2.older.1.odd.weight", 4),
    ]:
        assert found[name].shape[1] == 3 * width
        assert not found[name][:, :width].any()
        assert found[name][:, width:].flatten(1).any(0).all()


def test_a_block_of_columns_belongs_to_one_state() -> None:
    linear = nn.Linear(8, 1, bias=False)
    linear.weight.data = torch.arange(8.0)[None]
    found = Columns(blocks=(0, 2), width=2).of(linear, "classifier", "weight")
    assert found["classifier.weight"].tolist() == [[0.0, 1.0, 4.0, 5.0]]


def test_batches_are_normalised_by_themselves_and_nothing_is_remembered() -> None:
    network = shared(auxiliary=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    training = network(drawn(0), images())
    assert torch.equal(network.eval()(drawn(0), images()), training)
    after = network.state_dict()
    assert after.keys() == before.keys() and not [name for name in after if "running" in name]
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_auxiliary_head_speaks_only_while_the_network_trains() -> None:
    network = shared(auxiliary=1)
    assert isinstance(network(drawn(0), images()), tuple)
    assert network.eval()(drawn(0), images()).shape == (3, 5)


def test_memory_does_not_grow_with_the_architectures() -> None:
    network = shared(auxiliary=1)

    def sample(seed: int) -> None:
        gradients(network, network(drawn(seed), images()))
        network.zero_grad()

    sample(0)
    before = live()
    for seed in range(1, 12):
        sample(seed)
    assert live() == before


def test_initial_weights_are_a_function_of_the_generator() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (shared(seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert not torch.equal(other["stem.0.weight"], first["stem.0.weight"])


def test_kernels_lie_with_channels_last() -> None:
    kernels = [p for p in shared().parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def test_there_is_one_module_for_each_choice() -> None:
    # 2 sides x (2 + 3 + 4) states x 5 operations, in 3 cells.
    network = shared()
    edges = [m for name, m in network.named_modules() if name.endswith(".edges")]
    assert [len(m) for m in edges if isinstance(m, nn.ModuleDict)] == [90] * 3
