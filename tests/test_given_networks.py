"""Networks whose genotype is given as text, from the text to a trained ticket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lottery.experiments import RUN_FOLDER, FoundBy, NetworkConfig
from lottery.portable_tickets import build_ticket, load_ticket, save_ticket, ticket_of
from lottery.runs import Run
from nas.catalog.building import build
from nas.catalog.catalog import NETWORKS, entry
from nas.catalog.genotype_networks import GENOTYPE_NETWORKS
from nas.genotypes.convolutional_encodings import print_enas_macro, print_enas_micro, print_nao
from nas.genotypes.darts_encoding import print_darts, print_darts_recurrent
from nas.genotypes.encodings import ENCODINGS, parse_genotype
from nas.genotypes.published import (
    DARTS_RNN_V1,
    DARTS_V2,
    ENAS_MACRO,
    ENAS_MICRO,
    ENAS_RNN,
    NAO_RNN,
    NAONET_A,
)
from nas.genotypes.recurrent_encodings import print_enas_rnn, print_nao_rnn
from nas.recurrent.cells import SearchedRecurrentCell
from nas.recurrent.language_model import LanguageModel
from tests.commands import done, refused
from tests.tiny_runs import TOML, digits
from training.errors import LotteryError
from training.plain import from_plain, to_plain
from training.specs import ImageSpec, Spec, TextSpec
from training.work_folders import stored_config

IMAGES = ImageSpec(channels=3, height=16, width=16, classes=5)
TEXT = TextSpec(vocabulary=13)
CELLS: dict[str, object] = {"channels": 2, "normal_cells": 1, "reductions": 1}
# name, size, text, and the published network that is the same.
SAME: list[tuple[str, dict[str, object], str, str, Spec]] = [
    ("searched-cells", CELLS, print_enas_micro(ENAS_MICRO), "enas-micro", IMAGES),
    ("searched-cells-nao", CELLS, print_nao(NAONET_A), "naonet-a", IMAGES),
    ("searched-cells-darts", CELLS, print_darts(DARTS_V2), "darts-v2", IMAGES),
    ("searched-layers", {"channels": 2}, print_enas_macro(ENAS_MACRO), "enas-macro", IMAGES),
    ("searched-rnn", {"hidden": 4}, print_enas_rnn(ENAS_RNN), "enas-rnn", TEXT),
]
# Two nodes per cell.
SHORT = "0 2 0 0 0 4 0 1 1 0 1 0 0 3 0 2"


@pytest.mark.parametrize(("name", "size", "text", "published", "spec"), SAME)
def test_a_given_genotype_builds_the_published_network(
    name: str, size: dict[str, object], text: str, published: str, spec: Spec
) -> None:
    given = build(name, size, spec, torch.Generator().manual_seed(1), genotype=text)
    same = build(published, size, spec, torch.Generator().manual_seed(1))
    ours, theirs = given.state_dict(), same.state_dict()
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        assert torch.equal(tensor, theirs[key]), key


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (f"NAO recurrent: {print_nao_rnn(NAO_RNN)}", "nao-rnn"),
        (print_darts_recurrent(DARTS_RNN_V1), "darts-rnn-v1"),
    ],
)
def test_a_given_recurrent_cell_is_the_published_one_in_the_language_model_of_enas(
    text: str, published: str
) -> None:
    given = build("searched-rnn", {"hidden": 4}, TEXT, torch.Generator(), genotype=text)
    same = build(published, {"hidden": 4}, TEXT, torch.Generator())
    assert isinstance(given, LanguageModel)
    assert isinstance(same, LanguageModel)
    ours_cell, theirs_cell = given.cores[0], same.cores[0]
    assert isinstance(ours_cell, SearchedRecurrentCell)
    assert isinstance(theirs_cell, SearchedRecurrentCell)
    assert ours_cell.genotype == theirs_cell.genotype
    ours = {name: tensor.shape for name, tensor in given.named_parameters()}
    theirs = {name: tensor.shape for name, tensor in same.named_parameters()}
    assert theirs == {**ours, "decoder_bias": (13,)}
    assert "decoder_bias" not in ours


def test_every_encoding_is_read_and_said() -> None:
    rows = {name for name, encoding in ENCODINGS.items() if encoding.is_row}
    assert ENCODINGS.keys() - rows == {"DARTS", "DARTS recurrent"}
    assert {name for form in GENOTYPE_NETWORKS for name in form.accepts} == ENCODINGS.keys()
    for form in GENOTYPE_NETWORKS:
        assert form.origin == "searched"
        assert (form.genotype, form.encoding, form.published) == (None, "", ())
    assert (
        parse_genotype(f" ENAS micro : {SHORT}", NETWORKS["searched-cells"].accepts)[0]
        == "ENAS micro"
    )
    assert (
        entry("searched-cells", f"NAO:{SHORT}").genotype == entry("searched-cells", SHORT).genotype
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("searched-cells", "", "needs a genotype, in one of the encodings ENAS micro, NAO, DARTS"),
        ("searched-cells", "0 2 0", "has 3 integers"),
        ("searched-cells", f"NAO micro: {SHORT}", "no encoding of this network 'NAO micro'"),
        ("searched-cells", '{"normal": []}', "DARTS"),
        ("searched-rnn", "0 0 7", "Item 3"),
        ("searched-cells", "0 2 0", "The ENAS micro text has 3 integers"),
        ("searched-cells", "0 2 0", "(a text in NAO or DARTS begins with that name and a colon)."),
        ("searched-cells", "0 x", "Item 2 of the ENAS micro text is 'x'"),
        ("searched-cells-nao", "0 99", "The NAO text has 2 integers"),
        ("searched-cells", "banana", "The genotype 'banana' is no ENAS micro text; write one, or"),
        ("searched-cells-nao", "[1,2]", "'[1,2]' is no NAO text; write one, or another: a text in"),
        (
            "searched-cells-darts",
            "banana",
            "is no DARTS text; write one, or another: a text in NAO",
        ),
        ("searched-rnn", "banana", "is no ENAS recurrent text; write one"),
        ("searched-layers", "banana", "The genotype 'banana' is no ENAS macro text; write one."),
        ("searched-layers", "0 0", "it breaks off after item 2."),
        ("searched-rnn", "Genotype(recurrent=[('relu', 1)], concat=[1])", "Item 1 of recurrent"),
        ("enas-micro", SHORT, "enas-micro takes no genotype; leave it out"),
        ("torchvision/resnet18", SHORT, "takes no genotype"),
        ("searched-cell", SHORT, "no network 'searched-cell'; did you mean searched-cells"),
    ],
)
def test_what_is_no_genotype_is_refused_in_one_sentence(name: str, text: str, message: str) -> None:
    spec: Spec = TEXT if name == "searched-rnn" else IMAGES
    with pytest.raises(LotteryError) as caught:
        build(name, {}, spec, torch.Generator(), genotype=text)
    assert message in str(caught.value)


def test_a_bare_row_of_integers_is_in_the_words_of_its_wiring() -> None:
    found = {
        name: parse_genotype(SHORT, NETWORKS[name].accepts)[0]
        for name in ("searched-cells", "searched-cells-nao", "searched-cells-darts")
    }
    assert found == {
        "searched-cells": "ENAS micro",
        "searched-cells-nao": "NAO",
        "searched-cells-darts": "NAO",
    }
    # 12 is an operation of NAO alone: a slip is no other network.
    with pytest.raises(
        LotteryError, match="a text in NAO or DARTS begins with that name and a colon"
    ):
        parse_genotype(SHORT.replace("0 4", "0 12"), NETWORKS["searched-cells"].accepts)


def test_a_configuration_keeps_genotype_and_origin() -> None:
    found = FoundBy(run="s", method="enas", seed=1, rank=2)
    config = NetworkConfig(name="searched-cells", genotype=SHORT, found=found)
    assert from_plain(NetworkConfig, to_plain(config)) == config
    assert from_plain(NetworkConfig, {"name": "resnet"}).found is None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


def test_a_given_genotype_is_pruned_and_becomes_a_portable_ticket(here: Path) -> None:
    words = ("--set", f"network.genotype={SHORT}", "--set", "network.size.channels=2")
    more = ("--set", "network.size.normal_cells=1", "--set", "network.size.reductions=0")
    short = ("--set", "training.steps=4", "--set", "arms=[]", "--seeds", "0", "--levels", "1")
    out = ("--out", "run", "--json")
    records = json.loads(
        done("prune", "tiny.toml", "--network", "searched-cells", *words, *more, *short, *out)
    )
    assert {record["origin"] for record in records} == {"searched"}
    assert stored_config(here / "run", RUN_FOLDER).network.genotype == SHORT
    path = here / "ticket.safetensors"
    save_ticket(ticket_of(Run(here / "run"), level=1, seed=0), path)
    ticket = load_ticket(path)
    assert ticket.network.genotype == SHORT
    build_ticket(ticket, digits().spec)


def test_networks_shows_and_draws_a_given_genotype(here: Path) -> None:
    facts = json.loads(done("networks", "searched-cells", "--genotype", SHORT, "--json"))
    assert facts["genotype"]["ENAS micro"] == SHORT
    assert facts["parameters"] > 1e6
    bare = json.loads(done("networks", "searched-rnn", "--json"))
    assert (bare["parameters"], bare["genotype"]) == (None, {})
    assert "NAO-WS recurrent" in done("networks", "searched-rnn")
    done("networks", "searched-cells", "--genotype", SHORT, "--draw")
    drawn = (here / "searched-cells.svg").read_text()
    assert "searched-cells: normal cell" in drawn
    assert "searched-layers" in done("networks")
    assert "needs a genotype" in refused("networks", "searched-cells", "--draw")
    assert "name it" in refused("networks", "--genotype", SHORT)
