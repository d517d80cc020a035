"""Architectures as tokens: sizes, written out, and back."""

from __future__ import annotations

import pytest
import torch

from nas.search.cell_space import NAO_CELL_OPERATIONS, CellSpace
from nas.search.layer_space import LayerSpace
from nas.search.nao_config import NAO_DEFAULTS
from nas.search.nao_vocabulary import START, vocabulary
from nas.search.recurrent_space import RecurrentSpace
from nas.search.space import Space
from tests.tiny_nao import SPACES, drawn

NAO_CELLS = CellSpace(operations=NAO_CELL_OPERATIONS)
CASES = [*((space, False) for space in SPACES.values()), (NAO_CELLS, False), (NAO_CELLS, True)]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (CellSpace(), 12),  # NAO-WS/cnn: start, states 0 to 5, five operations
        (RecurrentSpace(first="tanh"), 16),  # NAO/rnn: start, states 0 to 10, four activations
        (LayerSpace(), 9),  # start, six operations, skip or not
    ],
)
def test_sizes_of_the_vocabularies(space: Space, size: int) -> None:
    assert vocabulary(space).size == size


def test_tokens_written_out() -> None:
    words = vocabulary(CellSpace(nodes=1))
    # 0 starts, 1 and 2 are the inputs, 3 to 7 the operations.
    row = (0, 2, 1, 4, 1, 0, 0, 3)
    assert words.tokens([row]).tolist() == [[1, 5, 2, 7, 2, 3, 1, 6]]
    assert words.allowed()[0, START].tolist() == [False, True, True, *[False] * 5]
    assert words.allowed()[1].tolist() == [[*[False] * 3, *[True] * 5]] * 8


@pytest.mark.parametrize(("space", "split"), CASES)
def test_tokens_and_back(space: Space, *, split: bool) -> None:
    words, rows = vocabulary(space, split=split), drawn(space, 20)
    tokens = words.tokens(rows)
    assert words.choices(tokens) == rows
    before = torch.nn.functional.pad(tokens[:, :-1], (1, 0), value=START)
    assert words.allowed()[torch.arange(tokens.shape[1]), before, tokens].all()
    assert START not in tokens
    assert int(tokens.max()) < words.size


def test_an_operation_of_two_tokens_written_out() -> None:
    words = vocabulary(CellSpace(nodes=1, operations=NAO_CELL_OPERATIONS), split=True)
    # 1 and 2 are the inputs; identity, convolution, max and average 3 to 6; kernels 1x1, 3x3, 1x3, 1x7, 2x2, 5x5 then.
    identity, pointwise, average = (0, 0), (1, 1), (0, 10)
    row = (*identity, *pointwise, *average, *identity)
    assert words.tokens([row]).tolist() == [
        [*(1, 3, 7), *(2, 4, 7), *(1, 6, 12), *(1, 3, 7)],
    ]
    assert words.size == 13
    allowed = words.allowed()
    assert allowed.shape == (12, 13, 13)
    # After an identity only its kernel, after a maximum 3x3, 2x2 and 5x5.
    assert allowed[2, 3].nonzero().flatten().tolist() == [7]
    assert allowed[2, 5].nonzero().flatten().tolist() == [8, 11, 12]


def test_an_edge_is_read_at_once_as_in_the_release() -> None:
    config = NAO_DEFAULTS["cell", False]
    words = vocabulary(NAO_CELLS, split=config.split_operations)
    (row,) = words.tokens(drawn(NAO_CELLS, 1))
    # epd/train.sh: source_length 60, encoder_length 20, and embeddings of 32 for an LSTM that reads 96.
    assert (len(row), len(row) / config.tokens_per_step) == (60, 20)
    assert config.tokens_per_step * config.embedding == 96


def test_other_spaces_have_no_kernels() -> None:
    with pytest.raises(ValueError, match="only operations of cells"):
        vocabulary(LayerSpace(), split=True)
