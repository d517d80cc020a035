"""Shared weights of recurrent cells: as the stand-alone language model, and only on the path."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.language_model import LanguageModel
from nas.recurrent.searched_language_model import searched_language_model
from nas.search.recurrent_space import RecurrentSpace
from nas.search.shared import SharedNetwork, shared_network
from nas.search.space import random_choices
from tests.shared_checks import assert_as_alone, gradients, live
from training.dropout import noise_sites
from training.errors import LotteryError
from training.noise import generator
from training.specs import ImageSpec, TextSpec

SPEC = TextSpec(vocabulary=11)
SPACE = RecurrentSpace(nodes=4)
DROPOUTS = {
    "dropout_embedding": 0.1,
    "dropout_input": 0.2,
    "dropout_cell_input": 0.3,
    "dropout_cell_state": 0.25,
    "dropout_output": 0.4,
}
NONE = dict.fromkeys(DROPOUTS, 0.0)
WORDS = sorted(SPACE.activations)


def shared(space: RecurrentSpace = SPACE, dropouts: dict[str, float] = NONE) -> SharedNetwork:
    sizes = {"hidden": 6, **dropouts}
    return shared_network(space, sizes, SPEC, generator(0, "initial weights")).double()


def alone(genotype: RecurrentGenotype, dropouts: dict[str, Any] = NONE) -> LanguageModel:
    return searched_language_model(SPEC, genotype=genotype, hidden=6, **dropouts).double()


def tokens() -> Tensor:
    return torch.randint(11, (5, 3), generator=generator(0, "tokens"))


def drawn(seed: int, space: RecurrentSpace = SPACE) -> RecurrentGenotype:
    return space.genotype(random_choices(space, Random(seed)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "space", [SPACE, RecurrentSpace(nodes=5, first="tanh", output="nodes"), RecurrentSpace(nodes=1)]
)
def test_it_is_the_stand_alone_language_model(space: RecurrentSpace, seed: int) -> None:
    genotype = drawn(seed, space)
    network = shared(space, DROPOUTS)
    state = torch.randn(3, 6, generator=generator(0, "state"), dtype=torch.double)
    assert_as_alone(network, alone(genotype, DROPOUTS), genotype, tokens(), (state,))


def test_what_draws_bears_the_stand_alone_names() -> None:
    assert noise_sites(shared()).keys() == noise_sites(alone(drawn(0))).keys()


@pytest.mark.parametrize("node", range(1, 4))
def test_every_state_that_a_node_reads_has_its_own_matrix(node: int) -> None:
    network = shared()
    for previous in range(node):
        for word in WORDS:
            nodes = [(0, "sigmoid")] * 3
            nodes[node - 1] = (previous, word)
            output = tuple({*range(4)} - {source for source, _ in nodes})
            genotype = RecurrentGenotype(first="relu", nodes=tuple(nodes), output=output)
            state = network.initial_state(3)
            found = assert_as_alone(network, alone(genotype), genotype, tokens(), state)
            pairs = {f"{source}-{number}" for number, (source, _) in enumerate(nodes, start=1)}
            assert found.keys() == {
                "embedding.weight",
                *("cores.0.weight_input", "cores.0.weight_hidden"),
                *(f"weight_nodes.{pair}" for pair in pairs),
            }


def test_dropouts_are_off_in_scoring() -> None:
    network = shared(dropouts=DROPOUTS).eval()
    state = network.initial_state(3)
    first, again = (network(drawn(1), tokens(), state) for _ in range(2))
    assert torch.equal(first.logits, again.logits)
    assert torch.equal(first.raw, first.dropped)


def test_the_first_state_is_zero() -> None:
    (state,) = shared().initial_state(2)
    assert torch.equal(state, torch.zeros(2, 6, dtype=torch.double))


@pytest.mark.parametrize(
    ("hidden", "initial", "bound"),
    # `_build_params` of ptb_enas_child.py, by the width; INITRANGE of NAO-WS/rnn.
    [(6, None, 0.1), (401, None, 0.04), (6, 0.04, 0.04)],
)
def test_all_matrices_begin_as_in_the_releases(
    hidden: int, initial: float | None, bound: float
) -> None:
    space, sizes = RecurrentSpace(nodes=4), {"hidden": hidden}
    network = shared_network(space, sizes, SPEC, generator(0, "initial weights"), initial)
    named = {name: p.detach() for name, p in network.named_parameters()}
    for name, parameter in named.items():
        assert 0.8 * bound < float(parameter.abs().max()) <= bound, name
    # Six pairs of a node and a state before it.
    assert len(named) == 3 + 6


def test_memory_does_not_grow_with_the_architectures() -> None:
    network = shared(dropouts=DROPOUTS)

    def sample(seed: int) -> None:
        gradients(network, network(drawn(seed), tokens(), network.initial_state(3)))
        network.zero_grad()

    sample(0)
    before = live()
    for seed in range(1, 12):
        sample(seed)
    assert live() == before


def test_a_space_is_for_one_kind_of_data() -> None:
    images = ImageSpec(channels=3, height=8, width=8, classes=5)
    with pytest.raises(LotteryError, match="not for images; choose the space cell or layers"):
        shared_network(SPACE, {}, images, generator(0, "initial weights"))


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(LotteryError, match="no size"):
        shared_network(SPACE, {"hiden": 6}, SPEC, generator(0, "initial weights"))
