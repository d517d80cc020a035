"""The experiment that trains, and prunes, what a search found; torch-free."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lottery.experiments import Experiment, FoundBy, NetworkConfig
from lottery.recipes.catalog import recipe
from nas.catalog.catalog import entry
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import SearchRecord, read_result
from nas.search.spaces import network_of
from training.errors import LotteryError
from training.work_folders import stored_config


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
        network=_found_network(
            base.network,
            config,
            found,
            FoundBy(run=name, method=config.method, seed=config.seed, rank=rank),
        ),
        data=base.data if same else config.data,
    )


def _found_network(
    base: NetworkConfig, config: SearchConfig, found: SearchRecord, by: FoundBy
) -> NetworkConfig:
    """An architecture that a search found, in the sizes of another network where it has these too."""
    name = network_of(config)
    sizes = {key: value for key, value in base.size.items() if key in entry(name).sizes}
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
