"""The loop of a search: phases, rollbacks, the ranking, and going on where it was stopped."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import mean

import pytest
import torch

from nas.search.alone import SCORES
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import read_result, read_search_history
from nas.search.shared_training import shared_training
from nas.search.spaces import space_of
from tests.tiny_searches import (
    CELL,
    LAYERS,
    NAO,
    NAO_ALONE,
    NAO_SHARED,
    RANDOM,
    RANDOM_ALONE,
    SEARCHES,
    TEXT,
    Doctored,
    Listener,
    carry_out,
    finished,
    task_of,
)
from tests.tiny_tasks import image_data, text_task
from training.datasets.images import LabelledImages
from training.errors import LotteryError
from training.tasks.image_classification import ImageClassification
from training.work_folders import stored_config


@pytest.mark.parametrize("name", SEARCHES)
def test_what_a_search_writes(name: str) -> None:
    config = SEARCHES[name]
    folder, watcher, records = finished(name)
    root = Path(folder.name) / "run"
    found = [r for r in records if r.origin == "found"]
    sample = [r for r in records if r.origin == "random"]
    assert [r.rank for r in found] == [1, 2, 3]
    assert [r.rank for r in sample] == [None, None]
    space = space_of(config)
    assert all(space.genotype(r.choices) for r in records)
    assert all(r.parameters > 0 and r.run == "run" for r in records)
    assert all(r.standalone is not None for r in sample)
    scores = [r.score for r in found]
    assert all(score is not None for score in scores)
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))
    assert sum(r.standalone is not None for r in found) == 1
    assert tuple(records) == read_result(root).records
    assert read_search_history(root) == watcher.rows
    task = task_of(config)
    assert stored_config(root, SEARCH_FOLDER) == config.resolved(task.steps_per_epoch)
    if config.sharing:
        ends = [5, 10] if config is TEXT else [4, 8, 10]
        assert [row.step for row in watcher.rows] == ends
        assert all(row.loss is not None and row.best is not None for row in watcher.rows)


def test_a_rollback_goes_back_to_the_phase_with_a_lower_rate(tmp_path: Path) -> None:
    watcher = Listener()
    carry_out(RANDOM, tmp_path / "run", watcher, Doctored({5: 2}))
    # Losses are looked at every 2 steps; the phase began at step 4.
    assert [(row.event, row.step) for row in watcher.rows] == [
        ("phase", 4),
        ("rollback", 6),
        ("rollback", 6),
        ("phase", 8),
        ("phase", 10),
    ]
    assert [row.details.get("rate") for row in watcher.rows[1:3]] == [0.5, 0.25]
    assert read_search_history(tmp_path / "run") == watcher.rows


def test_a_step_that_explodes_among_others_is_left_out(tmp_path: Path) -> None:
    watcher = Listener()
    carry_out(RANDOM, tmp_path / "run", watcher, Doctored({3: 1}))
    assert [(row.event, row.step) for row in watcher.rows] == [
        ("phase", 4),
        ("phase", 8),
        ("phase", 10),
    ]
    assert [row.details.get("unstable") for row in watcher.rows] == [1.0, None, None]


def test_a_search_gives_up_with_one_sentence(tmp_path: Path) -> None:
    config = dataclasses.replace(RANDOM, most_rollbacks=2)
    with pytest.raises(LotteryError, match="exploded at step 2, after 2 rollbacks"):
        carry_out(config, tmp_path / "run", task=Doctored({1: 9}))


@pytest.mark.parametrize("config", [LAYERS, NAO_SHARED, NAO_ALONE, RANDOM_ALONE, CELL])
def test_the_test_split_is_never_read(config: SearchConfig, tmp_path: Path) -> None:
    empty = LabelledImages(torch.empty(0, 1, 8, 8), torch.empty(0, dtype=torch.int64))
    data = dataclasses.replace(image_data(), test=empty)
    blind = carry_out(config, tmp_path / "run", task=ImageClassification(data, batch_size=6))
    _, _, found = finished(config.name)
    assert blind == found


def test_a_finished_search_is_read_back(tmp_path: Path) -> None:
    first = carry_out(RANDOM, tmp_path / "run")
    watcher = Listener()
    assert carry_out(RANDOM, tmp_path / "run", watcher) == first
    assert watcher.rows == []


def test_another_search_is_refused(tmp_path: Path) -> None:
    carry_out(RANDOM, tmp_path / "run")
    other = dataclasses.replace(RANDOM, seed=3, shown=1)
    with pytest.raises(LotteryError, match="seed is 0 there and 3 now; shown is 2 there and 1 now"):
        carry_out(other, tmp_path / "run")


def test_another_wording_of_the_source_is_the_same_search(tmp_path: Path) -> None:
    found = carry_out(RANDOM, tmp_path / "run")
    assert (
        carry_out(dataclasses.replace(RANDOM, source="in other words"), tmp_path / "run") == found
    )


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LotteryError, match="is not empty and is not a search"):
        carry_out(RANDOM, tmp_path)


def test_seeds_differ(tmp_path: Path) -> None:
    one = carry_out(RANDOM, tmp_path / "a")
    other = carry_out(dataclasses.replace(RANDOM, seed=1), tmp_path / "b")
    assert [r.choices for r in one] != [r.choices for r in other]


@pytest.mark.parametrize("config", [RANDOM_ALONE, NAO_ALONE], ids=["random", "nao"])
def test_what_is_found_is_judged_by_networks_that_did_not_choose_it(
    config: SearchConfig, tmp_path: Path
) -> None:
    derive = dataclasses.replace(config.derive, alone_seeds=2, alone_best=2)
    records = carry_out(dataclasses.replace(config, seed=5, derive=derive), tmp_path / "run")
    trained = json.loads((tmp_path / "run" / SCORES).read_text())
    for record in records:
        choices = " ".join(map(str, record.choices))
        if record.origin == "found":
            assert record.score == sum(trained[f"5: {choices}"]) / 2
        if record.standalone is not None:
            assert record.standalone_by_seed == tuple(trained[f"7: {choices}"])
    assert sum(key.startswith("7: ") for key in trained) == 2 + 2


def test_too_few_phases_for_nao_are_refused() -> None:
    rounds = dataclasses.replace(NAO, rounds=3)
    with pytest.raises(LotteryError, match="scores its pool 4 times.*which are 4;.*are 3 phases"):
        dataclasses.replace(NAO_SHARED, nao=rounds).resolved(4)


def test_several_seeds_alone(tmp_path: Path) -> None:
    derive = dataclasses.replace(RANDOM.derive, alone_seeds=2, random=1)
    config = dataclasses.replace(RANDOM, derive=derive)
    last = carry_out(config, tmp_path / "run")[-1]
    assert len(last.standalone_by_seed) == 2
    assert last.standalone == mean(one for one in last.standalone_by_seed if one is not None)


def rewards_of_phases(config: SearchConfig, root: Path) -> list[float]:
    """The best shown reward of each phase."""
    watcher = Listener()
    carry_out(config, root, watcher)
    return [row.best for row in watcher.rows if row.best is not None]


def test_rewards_are_taken_on_the_configured_number_of_images(tmp_path: Path) -> None:
    # 9 images: sixths of a training batch, or ninths of all.
    for batch, parts in ((None, 6), (9, 9), (500, 9)):
        config = dataclasses.replace(RANDOM, shown=5, reward_batch=batch)
        found = rewards_of_phases(config, tmp_path / str(batch))
        assert len(found) == 3
        assert all(round(parts * reward, 6).is_integer() for reward in found)


def test_rewards_are_taken_with_dropout_where_that_is_configured(tmp_path: Path) -> None:
    plain = dataclasses.replace(RANDOM, network={"channels": 2, "dropout": 0.5}, shown=5)
    dropping = dataclasses.replace(plain, reward_dropout=True)
    first = rewards_of_phases(plain, tmp_path / "a")
    assert rewards_of_phases(dropping, tmp_path / "b") != first


@pytest.mark.parametrize("config", [LAYERS, NAO_SHARED], ids=["enas", "nao"])
def test_what_is_learned_from_is_taken_with_dropout_too(
    config: SearchConfig, tmp_path: Path
) -> None:
    found = []
    for dropout in (False, True):
        how = dataclasses.replace(
            config, network={"channels": 2, "dropout": 0.5}, shown=0, reward_dropout=dropout
        )
        watcher = Listener()
        carry_out(how, tmp_path / str(dropout), watcher)
        found.append([row.reward for row in watcher.rows if row.reward is not None])
    assert len(found[0]) == len(found[1]) >= 2
    assert found[0] != found[1]


def test_shared_weights_begin_as_configured() -> None:
    text = dataclasses.replace(TEXT, initial=0.01)
    training = shared_training(text.resolved(5), text_task())
    assert training is not None
    assert float(training.shared.get_parameter("embedding.weight").detach().abs().max()) <= 0.01
