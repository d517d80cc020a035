"""The demo, from Python as from the command line: a search, what it found, and searched and designed networks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lottery.controls import CONTROLS
from lottery.experiments import Experiment
from lottery.machine import DEFAULT_MACHINE, Machine
from lottery.progress import DemoWatcher
from lottery.recipes.demo import DEMO, DEMO_RETRAINING, DEMO_SEARCH
from lottery.recipes.retraining import retraining_experiment
from lottery.searches import carry_out_search
from lottery.sessions import carry_out
from training.toml_text import override


def carry_out_demo(
    root: Path,
    machine: Machine = DEFAULT_MACHINE,
    watcher: DemoWatcher | None = None,
    *,
    in_full: bool = False,
) -> tuple[Path, list[Path]]:
    """Search for cells, then find tickets of the best of them and of the demo's recipes, or go on with that.

    Args:
        root: the folder of the search and of the runs.
        machine: where and how.
        watcher: is told how it goes.
        in_full: whether every run is `thorough`.

    Returns:
        The folder of the search, and those of the runs.

    Raises:
        LotteryError: as `carry_out` and `carry_out_search`.
    """
    watcher = watcher or DemoWatcher()
    stages = len(DEMO) + 2
    watcher.stage(1, stages, DEMO_SEARCH.summary)
    found = root / DEMO_SEARCH.name
    with watcher.searching() as told:
        carry_out_search(DEMO_SEARCH.config, found, machine, told)
    runs = []
    for number, (summary, small) in enumerate(_experiments(found), start=2):
        experiment = thorough(small) if in_full else small
        runs.append(root / experiment.name)
        watcher.stage(number, stages, summary)
        with watcher.pruning() as pruned:
            carry_out(experiment, runs[-1], machine, pruned)
    return found, runs


def _experiments(found: Path) -> list[tuple[str, Experiment]]:
    """The experiments of the demo with their summaries: of what its search found, and of its recipes."""
    best = override(retraining_experiment(found), *DEMO_RETRAINING)
    recipes = [(recipe.summary, recipe.config) for recipe in DEMO]
    return [("The cells that the search found", best), *recipes]


def thorough(experiment: Experiment) -> Experiment:
    """The same experiment with 5 seeds, 8 levels and every control but `dense`, which would repeat level 0."""
    return dataclasses.replace(
        experiment,
        name=f"{experiment.name}-thorough",
        seeds=(0, 1, 2, 3, 4),
        levels=8,
        arms=tuple(arm for arm in CONTROLS if arm != "dense"),
    )
