"""The command `search`: from a recipe, a method or a stopped run to ranked architectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lottery.cli.options import (
    as_json,
    data_root_option,
    device_option,
    products_option,
    quiet,
    search_options,
)
from lottery.cli.running import commanded, machine_of, print_json
from lottery.cli.search_showing import list_searches, print_ranking, print_search_plans
from lottery.cli.search_watching import search_watcher
from lottery.recipes.random_search import random_rivals
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import SearchRecord
from training.errors import LotteryError
from training.toml_text import from_toml_file, override
from training.work_folders import is_there, stored_config

SEARCH_RUNS = Path("results/searches")


@click.command()
@click.argument("target", required=False, metavar="[enas|nao|random|RECIPE|FILE.toml|RUN]")
@search_options
@device_option
@products_option
@data_root_option
@quiet
@as_json
def search(target: str | None, as_json: bool, **options: Any) -> None:
    """Search for an architecture, with weights that all of them share or without.

    It ends with ranked architectures, which lottery retrain and lottery prune take as their network, and with what the
    ranking is worth: architectures drawn at random are trained alone beside the best. The test split is never read.
    The same command again goes on where a stopped one left off. Without a target the recipes are listed.

    \u0008
    Examples:
      lottery search
      lottery search enas-micro-search-small
      lottery search enas-micro-search-small --against-random
      lottery search random --space cell --data digits --seeds 0,1,2
      lottery search nao --space recurrent --data pydoc --set derive.random=30
      lottery retrain results/searches/enas-micro-search-small --rank 1
    """
    if target is None:
        list_searches(as_json)
        return
    configs = [changed_search(one, options) for one in seeded(_named(target, options), options)]
    if options["against_random"]:
        configs = [each for config in configs for each in (config, *_rivals(config, options))]
    found: list[SearchRecord] = []
    roots = []
    for config in configs:
        roots.append(_folder(target, config, options["out"], len(configs)))
        if not options["dry_run"]:
            found += search_and_draw(config, roots[-1], options)
    if options["dry_run"]:
        print_search_plans(configs, as_json)
    elif as_json:
        print_json([dataclasses.asdict(record) for record in found])
    else:
        print_ranking(roots)


def _named(target: str, options: Mapping[str, Any]) -> SearchConfig:
    """The search that a user named."""
    from lottery.recipes.search_catalog import METHODS, search_recipe, usual_search

    path = Path(target)
    for method in METHODS:
        if target == method:
            return usual_search(method, options["space"] or "cell", options["data"])
    for name in ("space", "data"):
        if options[name] is not None:
            raise LotteryError(
                f"--{name} goes with a method, enas, nao or random; for {target} use --set {name}=... instead."
            )
    if path.suffix == ".toml":
        return from_toml_file(SearchConfig, path)
    if is_there(path, SEARCH_FOLDER):
        return stored_config(path, SEARCH_FOLDER)
    if path.exists():
        raise LotteryError(f"{path} is neither a search nor a .toml file.")
    return search_recipe(target)


def seeded(config: SearchConfig, options: Mapping[str, Any]) -> Sequence[SearchConfig]:
    """The same search with each of the seeds that were given, named after it."""
    seeds: tuple[int, ...] | None = options["seeds"]
    if seeds is None:
        return [config]
    if len(set(seeds)) < len(seeds):
        raise LotteryError("A seed is named twice; name each once.")
    return [
        dataclasses.replace(config, name=f"{config.name}-seed-{seed}", seed=seed) for seed in seeds
    ]


def changed_search(config: SearchConfig, options: Mapping[str, Any]) -> SearchConfig:
    """The search with what `--set` changes."""
    return override(config, *options["assignments"])


def _folder(target: str, config: SearchConfig, out: Path | None, searches: int) -> Path:
    """Where a search goes: a run stays where it is, several go into one folder."""
    if out is None:
        run = Path(target)
        if not is_there(run, SEARCH_FOLDER):
            return SEARCH_RUNS / config.name
        same = stored_config(run, SEARCH_FOLDER).name == config.name
        return run if same else run.resolve().parent / config.name
    return out if searches == 1 else out / config.name


def _rivals(config: SearchConfig, options: Mapping[str, Any]) -> Sequence[SearchConfig]:
    """Random search at the same budget."""
    from nas.search.alone import load_tasks
    from training.device import choose_device

    device = choose_device(options["device"])
    tasks = load_tasks(config, options["data_root"], device)
    return random_rivals(config, *(task.steps_per_epoch for task in tasks))


def search_and_draw(
    config: SearchConfig, root: Path, options: Mapping[str, Any]
) -> list[SearchRecord]:
    """Search in a folder, from the beginning or from where it stopped, and draw the best architectures."""
    from lottery.cli.search_showing import draw_best
    from lottery.searches import carry_out_search
    from training.folders import locked

    watcher = search_watcher(options["quiet"])
    with commanded(watcher):
        records = carry_out_search(config, root, machine_of(options), watcher)
        with locked(root):
            draw_best(root, records)
    return records
