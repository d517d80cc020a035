"""Searches by name, and the experiment that retrains what one found; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from lottery.experiments import Experiment, FoundBy, NetworkConfig
from lottery.recipes.catalog import recipe
from lottery.recipes.searches import FULL_SEARCHES
from lottery.recipes.small_searches import SMALL_SEARCHES
from lottery.recipes.small_strategies import small_nao
from nas.catalog.given_genotypes import GIVEN
from nas.search.configs import SEARCH_FOLDER, SearchConfig, network_of
from nas.search.controller_config import SpaceName
from nas.search.records import SearchRecord, read_result
from training.configs import DataConfig
from training.errors import LotteryError, unknown
from training.work_folders import stored_config

Method = Literal["enas", "nao", "random"]
METHODS: tuple[Method, ...] = ("enas", "nao", "random")
SPACES: tuple[SpaceName, ...] = ("cell", "layers", "recurrent")
DEMO_SEARCH = "demo-digits-search"
# How the demo retrains what that found: few parameters take more steps, and cost no more for it; the place of weights
# is asked of the published cell.
DEMO_RETRAINING = ("training.steps=140it", "levels=3", 'arms=["reinitialised"]')
SEARCHES: dict[str, Callable[[], SearchConfig]] = {**FULL_SEARCHES, **SMALL_SEARCHES}
# The recipes that `lottery search METHOD --space SPACE` begins with.
_USUAL: dict[tuple[Method, SpaceName], str] = {
    ("enas", "cell"): "enas-micro-search",
    ("enas", "layers"): "enas-macro-search",
    ("enas", "recurrent"): "enas-rnn-search",
    ("nao", "cell"): "nao-ws-cell-search",
    ("nao", "recurrent"): "nao-rnn-search",
}


def search_recipe(name: str) -> SearchConfig:
    """The search of a recipe.

    Raises:
        LotteryError: there is no such search recipe.
    """
    if name not in SEARCHES:
        raise unknown("search recipe", name, SEARCHES, "lottery search")
    return SEARCHES[name]()


def usual_search(method: Method, space: SpaceName, data: str | None) -> SearchConfig:
    """The search of a method in a space: its recipe, on other data where one is named.

    Random search takes ENAS's training of the shared weights, and NAO in the space of layers too, so that only the
    strategy differs. On the data of a small recipe it is the small one.

    Args:
        method: enas, nao or random.
        space: cell, layers or recurrent.
        data: name of a data set; None for the recipe's.
    """
    base = _USUAL.get((method, space)) or _USUAL["enas", space]
    full, small = search_recipe(base), search_recipe(f"{base}-small")
    is_small = data == small.data.name
    config = small if is_small else full
    if config.method != method:
        config = dataclasses.replace(
            config,
            name=config.name.replace("enas", method, 1),
            source=f"this project: {method} in place of ENAS, all else as in {config.name}: {config.source}",
            method=method,
            controller=None,
            # The small recipes' 16 phases have four scorings; None for the published settings of the space.
            nao=small_nao(space, sharing=True, every=4) if method == "nao" and is_small else None,
        )
    if data not in (None, config.data.name):
        name = f"{config.name}-{data}"
        config = dataclasses.replace(config, name=name, data=DataConfig(name=str(data)))
    return config


def random_rivals(config: SearchConfig, per_epoch: int, alone_per_epoch: int) -> list[SearchConfig]:
    """Random search at the budget of another search, with its shared weights and without; all else is the same.

    With shared weights these are trained as long, on architectures drawn uniformly. Without, architectures are trained
    from scratch: as many as take the examples that the shared weights were trained on, or that the search itself
    trained. What a strategy's own phases cost is not counted.

    Args:
        config: of the search.
        per_epoch: steps of the shared weights per epoch.
        alone_per_epoch: steps of a network that is trained alone per epoch.

    Raises:
        LotteryError: the search is random itself, or trains nothing alone.
    """
    alone = config.derive.alone
    if config.method == "random" or alone is None:
        raise LotteryError(
            f"--against-random goes with a search by ENAS or NAO that trains networks alone; {config.name} is "
            f"{'random itself' if config.method == 'random' else 'without derive.alone'}."
        )
    plain = dataclasses.replace(
        config,
        source=f"this project: random search at the budget of {config.name}: {config.source}",
        method="random",
        controller=None,
        nao=None,
    )
    if config.shared is None:
        trained = architectures_alone(config)
    else:
        seen = config.shared.steps.count(per_epoch) * config.shared.batch_size
        each = alone.steps.count(alone_per_epoch) * alone.batch_size * config.derive.alone_seeds
        trained = max(1, round(seen / each))
    derive = config.derive
    ranked = min(derive.ranked, trained)
    budget = dataclasses.replace(
        derive, sampled=trained, ranked=ranked, alone_best=min(derive.alone_best, ranked)
    )
    by_itself = dataclasses.replace(
        plain, name=f"{config.name}-random-alone", shared=None, derive=budget
    )
    if config.shared is None:
        return [by_itself]
    return [dataclasses.replace(plain, name=f"{config.name}-random"), by_itself]


def architectures_alone(config: SearchConfig) -> int:
    """How many architectures a search without shared weights trains alone before its end, at most."""
    if config.method != "nao":
        return config.derive.sampled
    nao = config.nao_in_use
    return nao.pool + nao.rounds * (nao.new + nao.random)


def retraining_experiment(run: Path, rank: int = 1) -> Experiment:
    """The experiment that trains, and prunes, what a search found.

    It is the recipe that the search names, with the found genotype in place of the recipe's network; of the recipe's
    sizes those stay that the network has. The search's data replace the recipe's where they are others.

    Args:
        run: directory of a finished search.
        rank: of the architecture, 1 for the best.

    Raises:
        LotteryError: the search is not finished or damaged, there is no such rank, or it names no recipe.
    """
    config = stored_config(run, SEARCH_FOLDER)
    found = _at_rank(run, rank)
    if not config.retraining:
        raise LotteryError(
            f"The search {run} names no recipe that retrains what it found; name one in its retraining, or "
            f"give the genotype to any recipe: --network {network_of(config)} --set "
            f"'network.genotype={genotype_text(found)}'."
        )
    base = recipe(config.retraining)
    same = base.data.name == config.data.name
    name = run.resolve().name
    return dataclasses.replace(
        base,
        name=f"{name}-rank-{rank}"[-100:],
        source=f"the architecture of rank {rank} of the search {name}, trained as {base.name}: {base.source}",
        network=found_network(
            base.network,
            config,
            found,
            FoundBy(run=name, method=config.method, seed=config.seed, rank=rank),
        ),
        data=base.data if same else config.data,
    )


def found_network(
    base: NetworkConfig, config: SearchConfig, found: SearchRecord, by: FoundBy
) -> NetworkConfig:
    """An architecture that a search found, in the sizes of another network where it has these too."""
    name = network_of(config)
    sizes = {key: value for key, value in base.size.items() if key in GIVEN[name].sizes}
    return NetworkConfig(name=name, size=sizes, genotype=genotype_text(found), found=by)


def genotype_text(record: SearchRecord) -> str:
    """An architecture as a genotype to give: its encoding, and the text in it."""
    return f"{record.encoding}: {record.genotype}"


def _at_rank(run: Path, rank: int) -> SearchRecord:
    ranked = {record.rank: record for record in read_result(run).records if record.rank}
    if rank not in ranked:
        raise LotteryError(
            f"The search {run} has no architecture of rank {rank}; it has the ranks 1 to {len(ranked)}."
        )
    return ranked[rank]
