"""The command `search`: from a recipe, a method or a stopped run to ranked architectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lottery.cli.options import (
    as_json,
    data_root_option,
    device_option,
    products_option,
    quiet,
    replay_option,
    search_options,
)
from lottery.cli.running import commanded, machine_of, print_json
from lottery.cli.search_showing import list_searches, print_ranking, print_search_plans
from lottery.cli.search_watching import search_watcher
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.methods import METHODS
from nas.search.records import SearchRecord
from nas.search.spaces import USUAL_SPACE
from training.errors import LotteryError, enumerated
from training.toml_text import from_toml_file, override
from training.work_folders import is_there, stored_config

SEARCH_RUNS = Path("results/searches")


@click.command()
@click.argument("target", required=False, metavar=f"[{'|'.join(METHODS)}|RECIPE|FILE.toml|RUN]")
@search_options
@device_option
@products_option
@data_root_option
@replay_option
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
    configs = _configs(target, options)
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


def _configs(target: str, options: Mapping[str, Any]) -> list[SearchConfig]:
    """What is searched: with each seed, with what `--set` changes, and random search beside it if that is wanted."""
    from lottery.searches import rivals_of, with_seeds

    named = _named(target, options)
    seeds: tuple[int, ...] | None = options["seeds"]
    several = [named] if seeds is None else with_seeds(named, seeds)
    configs = [override(config, *options["assignments"]) for config in several]
    if not options["against_random"]:
        return configs
    machine = machine_of(options)
    return [each for config in configs for each in (config, *rivals_of(config, machine))]


def _named(target: str, options: Mapping[str, Any]) -> SearchConfig:
    """The search that a user named."""
    from lottery.recipes.search_catalog import search_recipe, usual_search

    path = Path(target)
    if target in METHODS:
        return usual_search(target, options["space"] or USUAL_SPACE, options["data"])
    for name in ("space", "data"):
        if options[name] is not None:
            raise LotteryError(
                f"--{name} goes with a method, {enumerated(METHODS, 'or')}; for {target} use --set {name}=... instead."
            )
    if path.suffix == ".toml":
        return from_toml_file(SearchConfig, path)
    if is_there(path, SEARCH_FOLDER):
        return stored_config(path, SEARCH_FOLDER)
    if path.exists():
        raise LotteryError(f"{path} is neither a search nor a .toml file.")
    return search_recipe(target)


def _folder(target: str, config: SearchConfig, out: Path | None, searches: int) -> Path:
    """Where a search goes: a run stays where it is, several go into one folder."""
    if out is None:
        run = Path(target)
        if not is_there(run, SEARCH_FOLDER):
            return SEARCH_RUNS / config.name
        same = stored_config(run, SEARCH_FOLDER).name == config.name
        return run if same else run.resolve().parent / config.name
    return out if searches == 1 else out / config.name


def search_and_draw(
    config: SearchConfig, root: Path, options: Mapping[str, Any]
) -> list[SearchRecord]:
    """Search in a folder, from the beginning or from where it stopped, and draw the best architectures."""
    from analysis.search_drawings import draw_best
    from lottery.searches import carry_out_search

    watcher = search_watcher(options["quiet"])
    with commanded(watcher):
        records = carry_out_search(config, root, machine_of(options), watcher)
        draw_best(root)
    return records
