"""DARTS genotypes as JSON: worked texts, round trips, and errors that name the position."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genotypes.darts_encoding import (
    DARTS_WORDS,
    parse_darts,
    parse_darts_recurrent,
    print_darts,
    print_darts_recurrent,
)
from nas.genotypes.darts_objects import MAX_CHARACTERS
from nas.genotypes.values import (
    CONV_OPERATIONS,
    MAX_NODES,
    CellGraph,
    ConvCellGenotype,
    RecurrentGenotype,
    recurrent_loose_ends,
)
from tests.random_texts import cells, recurrent_nodes
from training.errors import LotteryError

EDGE = ["skip_connect", 0]


def text(**changes: object) -> str:
    whole: dict[str, object] = {
        "normal": [["sep_conv_3x3", 1], ["none", 0], ["dil_conv_5x5", 2], ["conv_7x1_1x7", 0]],
        "normal_concat": [2, 3],
        "reduce": [["max_pool_3x3", 0], ["avg_pool_3x3", 1]],
        "reduce_concat": [0, 2],
    }
    return json.dumps(whole | changes)


def test_text_as_words() -> None:
    genotype = parse_darts(text())
    assert genotype.normal == CellGraph(
        nodes=(
            ((1, "separable-3x3"), (0, "none")),
            ((2, "dilated-5x5"), (0, "convolution-1x7-7x1")),
        ),
        output=(2, 3),
    )
    assert genotype.reduction == CellGraph(
        nodes=(((0, "max-3x3"), (1, "average-3x3")),), output=(0, 2)
    )
    assert print_darts(genotype) == text()


@st.composite
def genotypes(draw: st.DrawFn) -> ConvCellGenotype:
    words = list(DARTS_WORDS.values())
    normal, reduction = (
        draw(cells(words, nodes=draw(st.integers(1, 6)), any_output=True)) for _ in range(2)
    )
    return ConvCellGenotype(normal=normal, reduction=reduction)


@given(genotypes())
def test_round_trip(genotype: ConvCellGenotype) -> None:
    assert parse_darts(print_darts(genotype)) == genotype


# As cnn/genotypes.py and rnn/genotypes.py of quark0/darts write theirs.
PYTHON = """
SHORT = Genotype(normal=[('sep_conv_3x3', 1), ('none', 0), ("dil_conv_5x5", 2), ['conv_7x1_1x7', 0]],
  normal_concat = range(2, 4), reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1),], reduce_concat=[0, 2],)
"""
PYTHON_RECURRENT = "Genotype(recurrent=[('relu', 0), ('sigmoid', 1)], concat=range(1, 3))"


def test_python_is_read_as_json_is() -> None:
    assert parse_darts(PYTHON) == parse_darts(text())
    assert parse_darts_recurrent(PYTHON_RECURRENT) == parse_darts_recurrent(recurrent())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'none', 0", "'none', -1", "has '-' at line 2, column 56"),
        ("'none', 0", "'none', 1 + 1", "has '+' at line 2, column 58"),
        ("('none', 0)", "print('none')", "has 'print' at line 2, column 47, where only a text, an"),
        (
            "('none', 0)",
            "('none', 3)",
            "Item 2 of normal in the DARTS text is ['none', 3], but this",
        ),
        (
            "range(2, 4)",
            "range(2, 9999)",
            "has 'range' at line 3, column 19, where only a range of",
        ),
        (
            "range(2, 4)",
            "range(4, 2)",
            "where only a range of 1 to 100 states, such as range(2, 6)",
        ),
        ("range(2, 4)", "range(2)", "has ')' at line 3, column 26, where only ','"),
        ("normal_concat", "'normal_concat'", "has \"'normal_concat'\" at line 3, column 3"),
        ("normal_concat", "reduce", "has the key 'reduce' twice"),
        ("normal_concat", "normal_mean", "no key of the DARTS text 'normal_mean'"),
        ("[0, 2],)", "[0, 2]", "has the end at line 3, column 104, where only ')' is possible"),
        ("[0, 2],)", "[0, 2],).normal", "has '.' at line 3, column 106"),
        ("[0, 2],)", "[0, 2],) x", "has 'x' at line 3, column 107, where only the end of the text"),
        ("[0, 2],)", "[" * 40_000, "has '[' at line 3, column 102"),
        ("[0, 2],)", "9" * 5000, "has '9' at line 3"),
    ],
)
def test_python_beyond_a_genotype_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_darts(PYTHON.replace(old, new, 1))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.lists(st.sampled_from([*"()[]=,'", "normal", "range", " ", "2", "\n", "'none'"])))
def test_any_python_is_read_or_refused_clearly(tokens: list[str]) -> None:
    refused_or_read("Genotype(" + "".join(tokens))


def test_every_word_is_known_once() -> None:
    assert set(DARTS_WORDS.values()) <= CONV_OPERATIONS
    assert len(set(DARTS_WORDS.values())) == len(DARTS_WORDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
EDGES = st.lists(st.tuples(st.sampled_from([*DARTS_WORDS, "x"]), st.integers(-1, 4)) | JSON)


def refused_or_read(given_text: str) -> None:
    try:
        parse_darts(given_text)
    except LotteryError as error:
        assert "DARTS text" in str(error)


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_is_read_or_refused_clearly(given_text: str) -> None:
    refused_or_read(given_text)


@given(EDGES | JSON, JSON | st.lists(st.integers(-1, 5)))
def test_any_cell_is_read_or_refused_clearly(edges: object, concat: object) -> None:
    refused_or_read(text(normal=edges, normal_concat=concat))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal": [EDGE, ["skip_connect", 2]]}, "Item 2 of normal in the DARTS text is ['skip_"),
        ({"normal": [EDGE, ["skip_connect", 2]]}, "but this node reads a state from 0 to 1"),
        ({"normal": [EDGE, EDGE, EDGE, ["skip_connect", 3]]}, "Item 4 of normal"),
        ({"normal": [EDGE, ["skip_connect", True]]}, "a state from 0 to 1"),
        ({"normal": [EDGE, ["skip_connect", 1.0]]}, "a state from 0 to 1"),
        ({"normal": [EDGE, ["sep_conv_9x9", 0]]}, "an operation is one of avg_pool_3x3, conv_7x1"),
        ({"normal": [EDGE, [0, "skip_connect"]]}, "it must be an operation and a state"),
        ({"normal": [EDGE, "skip_connect"]}, "it must be an operation and a state"),
        ({"normal": [EDGE]}, "The normal of the DARTS text is 1 items, but it must be a list of"),
        ({"normal": []}, "The normal of the DARTS text is 0 items"),
        ({"normal": None}, "The normal of the DARTS text is None"),
        ({"normal": [EDGE] * 2 * (MAX_NODES + 1)}, "has 65 nodes, and at most 64 are possible"),
        ({"normal_concat": 3}, "The normal_concat of the DARTS text is 3"),
        ({"normal_concat": []}, "The normal_concat of the DARTS text is []"),
        ({"normal_concat": [2, 4]}, "Item 2 of normal_concat in the DARTS text is 4, but the st"),
        ({"normal_concat": [3, 2]}, "Item 2 of normal_concat"),
        ({"normal_concat": [2, 2]}, "Item 2 of normal_concat"),
        ({"reduce_concat": [0]}, "Node 2 of reduce in the DARTS text is read by no node"),
        ({"reduction": []}, "no key of the DARTS text 'reduction'; did you mean"),
    ],
)
def test_errors_name_the_position(changes: dict[str, object], message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_darts(text(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given_text", "message"),
    [
        ("", "is no JSON: Expecting value at line 1, column 1"),
        ("[1, 2]", "is [1, 2], but it must be a JSON object with the keys normal, normal_concat"),
        ('{"normal": []}', "has no normal_concat; give normal, normal_concat"),
        ('{"normal": [], "normal": []}', "has the key 'normal' twice"),
        ('{"normal": [NaN]}', "holds NaN"),
        ('{"normal": [-Infinity]}', "holds -Infinity"),
        ("[" * 20_000, "nested far deeper"),
        ("[" * 300 + "]" * 300, "but it must be a JSON object"),
        ('{"normal": ' + "9" * 5000 + "}", "an integer of thousands of digits"),
        (" " * (MAX_CHARACTERS + 1), "has 50,001 characters, and at most 50,000"),
    ],
)
def test_hostile_texts_get_one_sentence(given_text: str, message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_darts(given_text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_largest_genotype_is_read() -> None:
    edges = [["max_pool_3x3", 0]] * 2 * MAX_NODES
    concat = list(range(2, MAX_NODES + 2))
    whole = json.loads(text(normal=edges, normal_concat=concat, reduce=edges, reduce_concat=concat))
    assert len(parse_darts(json.dumps(whole, indent=4)).normal.nodes) == MAX_NODES


def test_what_darts_has_no_word_for_is_refused() -> None:
    cell = CellGraph(nodes=(((0, "average-3x3-padded"), (1, "identity")),), output=(2,))
    with pytest.raises(ValueError, match="DARTS has no word for average-3x3-padded"):
        print_darts(ConvCellGenotype(normal=cell, reduction=cell))


def recurrent(**changes: object) -> str:
    whole: dict[str, object] = {"recurrent": [["relu", 0], ["sigmoid", 1]], "concat": [1, 2]}
    return json.dumps(whole | changes)


def test_recurrent_text_as_words() -> None:
    genotype = parse_darts_recurrent(recurrent())
    nodes = ((0, "relu"), (1, "sigmoid"))
    assert genotype == RecurrentGenotype(first="tanh", nodes=nodes, output=(1, 2))
    assert print_darts_recurrent(genotype) == recurrent()


@given(recurrent_nodes(least=1), st.data())
def test_recurrent_round_trip(nodes: tuple[tuple[int, str], ...], data: st.DataObject) -> None:
    more = data.draw(st.sets(st.integers(0, len(nodes))))
    output = tuple(sorted(more | set(recurrent_loose_ends(nodes))))
    genotype = RecurrentGenotype(first="tanh", nodes=nodes, output=output)
    assert parse_darts_recurrent(print_darts_recurrent(genotype)) == genotype


@given(EDGES | JSON, JSON | st.lists(st.integers(-1, 5)), JSON)
def test_any_recurrent_cell_is_read_or_refused_clearly(
    nodes: object, concat: object, whole: object
) -> None:
    for given_text in (recurrent(recurrent=nodes, concat=concat), json.dumps(whole)):
        try:
            parse_darts_recurrent(given_text)
        except LotteryError as error:
            assert "DARTS text" in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recurrent": [["relu", 1]]}, "Item 1 of recurrent in the DARTS text is ['relu', 1], but"),
        ({"recurrent": [["relu", 1]]}, "but this node reads a state from 0 to 0; correct"),
        ({"recurrent": [["relu", 0], ["relu", 2]]}, "Item 2 of recurrent"),
        ({"recurrent": [["none", 0]]}, "an activation is one of identity, relu, sigmoid, tanh"),
        ({"recurrent": ["relu"]}, "it must be an activation and a state, such as ['identity', 0]"),
        ({"recurrent": []}, "The recurrent of the DARTS text is 0 items, but it must be a list of"),
        ({"recurrent": None}, "The recurrent of the DARTS text is None"),
        ({"recurrent": [["relu", 0]] * MAX_NODES}, "is 64 items, but it must be a list of 1 to 63"),
        ({"concat": [1, 3]}, "Item 2 of concat in the DARTS text is 3, but the states are 0 to 2"),
        ({"concat": []}, "The concat of the DARTS text is []"),
        ({"concat": [1]}, "Node 2 of recurrent in the DARTS text is read by no node and missing"),
        ({"reduce": []}, "no key of the DARTS text 'reduce'"),
    ],
)
def test_recurrent_errors_name_the_position(changes: dict[str, object], message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        parse_darts_recurrent(recurrent(**changes))
    assert message in str(caught.value)


def test_what_a_recurrent_text_can_not_say_is_refused() -> None:
    for first, nodes in (("relu", ((0, "relu"),)), ("tanh", ())):
        output = recurrent_loose_ends(nodes)
        with pytest.raises(ValueError, match="needs tanh first and at least one node"):
            print_darts_recurrent(RecurrentGenotype(first=first, nodes=nodes, output=output))
