"""NAO's encoder, predictor and decoder: tokens, shapes, lengths, and that decoding is always valid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.search.cell_space import NAO_CELL_OPERATIONS, CellSpace
from nas.search.nao_network import pooled, surrogate
from nas.search.space import Space
from tests.tiny_nao import CELLS, RECURRENT, SPACES, TINY, drawn, tiny
from training.dropout import set_noise
from training.noise import generator

spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@spaces
@pytest.mark.parametrize("together", [1, 2, 3])
def test_shapes_and_lengths(space: Space, together: int) -> None:
    config = tiny(tokens_per_step=together)
    network = surrogate(space, config, generator(0, "test")).eval()
    tokens = network.words.tokens(drawn(space, 3))
    encoded = network.encoder(tokens)
    assert encoded.shape == (3, -(-tokens.shape[1] // together), config.hidden)
    torch.testing.assert_close(encoded.norm(dim=-1), torch.ones(encoded.shape[:2]))
    torch.testing.assert_close(pooled(encoded).norm(dim=-1), torch.ones(3))
    predicted, logits = network(tokens)
    assert logits.shape == (*tokens.shape, network.words.size)
    assert ((predicted > 0) & (predicted < 1)).all()
    torch.testing.assert_close(predicted, network.predict(encoded))


def test_an_embedding_written_out() -> None:
    encoded = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]])
    half = 0.5**0.5
    torch.testing.assert_close(pooled(encoded), torch.tensor([[half, half], [0.6, 0.8]]))


def test_teacher_forcing_sees_only_what_came_before() -> None:
    network = surrogate(CELLS, TINY, generator(0, "test")).eval()
    tokens = network.words.tokens(drawn(CELLS, 2))
    encoded = network.encoder(tokens[:1])
    state = (pooled(encoded)[None], pooled(encoded)[None])
    logits = [network.decoder(row[None], encoded, state)[0] for row in tokens]
    same = int((tokens[0] != tokens[1]).nonzero()[0])
    torch.testing.assert_close(logits[0][:, :same], logits[1][:, :same])
    assert not torch.equal(logits[0][:, same:], logits[1][:, same:])


@spaces
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([0.0, 1.0, 1e4]))
@settings(max_examples=15, deadline=None)
def test_every_state_decodes_to_an_architecture(space: Space, seed: int, scale: float) -> None:
    draws = torch.Generator().manual_seed(seed)
    network = surrogate(space, TINY, draws).eval()
    for row in network.decode(scale * torch.randn(4, 3, TINY.hidden, generator=draws)):
        assert space.genotype(row)


def test_initial_weights_are_a_function_of_the_generator() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (surrogate(RECURRENT, TINY, generator(seed, "test")) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    for (name, a), b, c in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert not torch.equal(a, c), name


def test_dropout_follows_seed_and_step() -> None:
    network = surrogate(CELLS, TINY, generator(0, "test"))
    tokens = network.words.tokens(drawn(CELLS, 3))
    seen = []
    for seed, step in [(0, 0), (0, 0), (0, 1), (1, 0)]:
        set_noise(network, seed, step)
        seen.append(network(tokens)[0])
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[3])


@pytest.mark.parametrize("split", [False, True])
def test_kinds_and_kernels_that_are_decoded_go_together(split: bool) -> None:
    space = CellSpace(nodes=2, operations=NAO_CELL_OPERATIONS)
    config = tiny(split_operations=split, tokens_per_step=3 if split else 2)
    network = surrogate(space, config, generator(0, "test")).eval()
    source = generator(1, "states")
    # Far from what was learned, of which there is nothing.
    encoded = torch.randn(200, 8, config.hidden, generator=source)
    rows = network.decode(encoded)
    assert len(set(rows)) > 20
    for row in rows:
        space.genotype(row)
    assert network.encoder(network.words.tokens(rows)).shape == (200, 8, config.hidden)
