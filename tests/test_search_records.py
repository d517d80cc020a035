"""Configurations and records of searches: written, read back, and refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genotypes.encodings import ENCODINGS
from nas.search.alone import genotype_text
from nas.search.configs import SearchConfig
from nas.search.controller_config import CONTROLLERS
from nas.search.derive_config import DeriveConfig
from nas.search.enas_method import controller_of
from nas.search.nao_config import NaoConfig
from nas.search.random_search import different, draws
from nas.search.records import (
    HISTORY,
    SearchRecord,
    SearchResult,
    metric_value,
    read_result,
    read_search_history,
    result_from_json,
    result_to_json,
)
from nas.search.spaces import encoding_of, space_of
from tests.fake_searches import write_search
from tests.tiny_searches import ALONE, LAYERS, SEARCHES, SHARED, TEXT
from training.configs import AveragingConfig, OptimizerConfig, ScheduleConfig
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.metrics import ACCURACY, PERPLEXITY
from training.plain import from_plain, to_plain
from training.steps import Steps
from training.toml_text import from_toml, override, to_toml

RECORD = SearchRecord(
    run="run",
    method="enas",
    space="layers",
    origin="found",
    rank=1,
    choices=(0, 1, 0),
    genotype="0 1 0",
    encoding="ENAS macro",
    parameters=7,
    round=2,
    score=0.5,
    standalone=0.75,
    standalone_by_seed=(0.5, 1.0),
    details={"predicted": 0.25},
)
SCORES = st.none() | st.floats(0, 1)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_configuration_comes_back_from_json_and_toml(name: str) -> None:
    config = SEARCHES[name].resolved(4)
    assert from_plain(SearchConfig, to_plain(config)) == config
    assert from_toml(SearchConfig, to_toml(config), "here") == config


def test_equal_meanings_compare_equal() -> None:
    shared = dataclasses.replace(SHARED, steps=Steps(epochs=2, iterations=2))
    config = dataclasses.replace(
        LAYERS, shared=shared, phase=Steps(iterations=4), controller=CONTROLLERS["layers"]
    )
    other = dataclasses.replace(LAYERS, controller=None)
    assert config.resolved(4) == other.resolved(4)


def test_every_number_of_steps_of_the_shared_weights_is_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that no search can have as yet, so that none is forgotten on the day it can."""
    monkeypatch.setattr(SearchConfig, "_check_together", lambda self: None)
    averaging = AveragingConfig(trigger="non-monotone", finetune=Steps(epochs=2))
    schedule = ScheduleConfig(name="step", warmup=Steps(epochs=1), milestones=(Steps(epochs=2),))
    shared = dataclasses.replace(
        SHARED,
        steps=Steps(epochs=3, iterations=1),
        eval_every=Steps(epochs=1),
        optimizer=OptimizerConfig(name="sgd", learning_rate=1.0),
        schedule=schedule,
        averaging=averaging,
    )
    found = dataclasses.replace(TEXT, shared=shared, phase=Steps(epochs=1)).resolved(5)
    assert found.phase == Steps(iterations=5)
    assert found.shared is not None
    assert found.shared.steps == Steps(iterations=16)
    assert found.shared.eval_every == Steps(iterations=5)
    assert found.shared.schedule.warmup == Steps(iterations=5)
    assert found.shared.schedule.milestones == (Steps(iterations=10),)
    assert found.shared.averaging.finetune == Steps(iterations=10)


def test_steps_of_networks_that_are_trained_alone_stay_as_they_are() -> None:
    """Their batches may differ, and then an epoch has other steps."""
    alone = dataclasses.replace(ALONE, steps=Steps(epochs=1))
    config = dataclasses.replace(LAYERS, derive=dataclasses.replace(LAYERS.derive, alone=alone))
    assert config.resolved(5).derive.alone == alone


def test_one_field_can_be_set() -> None:
    changed = override(LAYERS, "controller.updates=7")
    assert controller_of(changed).updates == 7
    assert override(LAYERS, "derive.sampled=9").derive.sampled == 9
    changed = override(LAYERS, "samples=2")
    assert changed.samples == 2
    assert from_toml(SearchConfig, to_toml(changed), "here") == changed


@pytest.mark.parametrize("space", ["cell", "layers", "recurrent"])
@pytest.mark.parametrize("words", ["enas", "nao"])
def test_genotypes_are_written_in_an_encoding_that_reads_them(space: str, words: str) -> None:
    if (space, words) == ("layers", "nao"):
        return
    plain = {**to_plain(LAYERS), "space": space, "words": words, "nodes": 3, "layers": 3}
    config = from_plain(SearchConfig, plain)
    for choices in different(space_of(config), 10, draws(0, "texts")):
        text = genotype_text(config, choices)
        assert ENCODINGS[encoding_of(config)].parse(text) == space_of(config).genotype(choices)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared": None}, "shared = None is out of range; it must be given for enas"),
        ({"words": "nao"}, "words = nao is out of range; it must be enas for layers"),
        ({"seed": -1}, "seed = -1 is out of range"),
        ({"nodes": 0}, "nodes = 0 is out of range"),
        ({"samples": 0}, "samples = 0 is out of range"),
        ({"reward_batch": 0}, "reward_batch = 0 is out of range"),
        ({"initial": 0.1}, "initial = 0.1 is out of range; it must be left out for images"),
        ({"initial": -0.1, "space": "recurrent"}, "initial = -0.1 is out of range"),
        ({"nao": NaoConfig(split_operations=True)}, "nao.split_operations = True is out of range"),
        ({"nao": NaoConfig(target="loss")}, "nao.target = loss is out of range; it must be reward"),
        ({"phase": Steps()}, "phase = 0it is out of range"),
        ({"name": "a/b"}, "name = 'a/b' is out of range"),
        ({"rollback_rate": 0.0}, "rollback_rate = 0.0 is out of range"),
        ({"method": "random", "shared": None, "derive": DeriveConfig()}, "derive.alone = None"),
        ({"shared": dataclasses.replace(SHARED, accumulation=2)}, "shared.accumulation = 2"),
    ],
)
def test_impossible_searches_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LotteryError, match=message):
        dataclasses.replace(LAYERS, **changes)


def test_averaged_weights_are_refused() -> None:
    assert TEXT.shared is not None
    averaging = AveragingConfig(trigger="non-monotone")
    with pytest.raises(LotteryError, match="never in a search"):
        dataclasses.replace(TEXT, shared=dataclasses.replace(TEXT.shared, averaging=averaging))


@pytest.mark.parametrize(
    "changes", [{"sampled": 5, "ranked": 6}, {"ranked": 3, "alone_best": 4}, {"random": -1}]
)
def test_impossible_endings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(LotteryError, match="is out of range"):
        DeriveConfig(**changes)


@given(score=SCORES, standalone=SCORES, rank=st.none() | st.integers(1, 9))
def test_records_come_back(score: float, standalone: float, rank: int) -> None:
    record = dataclasses.replace(RECORD, score=score, standalone=standalone, rank=rank)
    result = SearchResult(metric=ACCURACY, reward_constant=80.0, records=(record, RECORD))
    assert result_from_json(result_to_json(result), Path("a.json")) == result


def test_damaged_records_are_told() -> None:
    result = SearchResult(metric=ACCURACY, reward_constant=80.0, records=(RECORD,))
    data = result_to_json(result)
    for old, new in ((b'"rank"', b'"rang"'), (b"0.75", b'"x"'), (b'"records"', b'"rekords"')):
        assert old in data
        with pytest.raises(LotteryError, match="a record can't be read") as caught:
            result_from_json(data.replace(old, new), Path("a.json"))
        assert caught.value.exit_code is ExitCode.BAD_DATA
    newer = data.replace(b'"schema": 2', b'"schema": 3')
    with pytest.raises(LotteryError, match="search schema 3"):
        result_from_json(newer, Path("a.json"))


def test_rewards_in_the_terms_of_the_metric() -> None:
    assert metric_value(0.5, ACCURACY, 80.0) == 50.0
    assert metric_value(0.5, PERPLEXITY, 80.0) == 160.0
    assert metric_value(0.0, PERPLEXITY, 80.0) == math.inf


def test_a_history_that_is_there_but_not_listed_is_damaged(tmp_path: Path) -> None:
    run = write_search(tmp_path / "a")
    lines = (run / HISTORY).read_bytes()
    assert len(read_search_history(run)) == len(lines.splitlines()) > 0
    Folder(run).remove(HISTORY)
    assert read_search_history(run) == []
    (run / HISTORY).write_bytes(lines)
    with pytest.raises(LotteryError, match="history.jsonl is damaged: manifest.json does not list"):
        read_search_history(run)


def test_what_is_no_search_is_refused(tmp_path: Path) -> None:
    for read in (read_search_history, read_result):
        with pytest.raises(LotteryError, match="is not a search"):
            read(tmp_path)
