"""Published genotypes and their entries, against what their sources say of them."""

from __future__ import annotations

from collections import Counter

import pytest

from nas.catalog.entry import check_size
from nas.catalog.searched_images import SEARCHED
from nas.catalog.searched_text import TEXT
from nas.genotypes.convolutional_encodings import NAO_OPERATIONS, print_nao
from nas.genotypes.published import (
    AMOEBANET_A,
    DARTS_RNN_V1,
    DARTS_RNN_V2,
    DARTS_V1,
    DARTS_V2,
    ENAS_LM,
    ENAS_MACRO,
    ENAS_MICRO,
    ENAS_MICRO_PAPER,
    ENAS_RNN,
    NAO_RNN,
    NAO_V2,
    NAO_WS_CNN,
    NAO_WS_RNN,
    NAONET_A,
    NAONET_B,
    NASNET_A,
    PNASNET_5,
)
from nas.genotypes.recurrent_encodings import (
    parse_enas_lm,
    print_enas_lm,
    print_enas_rnn,
    print_nao_rnn,
    print_nao_ws_rnn,
)
from nas.genotypes.values import ConvCellGenotype, LayerwiseGenotype, RecurrentGenotype
from training.specs import ImageSpec


def test_enas_micro_cell() -> None:
    # The release writes out which nodes are concatenated: 2 to 6, and 2, 4, 5, 6.
    assert ENAS_MICRO.normal.output == (2, 3, 4, 5, 6)
    assert ENAS_MICRO.reduction.output == (2, 4, 5, 6)
    assert ENAS_MICRO.normal.nodes[0] == ((0, "average-3x3"), (0, "separable-3x3"))
    assert ENAS_MICRO.reduction.nodes[1] == ((0, "max-3x3"), (0, "average-3x3"))


def test_enas_cell_of_the_paper() -> None:
    assert ENAS_MICRO_PAPER.normal.nodes[0] == ((1, "separable-3x3"), (1, "identity"))
    assert ENAS_MICRO_PAPER.normal.nodes[4] == ((1, "separable-5x5"), (0, "average-3x3"))
    assert ENAS_MICRO_PAPER.reduction.nodes[4] == ((5, "separable-3x3"), (0, "separable-5x5"))
    # Nodes 5 and 6 of the reduction cell form a chain behind node 4.
    assert ENAS_MICRO_PAPER.reduction.output == (2, 3, 6)


def test_enas_macro_network() -> None:
    layers = ENAS_MACRO.layers
    # Counted in cifar10_macro_final.sh.
    assert Counter(layer.operation for layer in layers) == {
        "convolution-3x3": 8,
        "separable-3x3": 2,
        "convolution-5x5": 9,
        "separable-5x5": 5,
    }
    assert len(layers) == 24
    assert sum(len(layer.skips) for layer in layers) == 98
    # The line "3 1 1 0 1 0": the sixth layer joins the stem and the layers 1 and 3.
    assert (layers[5].operation, layers[5].skips) == ("separable-5x5", (0, 1, 3))


@pytest.mark.parametrize(
    ("genotype", "numbers"),
    [
        (NAONET_A, "0 7 1 15 2 8 1 7 0 6 1 7 0 8 4 7 1 5 0 7"),
        (NAONET_B, "0 1 0 2 0 1 2 2 1 3 0 2 4 0 1 3 2 1 0 3"),
        (NAO_WS_CNN, "0 1 0 4 2 2 1 3 1 0 2 0 2 3 1 3 1 2 0 4"),
        (NAO_V2, "1 1 0 1 2 4 0 0 0 0 2 1 0 0 0 2 0 3 0 0"),
    ],
)
def test_nao_cells_print_as_released(genotype: ConvCellGenotype, numbers: str) -> None:
    assert print_nao(genotype).startswith(numbers + " ")
    assert len(print_nao(genotype).split()) == 40


def test_naonet_a_draws_on_the_larger_space() -> None:
    cells = (NAONET_A.normal, NAONET_A.reduction)
    used = {operation for cell in cells for node in cell.nodes for _, operation in node}
    assert used <= {NAO_OPERATIONS[number] for number in range(5, 16)}
    # The pair that cnn/dag.py has the other way round.
    assert NAONET_A.reduction.nodes[2] == ((0, "convolution-1x7-7x1"), (1, "max-2x2"))
    assert NAONET_A.normal.output == (3, 5, 6)
    assert NAONET_A.reduction.output == (3, 4, 5, 6)


def test_darts_cells() -> None:
    assert DARTS_V1.normal.nodes[3] == ((0, "separable-3x3"), (2, "identity"))
    assert DARTS_V2.normal.nodes[3] == ((0, "identity"), (2, "dilated-3x3"))
    for genotype in (DARTS_V1, DARTS_V2):
        assert genotype.normal.output == genotype.reduction.output == (2, 3, 4, 5)


def test_outputs_need_not_be_the_loose_ends() -> None:
    # Of NASNet-A the reduction reads nodes 2 and 3; the AmoebaNet-A reduction concatenates node 3,
    # and its node 5 is read by node 6 only.
    assert NASNET_A.reduction.output == (4, 5, 6)
    assert AMOEBANET_A.normal.output == (4, 5, 6)
    assert AMOEBANET_A.reduction.output == (3, 4, 6)
    assert AMOEBANET_A.reduction.nodes[4] == ((0, "convolution-1x7-7x1"), (5, "separable-3x3"))
    # PNASNet-5 concatenates node 4, which node 5 reads.
    assert PNASNET_5.normal == PNASNET_5.reduction
    assert PNASNET_5.normal.output == (2, 3, 4, 5, 6)
    assert PNASNET_5.normal.nodes[3] == ((4, "separable-3x3"), (1, "max-3x3"))


def test_enas_recurrent_cells() -> None:
    assert len(ENAS_RNN.nodes) + 1 == 12
    assert ENAS_RNN.output == (3, 4, 7, 9, 10, 11)
    assert print_enas_rnn(ENAS_RNN) == "0 0 0 1 1 2 1 2 0 2 0 5 1 1 0 6 1 8 1 8 1 8 1"
    assert len(ENAS_LM.nodes) == 8
    assert ENAS_LM.output == (1, 2, 3, 4, 5, 6, 7, 8)
    assert print_enas_lm(ENAS_LM) == "0 2 1 0 2 1 2 2 4 0 5 0 3 2 6 2"


def test_nao_recurrent_cells() -> None:
    assert print_nao_rnn(NAO_RNN) == "0 1 0 1 1 1 3 0 4 1 4 1 5 1 1 1 7 1 1 1 1 2"
    assert print_nao_ws_rnn(NAO_WS_RNN) == "0 1 1 1 2 2 1 2 4 1 4 1 4 1 7 1 8 2 1 0 4 1"
    # The same digit 2: the last node of the one, the third of the other.
    assert NAO_RNN.nodes[10] == (1, "identity")
    assert NAO_WS_RNN.nodes[2] == (2, "sigmoid")
    for genotype in (NAO_RNN, NAO_WS_RNN):
        assert genotype.first == "tanh"
        assert genotype.output == tuple(range(1, 12))


def test_darts_recurrent_cells() -> None:
    for genotype in (DARTS_RNN_V1, DARTS_RNN_V2):
        assert genotype.first == "tanh"
        assert genotype.output == tuple(range(1, 9))
    assert DARTS_RNN_V1.nodes[5] == (1, "identity")
    # The README of enas_lm writes the second one in its own numbers.
    assert parse_enas_lm("0 2 1 1 1 1 1 3 2 0 5 2 3 0 5 1") == DARTS_RNN_V2


def test_enas_cell_is_the_one_that_darts_retrained() -> None:
    # `ENAS` in rnn/genotypes.py of quark0/darts numbers the nodes in another order, and leaves the
    # first tanh out.
    darts = RecurrentGenotype(
        first="tanh",
        nodes=(
            *((0, "tanh"), (1, "tanh"), (1, "relu"), (3, "tanh"), (3, "tanh"), (3, "relu")),
            *((4, "relu"), (7, "relu"), (8, "relu"), (8, "relu"), (8, "relu")),
        ),
        output=(2, 5, 6, 9, 10, 11),
    )
    assert tree(darts) == tree(ENAS_RNN)
    assert tree(darts) != tree(NAO_RNN)


def tree(genotype: RecurrentGenotype, state: int = 0) -> tuple[object, ...]:
    """The nodes that a state leads to, in an order that does not depend on their numbers."""
    words = (genotype.first, *(word for _, word in genotype.nodes))
    after = [n for n, (previous, _) in enumerate(genotype.nodes, 1) if previous == state]
    below = sorted((tree(genotype, n) for n in after), key=repr)
    return words[state], state in genotype.output, tuple(below)


def test_entries_say_what_they_are() -> None:
    names = [entry.name for entry in SEARCHED]
    assert len(set(names)) == len(names) == 15
    for entry in SEARCHED:
        assert entry.spec == ImageSpec(channels=3, height=32, width=32, classes=10)
        assert entry.source and entry.summary
        assert check_size(entry, {}) == entry.defaults
        if entry.name.startswith("random-"):
            assert entry.genotype is None and not entry.published
        else:
            assert entry.genotype is not None and entry.origin == "searched"
            assert all(result.value and result.source for result in entry.published)
            assert any("test error" in result.what for result in entry.published)


def test_entries_for_text_say_what_they_are() -> None:
    assert [entry.name for entry in TEXT if entry.origin == "searched"] == [
        *("enas-rnn", "enas-lm", "nao-rnn", "nao-ws-rnn", "darts-rnn-v1", "darts-rnn-v2")
    ]
    for entry in TEXT:
        assert check_size(entry, {}) == entry.defaults
        assert any("perplexity, " in result.what for result in entry.published) == (
            entry.origin == "searched"
        )
    sizes = {entry.name: entry.defaults for entry in TEXT}
    assert sizes["random-rnn"] == {**sizes["enas-rnn"], "seed": 0, "nodes": 12}
    # The two trainers are one, but for the dropout of words.
    assert sizes["darts-rnn-v1"] == {**sizes["nao-rnn"], "dropout_embedding": 0.1}


def test_sizes_fit_the_genotype() -> None:
    for entry in SEARCHED:
        layerwise = isinstance(entry.genotype, LayerwiseGenotype) or "layers" in entry.sizes
        assert ("normal_cells" in entry.sizes) != layerwise
        assert entry.defaults["channels"] == (96 if layerwise else 36)


def test_twenty_cells_of_darts() -> None:
    sizes = next(entry.defaults for entry in SEARCHED if entry.name == "darts-v2")
    # Three stages of 6 normal cells and the 2 reductions between them.
    assert sizes["normal_cells"] == 6 and sizes["reductions"] == 2
