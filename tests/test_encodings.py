"""Rows of integers: worked texts, round trips, and errors that name the position."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genotypes.convolutional_encodings import (
    ENAS_MICRO_OPERATIONS,
    NAO_OPERATIONS,
    parse_enas_macro,
    parse_enas_micro,
    parse_nao,
    print_enas_macro,
    print_enas_micro,
    print_nao,
)
from nas.genotypes.integer_rows import MAX_CHARACTERS
from nas.genotypes.values import (
    CONV_OPERATIONS,
    LAYER_OPERATIONS,
    MAX_LAYERS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    Layer,
    LayerwiseGenotype,
)
from tests.random_texts import layerwise_genotypes, pairs_of_cells, rows
from training.errors import LotteryError

PARSERS: list[Callable[[str], object]] = [
    parse_enas_micro,
    parse_nao,
    parse_enas_macro,
]


def test_micro_text_as_words() -> None:
    genotype = parse_enas_micro("0 2 0 0  2 4 1 3    1 1 1 1  0 4 0 2")
    assert genotype.normal.nodes == (
        ((0, "average-3x3"), (0, "separable-3x3")),
        ((2, "identity"), (1, "max-3x3")),
    )
    assert genotype.normal.output == (3,)
    assert genotype.reduction.nodes == (
        ((1, "separable-5x5"), (1, "separable-5x5")),
        ((0, "identity"), (0, "average-3x3")),
    )
    assert genotype.reduction.output == (2, 3)


def test_nao_text_as_words() -> None:
    # The averages 14 and 15 count padded pixels, 2 and 13 are words of their own.
    genotype = parse_nao("0 14 1 15  1 13 0 2    0 8 1 9  2 10 2 12")
    assert genotype.normal.nodes == (
        ((0, "average-3x3-padded"), (1, "average-5x5-padded")),
        ((1, "average-2x2"), (0, "average-3x3")),
    )
    assert genotype.normal.output == (2, 3)
    assert genotype.reduction.nodes == (
        ((0, "convolution-1x3-3x1"), (1, "convolution-1x7-7x1")),
        ((2, "max-2x2"), (2, "max-5x5")),
    )
    assert genotype.reduction.output == (3,)


def test_nao_has_two_numbers_for_two_words() -> None:
    assert parse_nao("0 4 1 3  0 0 1 1") == parse_nao("0 5 1 11  0 0 1 1")
    # Both cells count: a convolution anywhere makes it a text of the larger space.
    assert print_nao(parse_nao("0 5 1 11  0 0 1 1")) == "0 4 1 3 0 0 1 1"
    assert print_nao(parse_nao("0 4 1 3  0 6 1 6")) == "0 5 1 11 0 6 1 6"


def test_macro_text_as_words() -> None:
    # Layer 1 has no skip; layer 2 may skip from the stem; layer 3 from the stem and layer 1.
    genotype = parse_enas_macro("0  3 0  5 1 1  4 0 0 1")
    assert genotype == LayerwiseGenotype(
        layers=(
            Layer(operation="convolution-3x3", skips=()),
            Layer(operation="separable-5x5", skips=()),
            Layer(operation="max-3x3", skips=(0, 1)),
            Layer(operation="average-3x3", skips=(2,)),
        )
    )
    assert print_enas_macro(genotype) == "0 3 0 5 1 1 4 0 0 1"


@given(pairs_of_cells(list(ENAS_MICRO_OPERATIONS.values())))
def test_micro_round_trip(genotype: ConvCellGenotype) -> None:
    text = print_enas_micro(genotype)
    assert parse_enas_micro(text) == genotype
    assert print_nao(genotype) == text


@given(pairs_of_cells(sorted(set(NAO_OPERATIONS.values()))))
def test_nao_round_trip(genotype: ConvCellGenotype) -> None:
    assert parse_nao(print_nao(genotype)) == genotype


@given(layerwise_genotypes())
def test_macro_round_trip(genotype: LayerwiseGenotype) -> None:
    assert parse_enas_macro(print_enas_macro(genotype)) == genotype


@given(st.one_of(st.text(max_size=60), rows()))
def test_any_text_is_read_or_refused_clearly(text: str) -> None:
    for parse in PARSERS:
        try:
            parse(text)
        except LotteryError as error:
            assert "text" in str(error)


@pytest.mark.parametrize("parse", [parse_enas_micro, parse_nao])
def test_the_largest_cells(parse: Callable[[str], object]) -> None:
    parse("0 " * 8 * MAX_NODES)
    with pytest.raises(LotteryError, match="has 65 nodes, and at most 64 are possible"):
        parse("0 " * 8 * (MAX_NODES + 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0 2 0 0 1 1 9 1",
            "Item 7 of the ENAS micro text is 9, but an input of this node is 0 to 1",
        ),
        ("0 2 0 5 1 1 1 1", "Item 4 of the ENAS micro text is 5, but an operation is one of 0 sep"),
        ("0 2 0 0 1 1 x 1", "Item 7 of the ENAS micro text is 'x'"),
        ("0 2 0 -1 1 1 1 1", "Item 4 of the ENAS micro text is '-1'"),
        ("0 2 0 0 1 1 1", "has 7 integers, but it needs 8 for each node"),
        ("0 2 0 ² 1 1 1 1", "Item 4 of the ENAS micro text is '²'"),
        ("", "has 0 integers"),
        ("0 " * MAX_CHARACTERS, "has 20,000 characters"),
        ("0 0 0 0 " * 2 * (MAX_NODES + 1), "has 65 nodes, and at most 64"),
    ],
)
def test_micro_errors(text: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_enas_micro(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 integers, but it needs 1 for the first layer"),
        ("0 3", "has 2 integers, but it needs 1 for the first layer"),
        ("0 3 2", "Item 3 of the ENAS macro text is 2, but a skip is 0 or 1"),
        ("0 6 0", "Item 2 of the ENAS macro text is 6, but an operation is one of 0 conv"),
        (
            "0 " * (MAX_LAYERS + 1) * (MAX_LAYERS // 2 + 1),
            "has 65 layers, and at most 64 are possible",
        ),
    ],
)
def test_macro_errors(text: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_enas_macro(text)
    assert message in str(caught.value)


def test_the_longest_macro_text_is_read() -> None:
    layers = parse_enas_macro("0 " * (MAX_LAYERS * (MAX_LAYERS + 1) // 2)).layers
    assert len(layers) == MAX_LAYERS


def test_nao_errors() -> None:
    with pytest.raises(LotteryError, match="Item 8 of the NAO text is 16, but an operation is one"):
        parse_nao("0 0 0 0 0 0 0 16")


def test_what_a_text_cannot_say_is_refused() -> None:
    nodes = (((0, "identity"), (1, "identity")),)
    one = CellGraph(nodes=nodes, output=(2,))
    two = CellGraph(nodes=nodes * 2, output=(2, 3))
    wide = CellGraph(nodes=nodes, output=(0, 2))
    dilated = CellGraph(nodes=(((0, "dilated-3x3"), (1, "identity")),), output=(2,))
    for print_text in (print_enas_micro, print_nao):
        with pytest.raises(ValueError, match="same number"):
            print_text(ConvCellGenotype(normal=one, reduction=two))
        with pytest.raises(ValueError, match="loose ends"):
            print_text(ConvCellGenotype(normal=one, reduction=wide))
        with pytest.raises(ValueError, match="no number for dilated-3x3"):
            print_text(ConvCellGenotype(normal=dilated, reduction=one))


def test_numberings_name_known_words() -> None:
    assert list(NAO_OPERATIONS) == list(range(16))
    assert set(NAO_OPERATIONS.values()) <= CONV_OPERATIONS
    # Every word of a layer has a number, so that each network can be printed.
    print_enas_macro(
        LayerwiseGenotype(
            layers=tuple(Layer(operation=word, skips=()) for word in sorted(LAYER_OPERATIONS))
        )
    )
