"""Search recipes, and the experiments that retrain what searches found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lottery.experiments import FoundBy
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.demo import DEMO_SEARCH
from lottery.recipes.random_search import random_rivals
from lottery.recipes.recipe import Recipe, small_recipes
from lottery.recipes.retraining import genotype_text, retraining_experiment
from lottery.recipes.search_catalog import SEARCHES, USUAL, search_recipe, usual_search
from lottery.recipes.searches import PUBLISHED_SEARCHES
from nas.catalog.building import build
from nas.recurrent.searched_language_model import RELEASES
from nas.search.alone import alone_network
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.enas_method import controller_of
from nas.search.methods import METHODS, method_of
from nas.search.nao_method import nao_of
from nas.search.records import read_result
from nas.search.shared_training import shared_training
from nas.search.spaces import SPACES, network_of, space_of
from tests.fake_searches import write_search
from tests.tiny_tasks import image_task, text_task
from training.datasets.catalog import data_options
from training.errors import LotteryError
from training.folders import Folder
from training.optimizers import schedule_factor
from training.toml_text import from_toml, override, to_toml
from training.work_folders import config_to_json, stored_config

FULL = [each.name for each in PUBLISHED_SEARCHES]


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_can_be_written_and_read_and_names_its_retraining(name: str) -> None:
    config = search_recipe(name)
    assert config.name == name
    assert config.source
    assert SEARCHES[name].summary
    assert from_toml(SearchConfig, to_toml(config), name) == config
    assert config.retraining in RECIPES
    assert config.derive.random >= (10 if name == DEMO_SEARCH.name else 20)
    assert config.derive.alone is not None
    data_options(config.data)
    space_of(config)


def test_every_search_has_a_small_one() -> None:
    for each in PUBLISHED_SEARCHES:
        assert each.small is SEARCHES[f"{each.name}-small"]
        full, small = each.config, each.small.config
        assert (small.method, small.space, small.words) == (full.method, full.space, full.words)
        assert small.sharing == full.sharing
        assert small.data.name in ("digits", "pydoc")


@pytest.mark.parametrize("name", [n for n, each in SEARCHES.items() if each.config.method == "nao"])
def test_nao_renews_its_pool_as_often_as_the_shared_weights_have_epochs_for(name: str) -> None:
    config = search_recipe(name)
    if config.shared is not None:
        nao = nao_of(config)
        phases = nao.every * (nao.rounds + 1)
        assert config.shared.steps.epochs == config.phase.epochs * phases


def test_the_published_numbers() -> None:
    micro, rnn = search_recipe("enas-micro-search"), search_recipe("enas-rnn-search")
    assert micro.shared is not None
    assert rnn.shared is not None
    # Cosines of 10, 20, 40 and 80 epochs end with the training.
    assert micro.shared.steps.epochs == 10 + 20 + 40 + 80
    assert micro.shared.optimizer.learning_rate * micro.shared.schedule.least == pytest.approx(5e-4)
    # The release sums its loss over windows of 35.
    assert rnn.shared.optimizer.learning_rate == pytest.approx(8.75)
    assert (controller_of(micro).updates, controller_of(micro).samples) == (30, 10)


def test_the_rate_of_the_recurrent_search_is_that_of_the_release() -> None:
    shared = search_recipe("enas-rnn-search").shared
    assert shared is not None
    for epoch in range(100):
        # exponential_decay(0.25, max(step - 12 epochs, 0), 1 epoch, 0.95, staircase), counted from epoch 0.
        released = 0.25 * 0.95 ** max(0, epoch - 12)
        for step in (7 * epoch, 7 * epoch + 6):
            factor = schedule_factor(shared.schedule, step, 700, 7)
            assert shared.optimizer.learning_rate * factor == pytest.approx(35 * released)
    # Written out: epochs 0 to 12 have 0.25, and epoch 13 has 0.2375.
    rates = [schedule_factor(shared.schedule, epoch, 100, 1) * 0.25 for epoch in (0, 12, 13, 99)]
    assert rates == pytest.approx([0.25, 0.25, 0.2375, 0.0028834], rel=1e-4)


def test_rewards_are_taken_on_as_much_as_in_the_releases() -> None:
    taken = {}
    for name in FULL:
        config = search_recipe(name).resolved(10)
        taken[name] = (config.reward_batch, config.reward_dropout)
    assert taken == {
        "enas-micro-search": (
            160,
            True,
        ),  # a batch of training, with dropout: `build_valid_rl` of micro_child.py
        "enas-macro-search": (128, False),  # a batch of training: that of general_child.py
        "enas-rnn-search": (20, False),  # columns
        "nao-cell-search": (None, False),  # trained alone, on the whole split
        "nao-ws-cell-search": (500, False),  # child_eval_batch_size of train_search.py
        "nao-rnn-search": (256, False),  # columns: child_eval_batch_size of NAO-WS/rnn
    }


def test_auxiliary_heads_are_on_where_the_scripts_switch_them_on() -> None:
    with_head = [name for name in FULL if search_recipe(name).network.get("auxiliary")]
    # `--child_use_aux_heads` in ENAS's macro search too, whose child has none; off by default in NAO_pytorch.
    assert with_head == ["enas-micro-search", "nao-cell-search"]
    micro, nao = (search_recipe(name) for name in with_head)
    assert micro.shared is not None
    assert nao.derive.alone is not None
    assert micro.shared.auxiliary_weight == nao.derive.alone.auxiliary_weight == 0.4


def test_shared_weights_train_their_auxiliary_head() -> None:
    micro = search_recipe("enas-micro-search")
    small = {**micro.network, "channels": 2, "normal_cells": 1, "reductions": 1}
    task = image_task()
    config = dataclasses.replace(micro, network=small, nodes=1).resolved(task.steps_per_epoch)
    training = shared_training(config, task)
    assert training is not None
    head = training.shared.get_submodule("auxiliary")
    before = [parameter.detach().clone() for parameter in head.parameters()]
    training.take_step([(0, 0, 1, 1) * 2])
    assert all(not torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))
    # Of a network alone too, though it is not counted.
    network = alone_network(config, (0, 0, 1, 1) * 2, task, 0)
    assert any(name.startswith("auxiliary.") for name, _ in network.named_parameters())


def test_starts_and_windows_of_recurrent_searches() -> None:
    enas, nao = search_recipe("enas-rnn-search"), search_recipe("nao-rnn-search")
    assert (enas.initial, nao.initial) == (None, 0.04)
    assert RELEASES["enas"].bound(int(str(enas.network["hidden"]))) == 0.04
    assert enas.shared is not None
    assert nao.shared is not None
    assert not enas.shared.text.varied_windows
    text = nao.shared.text
    assert (text.varied_windows, text.window_deviation, text.slowness) == (True, 0.0, 1e-3)
    assert enas.unread_weights == nao.unread_weights == "move"


@pytest.mark.parametrize("name", FULL)
def test_a_small_search_follows_the_algorithm_of_the_full_one(name: str) -> None:
    full, small = search_recipe(name), search_recipe(f"{name}-small")
    for field in ("unread_weights", "reward_batch", "reward_dropout", "samples"):
        assert getattr(small, field) == getattr(full, field)
    assert controller_of(small).epsilon_first
    ours, published = nao_of(small), nao_of(full)
    if full.method == "nao":
        for field in (
            *("step", "largest_step", "target", "tokens_per_step", "continued", "trade_off"),
            *("swaps", "fresh_swaps", "encoder_dropout", "predictor_dropout"),
            *("learning_rate", "weight_decay", "clip_norm"),
        ):
            assert getattr(ours, field) == getattr(published, field), field
    if small.shared is not None and full.shared is not None:
        assert small.shared.text == full.shared.text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("space", SPACES)
def test_each_method_searches_each_space(method: str, space: str) -> None:
    embedded = "pydoc" if space == "recurrent" else "digits"
    small = usual_search(method, space, embedded)
    assert (small.method, small.space, small.data.name) == (method, space, embedded)
    assert small.name.endswith("-small")
    other = usual_search(method, space, "mnist")
    assert other.data.name == "mnist"
    assert other.name.endswith("-mnist")
    assert usual_search(method, space, None).data.name in ("cifar-10", "ptb")


def test_nao_is_small_where_the_small_recipe_is_chosen_whatever_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = USUAL["nao", "layers"]
    assert usual.small is not None
    small = Recipe(summary="", config=dataclasses.replace(usual.small.config, name="short"))
    full = dataclasses.replace(usual.config, name="nothing-small")
    renamed = dataclasses.replace(usual, config=full, small=small)
    monkeypatch.setitem(USUAL, ("nao", "layers"), renamed)
    assert nao_of(usual_search("nao", "layers", "digits")).pool == 40
    assert nao_of(usual_search("nao", "layers", None)).pool == 600


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nao-cell-search-small",
            "; nao: pool 24 in place of 1000, top 10 in place of 100, new 8 in place of 300, every 1 in place of 30, "
            "embedding 16 in place of 32, hidden 48 in place of 96, predictor_width 48 in place of 100, epochs 150 in "
            "place of 1000, batch_size 20 in place of 50, hold_out 0.2 in place of 0; ",
        ),
        (
            "nao-rnn-search-small",
            "; nao: pool 40 in place of 1000, top 10 in place of 100, new 12 in place of 300, random 4 in place of "
            "50, rounds 3 in place of 4, every 2 in place of 200, embedding 16 in place of 48, hidden 48 in place of "
            "96, predictor_layers 1 in place of 4, predictor_width 48 in place of 200, epochs 150 in place of 1000, "
            "batch_size 20 in place of 100, hold_out 0.2 in place of 0; ",
        ),
        (
            "enas-micro-search-small",
            "; controller: hidden 32 in place of 64, baseline_decay 0.9 in place of 0.99, samples 5 in place of 10, "
            "updates 12 in place of 30; controller.optimizer: learning_rate 0.01 in place of 0.0035; ",
        ),
        ("enas-micro-search-small", "dropout 0 in place of 0.1, auxiliary 0 in place of 1; "),
        ("demo-digits-search", "derive: sampled 30 in place of 100, "),
        ("demo-digits-search", "random 10 in place of 20, alone_best 3 in place of 5"),
    ],
)
def test_a_small_search_says_what_it_changes(name: str, words: str) -> None:
    assert words in search_recipe(name).source


def test_random_search_differs_from_enas_in_nothing_but_the_strategy() -> None:
    enas, random = usual_search("enas", "cell", "digits"), usual_search("random", "cell", "digits")
    same = dataclasses.replace(
        random, name=enas.name, source=enas.source, method="enas", controller=enas.controller
    )
    assert same == enas


def test_random_search_has_the_budget_of_its_rival() -> None:
    config = search_recipe("enas-micro-search-small")
    shared, alone = random_rivals(config, per_epoch=36, alone_per_epoch=36)
    assert (shared.name, shared.method) == (f"{config.name}-random", "random")
    assert (
        dataclasses.replace(
            shared,
            name=config.name,
            source=config.source,
            method="enas",
            controller=config.controller,
        )
        == config
    )
    assert alone.shared is None
    assert config.shared is not None
    assert config.derive.alone is not None
    # As many examples in all as the shared weights are trained on.
    seen = config.shared.steps.count(36) * config.shared.batch_size
    each = config.derive.alone.steps.count(36) * config.derive.alone.batch_size
    assert alone.derive.sampled == round(seen / each)
    (by_itself,) = random_rivals(search_recipe("nao-cell-search-small"), 36, 36)
    assert by_itself.derive.sampled == 24 + 3 * 8
    alone_nao = search_recipe("nao-cell-search-small")
    more = override(alone_nao, "nao.random=5", "derive.alone_seeds=2")
    (by_itself,) = random_rivals(more, 36, 36)
    assert by_itself.derive.sampled == 24 + 3 * (8 + 5)
    assert (
        method_of(more).trained_alone(more) == method_of(by_itself).trained_alone(by_itself) == 63
    )
    with pytest.raises(LotteryError, match="is random itself"):
        random_rivals(shared, 36, 36)


def test_an_unknown_search_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match="did you mean enas-micro-search"):
        search_recipe("enas-micro-serch")


@pytest.mark.parametrize("name", [each.name for each in small_recipes(PUBLISHED_SEARCHES)])
def test_what_was_found_is_retrained_by_the_named_recipe(name: str, tmp_path: Path) -> None:
    run = write_search(tmp_path / "found", name)
    config, records = stored_config(run, SEARCH_FOLDER), read_result(run).records
    experiment = retraining_experiment(run, 2)
    base = recipe(config.retraining)
    assert experiment.name == "found-rank-2"
    assert experiment.training == base.training
    network = experiment.network
    assert network.name == network_of(config)
    assert network.found == FoundBy(run="found", method=config.method, seed=0, rank=2)
    assert network.genotype == genotype_text(records[1])
    spec = (text_task() if config.space == "recurrent" else image_task()).spec
    build(network.name, network.size, spec, torch.Generator(), genotype=network.genotype)


def test_other_data_stay_those_of_the_search(tmp_path: Path) -> None:
    run = write_search(tmp_path / "found")
    config = stored_config(run, SEARCH_FOLDER)
    moved = dataclasses.replace(config, data=dataclasses.replace(config.data, name="mnist"))
    Folder(run).write(SEARCH_FOLDER.file, config_to_json(moved))
    assert retraining_experiment(run).data.name == "mnist"
    unnamed = dataclasses.replace(config, retraining="")
    Folder(run).write(SEARCH_FOLDER.file, config_to_json(unnamed))
    with pytest.raises(
        LotteryError, match="--network searched-cells --set 'network.genotype=ENAS m"
    ):
        retraining_experiment(run)


def test_a_rank_that_there_is_not_is_refused(tmp_path: Path) -> None:
    run = write_search(tmp_path / "found")
    with pytest.raises(LotteryError, match="no architecture of rank 7; it has the ranks 1 to 6"):
        retraining_experiment(run, 7)
