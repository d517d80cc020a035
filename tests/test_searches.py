"""Search recipes, and the experiments that retrain what searches found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lottery.experiments import FoundBy
from lottery.recipes import RECIPES, recipe
from lottery.search_recipes import FULL_SEARCHES
from lottery.searches import (
    DEMO_SEARCH,
    METHODS,
    SEARCHES,
    SPACES,
    genotype_text,
    random_rivals,
    retraining_experiment,
    search_recipe,
    usual_search,
)
from nas.networks import build
from nas.search.configs import SearchConfig, network_of, space_of
from nas.search.records import SEARCH, read_config, read_result
from tests.fake_searches import write_search
from tests.tiny_tasks import image_task, text_task
from training.datasets.catalog import data_options
from training.errors import LotteryError
from training.plain import from_toml, to_plain, to_toml
from training.storage import Folder, to_json


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_can_be_written_and_read_and_names_its_retraining(name: str) -> None:
    config = search_recipe(name)
    assert config.name == name
    assert config.source
    assert SEARCHES[name].__doc__
    assert from_toml(SearchConfig, to_toml(config), name) == config
    assert config.retraining in RECIPES
    assert config.derive.random >= (10 if name == DEMO_SEARCH else 20)
    assert config.derive.alone is not None
    data_options(config.data)
    space_of(config)


def test_every_search_has_a_small_one() -> None:
    for name in FULL_SEARCHES:
        full, small = search_recipe(name), search_recipe(f"{name}-small")
        assert (small.method, small.space, small.words) == (full.method, full.space, full.words)
        assert small.sharing == full.sharing
        assert small.data.name in ("digits", "pydoc")


@pytest.mark.parametrize("name", [name for name in SEARCHES if "nao-" in name])
def test_nao_renews_its_pool_as_often_as_the_shared_weights_have_epochs_for(name: str) -> None:
    config = search_recipe(name)
    if config.shared is not None:
        nao = config.nao_in_use
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
    assert len(rnn.shared.schedule.milestones) == 88
    assert (micro.controller_in_use.updates, micro.controller_in_use.samples) == (30, 10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("space", SPACES)
def test_each_method_searches_each_space(method: str, space: str) -> None:
    own = next(m for m in METHODS if m == method)
    where = next(s for s in SPACES if s == space)
    embedded = "pydoc" if space == "recurrent" else "digits"
    small = usual_search(own, where, embedded)
    assert (small.method, small.space, small.data.name) == (method, space, embedded)
    assert small.name.endswith("-small")
    other = usual_search(own, where, "mnist")
    assert other.data.name == "mnist"
    assert other.name.endswith("-mnist")
    assert usual_search(own, where, None).data.name in ("cifar-10", "ptb")


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
    with pytest.raises(LotteryError, match="is random itself"):
        random_rivals(shared, 36, 36)


def test_an_unknown_search_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match="did you mean enas-micro-search"):
        search_recipe("enas-micro-serch")


@pytest.mark.parametrize("name", [name for name in SEARCHES if name.endswith("-small")])
def test_what_was_found_is_retrained_by_the_named_recipe(name: str, tmp_path: Path) -> None:
    run = write_search(tmp_path / "found", name)
    config, records = read_config(run), read_result(run).records
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
    config = read_config(run)
    moved = dataclasses.replace(config, data=dataclasses.replace(config.data, name="mnist"))
    Folder(run).write(SEARCH, to_json(to_plain(moved)))
    assert retraining_experiment(run).data.name == "mnist"
    unnamed = dataclasses.replace(config, retraining="")
    Folder(run).write(SEARCH, to_json(to_plain(unnamed)))
    with pytest.raises(
        LotteryError, match="--network searched-cells --set 'network.genotype=ENAS m"
    ):
        retraining_experiment(run)


def test_a_rank_that_there_is_not_is_refused(tmp_path: Path) -> None:
    run = write_search(tmp_path / "found")
    with pytest.raises(LotteryError, match="no architecture of rank 7; it has the ranks 1 to 6"):
        retraining_experiment(run, 7)
