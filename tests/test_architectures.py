"""What is said of a network, and its drawing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.genotype_drawings import draw_genotype, save_drawing
from lottery.cli.catalogs import network_rows
from nas.catalog.catalog import NETWORKS, entry
from nas.catalog.entry import genotype_of, published_genotype
from nas.catalog.genotype_networks import GENOTYPE_NETWORKS
from nas.describing import count_operations, count_parameters, network_description
from nas.genotypes.convolutional_encodings import parse_enas_macro
from nas.genotypes.encodings import ENCODINGS, genotype_texts, parse_genotype
from nas.genotypes.published import ENAS_MICRO
from nas.genotypes.random_genotypes import random_layers, random_recurrent
from nas.genotypes.recurrent_encodings import parse_enas_rnn
from nas.genotypes.values import RecurrentGenotype
from training.errors import LotteryError

SEARCHED = sorted(
    name for name, found in NETWORKS.items() if genotype_of(found, found.defaults) is not None
)


@pytest.mark.parametrize(
    "name", sorted(name for name, found in NETWORKS.items() if not found.accepts)
)
def test_every_network_has_its_description(name: str) -> None:
    told = network_description(entry(name))
    assert json.loads(json.dumps(told)) == told
    assert told["parameters"] > 10_000
    assert bool(told["genotype"]) == bool(told["operations"]) == (name in SEARCHED)


@pytest.mark.parametrize("name", SEARCHED)
def test_every_searched_network_is_drawn_with_all_its_operations(name: str) -> None:
    found = genotype_of(entry(name), entry(name).defaults)
    assert found is not None
    words = [text.get_text() for text in draw_genotype(name, found).axes[0].texts]
    for operation, count in count_operations(found).items():
        kind, _, size = operation.partition("-")
        label = " ".join([kind, *size.replace("x", "\N{MULTIPLICATION SIGN}").split("-")]).strip()
        assert words.count(label) == count
    assert any(text.startswith(name) for text in words)


@pytest.mark.parametrize("name", SEARCHED)
def test_every_searched_network_has_the_encoding_of_its_source(name: str) -> None:
    found = genotype_of(entry(name), entry(name).defaults)
    assert found is not None
    texts = genotype_texts(entry(name).encoding, found)
    assert entry(name).encoding in texts
    # What is printed can be given, with the word in brackets before it.
    form = next(each for each in GENOTYPE_NETWORKS if {*texts} <= {*each.accepts})
    for label, text in texts.items():
        assert parse_genotype(f"{label}: {text}", form.accepts) == (label, found)


def test_recurrent_cells_have_the_numbers_of_their_source() -> None:
    text = network_description(entry("nao-ws-rnn"))["genotype"]
    assert text["NAO-WS recurrent"] == "0 1 1 1 2 2 1 2 4 1 4 1 4 1 7 1 8 2 1 0 4 1"
    # What NAO-WS writes as 2 is a sigmoid.
    assert text["DARTS recurrent"].startswith(
        '{"recurrent": [["relu", 0], ["relu", 1], ["sigmoid", 2],'
    )
    # DARTS can't say a first activation other than tanh.
    cell = parse_enas_rnn("1 0 0")
    assert genotype_texts("ENAS recurrent", cell) == {"ENAS recurrent": "1 0 0"}


def test_a_designed_network_counts_what_it_has() -> None:
    # 784 x 300 + 300 x 100 + 100 x 10 weights and 410 biases.
    assert count_parameters(entry("lenet-300-100")) == 266_610
    assert count_parameters(entry("torchvision/resnet18")) == 11_689_512


def test_encodings_are_those_of_the_catalog() -> None:
    assert {found.encoding for found in NETWORKS.values()} == {"", *ENCODINGS}


def test_a_network_that_computes_with_its_weights_is_built_to_be_counted() -> None:
    # `num_params` of torchvision's RegNet_Y_400MF_Weights.
    assert count_parameters(entry("torchvision/regnet_y_400mf")) == 4_344_144


def test_the_shape_of_own_code_is_not_known() -> None:
    for ask in (network_description, count_parameters):
        with pytest.raises(LotteryError, match="m:f is code of your own, which is imported only"):
            ask(entry("m:f"))


def test_operations_are_counted_the_most_frequent_first() -> None:
    assert count_operations(ENAS_MICRO) == {
        "separable-5x5": 7,
        "separable-3x3": 5,
        "average-3x3": 3,
        "identity": 3,
        "max-3x3": 2,
    }
    cell = RecurrentGenotype(first="tanh", nodes=((0, "relu"), (1, "relu")), output=(1, 2))
    assert count_operations(cell) == {"relu": 2, "tanh": 1}


def test_a_random_network_is_the_one_of_its_default_seed() -> None:
    sizes = entry("random-macro").defaults
    seed, layers = sizes["seed"], sizes["layers"]
    assert isinstance(seed, int)
    assert isinstance(layers, int)
    text = network_description(entry("random-macro"))["genotype"]["ENAS macro"]
    assert parse_enas_macro(text) == random_layers(seed, layers)
    cell = network_description(entry("random-rnn"))["genotype"]["ENAS recurrent"]
    assert parse_enas_rnn(cell) == random_recurrent(0, 12)


def rows_of(name: str) -> list[dict[str, str]]:
    """The table of a network."""
    return network_rows(entry(name), network_description(entry(name)))


def test_rows_read_without_brackets_of_code() -> None:
    for name in ("enas-micro", "lenet-300-100", "lstm", "torchvision/resnet18"):
        rows = rows_of(name)
        assert not any(mark in row["value"] for row in rows for mark in "{}[]'")
    rows = rows_of("lenet-300-100")
    assert {"field": "sizes", "value": "widths 300 100"} in rows
    value = "266,610 for images of 1 x 28 x 28, 10 classes"
    assert {"field": "parameters", "value": value} in rows
    published = [row for row in rows_of("enas-micro") if row["field"] == "published"]
    assert len(published) == len(entry("enas-micro").published) > 0


def test_drawings_are_saved_in_the_format_of_their_name(tmp_path: Path) -> None:
    genotype = published_genotype(entry("enas-lm"))
    begins = {"cell.svg": b"<?xml", "folder/cell.pdf": b"%PDF"}
    for name, beginning in begins.items():
        save_drawing("enas-lm", genotype, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(beginning)


def test_what_can_not_be_drawn_says_so(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="resnet has no genotype to draw; name"):
        published_genotype(entry("resnet"))
    with pytest.raises(LotteryError, match="searched-cells needs a genotype"):
        published_genotype(entry("searched-cells"))
    for name in ("cell.gif", "cell"):
        with pytest.raises(LotteryError, match=r"let it end in \.svg or \.png or \.pdf"):
            save_drawing("enas-lm", published_genotype(entry("enas-lm")), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
