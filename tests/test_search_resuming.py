"""A search that is stopped goes on as if nothing had happened, or refuses to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.state import CHECKPOINT
from tests.tiny_searches import (
    ALONE,
    CELL,
    LAYERS,
    NAO,
    RANDOM,
    SEARCHES,
    SHARED,
    TEXT,
    Doctored,
    Listener,
    carry_out,
    carry_out_in_pieces,
    files,
    finished,
)
from training import pace
from training.configs import OptimizerConfig
from training.errors import LotteryError
from training.steps import Steps
from training.work_folders import is_there, open_folder


@pytest.mark.parametrize(("name", "every"), [(name, 17) for name in SEARCHES] + [("tiny-nao", 4)])
def test_stopped_and_resumed_is_uninterrupted(name: str, every: int, tmp_path: Path) -> None:
    config = SEARCHES[name]
    at_once, _, _ = finished(name)
    # What has no checkpoint within it starts anew: the ranking, and each network that is trained alone.
    every += 9 if config.sharing else 0
    stops = carry_out_in_pieces(config, tmp_path / "run", every)
    assert stops >= 1
    assert files(tmp_path / "run") == files(Path(at_once.name) / "run")


def test_two_architectures_per_step_are_resumed_too(tmp_path: Path) -> None:
    config = dataclasses.replace(TEXT, samples=2)
    carry_out(config, tmp_path / "a" / "run")
    assert carry_out_in_pieces(config, tmp_path / "b" / "run", 17) >= 1
    assert files(tmp_path / "b" / "run") == files(tmp_path / "a" / "run")


DROPPING = dataclasses.replace(CELL, network={**CELL.network, "dropout": 0.3}, reward_dropout=True)
TEXT_SGD = OptimizerConfig(name="sgd", learning_rate=1.0, clip_norm=0.25)
LEARNING_ON = dataclasses.replace(
    TEXT,
    method="nao",
    words="nao",
    shared=dataclasses.replace(SHARED, steps=Steps(iterations=15), optimizer=TEXT_SGD),
    nao=dataclasses.replace(
        NAO, rounds=2, target="loss", continued="weights-and-moments", hold_out=0.3
    ),
)


@pytest.mark.parametrize("config", [DROPPING, LEARNING_ON], ids=["dropping", "learning-on"])
def test_rewards_with_dropout_and_what_nao_learned_are_resumed(
    config: SearchConfig, tmp_path: Path
) -> None:
    carry_out(config, tmp_path / "a" / "run")
    assert carry_out_in_pieces(config, tmp_path / "b" / "run", 26) >= 1
    assert files(tmp_path / "b" / "run") == files(tmp_path / "a" / "run")


def test_the_checkpoint_of_a_rollback_counts_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A checkpoint after every step: the one of step 5 is further than the phase that is rolled back to.
    monkeypatch.setattr(pace, "SECONDS", -1.0)
    monkeypatch.setattr(pace, "SHARE", 1e9)
    carry_out(RANDOM, tmp_path / "a" / "run", task=Doctored({5: 1}))
    watcher = Listener(stop_at=7)
    with pytest.raises(LotteryError, match="Stopped at step 5 of the shared weights"):
        carry_out(RANDOM, tmp_path / "b" / "run", watcher, task=Doctored({5: 1}))
    assert is_there(tmp_path / "b" / "run", SEARCH_FOLDER)
    carry_out(RANDOM, tmp_path / "b" / "run", task=Doctored({5: 1}))
    assert files(tmp_path / "b" / "run") == files(tmp_path / "a" / "run")


def test_what_killed_writers_left_goes_when_a_search_begins_or_goes_on(tmp_path: Path) -> None:
    left = tmp_path / f".search.json.{'0f' * 16}.tmp"
    for _ in range(2):
        left.write_bytes(b"{")
        open_folder(tmp_path, SEARCH_FOLDER, RANDOM, {"fingerprint": ""})
        assert not left.exists()


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped"):
        carry_out(RANDOM, tmp_path / "run", Listener(stop_at=6))
    path = tmp_path / "run" / CHECKPOINT
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(LotteryError, match="SHA-256 differs"):
        carry_out(RANDOM, tmp_path / "run")


def test_adam_trains_shared_weights_too(tmp_path: Path) -> None:
    shared = dataclasses.replace(SHARED, optimizer=ALONE.optimizer)
    config = dataclasses.replace(LAYERS, shared=shared)
    carry_out(config, tmp_path / "a" / "run")
    carry_out_in_pieces(config, tmp_path / "b" / "run", 13)
    assert files(tmp_path / "b" / "run") == files(tmp_path / "a" / "run")
