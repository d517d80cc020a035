"""Recurrent rows of integers: worked texts, round trips, and errors that name the position."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genotypes.integer_rows import MAX_CHARACTERS
from nas.genotypes.recurrent_encodings import (
    ENAS_LM_ACTIVATIONS,
    ENAS_RNN_ACTIVATIONS,
    NAO_RNN_ACTIVATIONS,
    NAO_WS_RNN_ACTIVATIONS,
    parse_enas_lm,
    parse_enas_rnn,
    parse_nao_rnn,
    parse_nao_ws_rnn,
    print_enas_lm,
    print_enas_rnn,
    print_nao_rnn,
    print_nao_ws_rnn,
)
from nas.genotypes.values import ACTIVATIONS, MAX_NODES, RecurrentGenotype, recurrent_loose_ends
from tests.random_texts import recurrent_nodes, rows
from training.errors import LotteryError

Parse = Callable[[str], RecurrentGenotype]
Print = Callable[[RecurrentGenotype], str]
# Those with tanh first and all searched nodes as output.
SEARCHED: list[tuple[str, Parse, Print]] = [
    ("enas_lm", parse_enas_lm, print_enas_lm),
    ("NAO recurrent", parse_nao_rnn, print_nao_rnn),
    ("NAO-WS recurrent", parse_nao_ws_rnn, print_nao_ws_rnn),
]
PARSERS: list[Parse] = [parse_enas_rnn, *(parse for _, parse, _ in SEARCHED)]


def test_the_same_digit_means_different_activations() -> None:
    # 2 and 3 are swapped between the two releases of each group.
    one, other = ((0, "identity"), (0, "sigmoid")), ((0, "sigmoid"), (0, "identity"))
    assert parse_enas_rnn("0 0 2 0 3").nodes == parse_nao_rnn("0 2 0 3").nodes == one
    assert parse_enas_lm("0 2 0 3").nodes == parse_nao_ws_rnn("0 2 0 3").nodes == other


def test_outputs() -> None:
    # A chain 0 -> 1 -> 2 and a branch 1 -> 3: loose ends 2 and 3, searched nodes 1, 2 and 3.
    assert parse_enas_rnn("1 0 0 1 1 1 0").output == (2, 3)
    for _, parse, _ in SEARCHED:
        assert parse("0 0 1 1 1 0").output == (1, 2, 3)
    assert parse_enas_rnn("1").output == (0,)


def test_the_first_activation_is_searched_in_enas_only() -> None:
    assert parse_enas_rnn("1 0 0").first == "relu"
    for _, parse, _ in SEARCHED:
        assert parse("0 0").first == "tanh"


@given(recurrent_nodes(least=0), st.sampled_from(sorted(ACTIVATIONS)))
def test_enas_round_trip(nodes: tuple[tuple[int, str], ...], first: str) -> None:
    genotype = RecurrentGenotype(first=first, nodes=nodes, output=recurrent_loose_ends(nodes))
    assert parse_enas_rnn(print_enas_rnn(genotype)) == genotype


@given(recurrent_nodes(least=1))
def test_searched_round_trip(nodes: tuple[tuple[int, str], ...]) -> None:
    output = tuple(range(1, len(nodes) + 1))
    genotype = RecurrentGenotype(first="tanh", nodes=nodes, output=output)
    for _, parse, print_text in SEARCHED:
        assert parse(print_text(genotype)) == genotype


@given(st.one_of(st.text(max_size=60), rows()))
def test_any_text_is_read_or_refused_clearly(text: str) -> None:
    for parse in PARSERS:
        try:
            parse(text)
        except LotteryError as error:
            assert "text" in str(error)


def test_the_largest_cells() -> None:
    # State 0 is a node too, which ENAS writes and the others leave out.
    assert len(parse_enas_rnn("0 " * (2 * MAX_NODES - 1)).nodes) == MAX_NODES - 1
    with pytest.raises(LotteryError, match="has 65 nodes, and at most 64 are possible"):
        parse_enas_rnn("0 " * (2 * MAX_NODES + 1))
    for _, parse, _ in SEARCHED:
        assert len(parse("0 " * 2 * (MAX_NODES - 1)).nodes) == MAX_NODES - 1
        with pytest.raises(LotteryError, match="has 64 nodes, and at most 63 are possible"):
            parse("0 " * 2 * MAX_NODES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "Item 1 of the ENAS recurrent text is 4, but an activation is one of 0 tanh, 1 relu"),
        (
            "0 0 0 2 0",
            "Item 4 of the ENAS recurrent text is 2, but an input of this node is 0 to 1",
        ),
        ("0 0", "has 2 integers, but it needs 1 and 2"),
        ("", "has 0 integers"),
        ("0 0 x", "Item 3 of the ENAS recurrent text is 'x'"),
        ("0 " * MAX_CHARACTERS, "has 20,000 characters"),
    ],
)
def test_enas_errors(text: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_enas_rnn(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(("kind", "parse"), [(kind, parse) for kind, parse, _ in SEARCHED])
def test_searched_errors(kind: str, parse: Parse) -> None:
    for text, message in (
        ("0 4", f"Item 2 of the {kind} text is 4, but an activation is one of 0 tanh, 1 relu, 2 "),
        ("1 0", f"Item 1 of the {kind} text is 1, but an input of this node is 0 to 0;"),
        ("0 0 1", f"The {kind} text has 3 integers, but it needs 2 for each node"),
        ("", f"The {kind} text has 0 integers"),
    ):
        with pytest.raises(LotteryError) as caught:
            parse(text)
        assert message in str(caught.value)


def test_what_a_text_cannot_say_is_refused() -> None:
    for _, parse, print_text in SEARCHED:
        for text in ("0 0 0 1 0", "1 0 0", "0"):
            with pytest.raises(ValueError, match="tanh first and all searched nodes"):
                print_text(parse_enas_rnn(text))
        with pytest.raises(ValueError, match="loose ends"):
            print_enas_rnn(parse("0 0 1 0"))


def test_numberings_name_every_activation() -> None:
    for numbering in (
        ENAS_RNN_ACTIVATIONS,
        ENAS_LM_ACTIVATIONS,
        NAO_RNN_ACTIVATIONS,
        NAO_WS_RNN_ACTIVATIONS,
    ):
        assert list(numbering) == [0, 1, 2, 3]
        assert set(numbering.values()) == ACTIVATIONS
