"""Genotypes: worked texts, round trips, and errors that name the position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genotypes import (
    ENAS_LM_ACTIVATIONS,
    ENAS_MICRO_OPERATIONS,
    ENAS_RNN_ACTIVATIONS,
    MAX_CHARACTERS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    RecurrentGenotype,
    parse_enas_lm,
    parse_enas_micro,
    parse_enas_rnn,
    print_enas_lm,
    print_enas_micro,
    print_enas_rnn,
    recurrent_loose_ends,
)
from training.errors import LotteryError


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


def test_an_unread_input_is_a_loose_end() -> None:
    graph = CellGraph(nodes=(((1, "identity"), (1, "identity")),))
    assert graph.output == (0, 2)


def test_the_same_digit_means_different_activations() -> None:
    # 2 and 3 are swapped between the two releases.
    release = parse_enas_rnn("0 0 2 0 3")
    corrected = parse_enas_lm("0 2 0 3")
    assert release.nodes == ((0, "identity"), (0, "sigmoid"))
    assert corrected.nodes == ((0, "sigmoid"), (0, "identity"))


def test_recurrent_outputs() -> None:
    # A chain 0 -> 1 -> 2 and a branch 1 -> 3: loose ends 2 and 3, searched nodes 1, 2 and 3.
    assert parse_enas_rnn("1 0 0 1 1 1 0").output == (2, 3)
    assert parse_enas_lm("0 0 1 1 1 0").output == (1, 2, 3)
    assert parse_enas_rnn("1").output == (0,)
    assert recurrent_loose_ends([(0, "tanh"), (0, "relu")]) == (1, 2)


@st.composite
def cells(draw: st.DrawFn, nodes: int) -> CellGraph:
    def edge(state: int) -> tuple[int, str]:
        source = draw(st.integers(0, state - 1))
        return source, draw(st.sampled_from(ENAS_MICRO_OPERATIONS))

    return CellGraph(nodes=tuple((edge(state), edge(state)) for state in range(2, nodes + 2)))


@st.composite
def micro_genotypes(draw: st.DrawFn) -> ConvCellGenotype:
    nodes = draw(st.integers(1, 7))
    return ConvCellGenotype(normal=draw(cells(nodes)), reduction=draw(cells(nodes)))


@st.composite
def recurrent_nodes(draw: st.DrawFn, least: int) -> tuple[tuple[int, str], ...]:
    count = draw(st.integers(least, 12))
    words = st.sampled_from(ENAS_RNN_ACTIVATIONS)
    return tuple((draw(st.integers(0, index)), draw(words)) for index in range(count))


@given(micro_genotypes())
def test_micro_round_trip(genotype: ConvCellGenotype) -> None:
    assert parse_enas_micro(print_enas_micro(genotype)) == genotype


@given(recurrent_nodes(least=0), st.sampled_from(ENAS_RNN_ACTIVATIONS))
def test_rnn_round_trip(nodes: tuple[tuple[int, str], ...], first: str) -> None:
    genotype = RecurrentGenotype(first=first, nodes=nodes, output=recurrent_loose_ends(nodes))
    assert parse_enas_rnn(print_enas_rnn(genotype)) == genotype


@given(recurrent_nodes(least=1))
def test_lm_round_trip(nodes: tuple[tuple[int, str], ...]) -> None:
    output = tuple(range(1, len(nodes) + 1))
    genotype = RecurrentGenotype(first="tanh", nodes=nodes, output=output)
    assert parse_enas_lm(print_enas_lm(genotype)) == genotype


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_clearly(text: str) -> None:
    for parse in (parse_enas_micro, parse_enas_rnn, parse_enas_lm):
        try:
            parse(text)
        except LotteryError as error:
            assert "text" in str(error)


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


def test_recurrent_errors() -> None:
    with pytest.raises(LotteryError, match="Item 1 of the ENAS recurrent text is 4, but an act"):
        parse_enas_rnn("4")
    with pytest.raises(LotteryError, match="Item 4 of the ENAS recurrent text is 2.*0 to 1;"):
        parse_enas_rnn("0 0 0 2 0")
    with pytest.raises(LotteryError, match="has 2 integers, but it needs 1 and 2"):
        parse_enas_rnn("0 0")
    with pytest.raises(LotteryError, match="Item 2 of the enas_lm text is 4.*2 sigmoid, 3 ident"):
        parse_enas_lm("0 4")


def test_values_are_checked() -> None:
    with pytest.raises(ValueError, match="0 to 1, not 2"):
        CellGraph(nodes=(((2, "identity"), (0, "identity")),))
    with pytest.raises(ValueError, match="'tanh' is none of"):
        CellGraph(nodes=(((0, "tanh"), (0, "identity")),))
    with pytest.raises(ValueError, match="1 to 64 nodes, not 0"):
        CellGraph(nodes=())
    with pytest.raises(ValueError, match="0 to 0, not 1"):
        RecurrentGenotype(first="tanh", nodes=((1, "relu"),), output=(1,))
    for output in ((), (1, 0), (0, 2)):
        with pytest.raises(ValueError):
            RecurrentGenotype(first="tanh", nodes=((0, "relu"),), output=output)


def test_what_a_text_cannot_say_is_refused() -> None:
    one, two = (CellGraph(nodes=(((0, "identity"), (1, "identity")),) * n) for n in (1, 2))
    with pytest.raises(ValueError, match="same number"):
        print_enas_micro(ConvCellGenotype(normal=one, reduction=two))
    ends = parse_enas_rnn("0 0 0 1 0")
    with pytest.raises(ValueError, match="all searched nodes"):
        print_enas_lm(ends)
    with pytest.raises(ValueError, match="loose ends"):
        print_enas_rnn(parse_enas_lm("0 0 1 0"))


def test_numberings_name_the_same_activations() -> None:
    assert set(ENAS_LM_ACTIVATIONS) == set(ENAS_RNN_ACTIVATIONS)
