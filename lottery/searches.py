"""Carrying out a search, from Python as from the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lottery.experiments import RUN_FOLDER
from lottery.machine import DEFAULT_MACHINE, Machine
from lottery.recipes.random_search import random_rivals
from nas.search.alone import load_tasks
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import ARCHITECTURES, SearchRecord
from nas.search.search import search
from nas.search.watching import SearchWatcher
from training.device import choose_device, environment
from training.environments import library_before, note_environment
from training.errors import LotteryError
from training.folders import Folder, locked
from training.matrix_libraries import choose_library, multiplying, slow_bf16
from training.repeatable import check_products_repeat
from training.replay import ReplayPolicy
from training.work_folders import open_folder, require_apart


def carry_out_search(
    config: SearchConfig,
    root: Path,
    machine: Machine = DEFAULT_MACHINE,
    watcher: SearchWatcher | None = None,
) -> list[SearchRecord]:
    """Search in a folder, from the beginning or from where it stopped.

    Args:
        config: what is searched, and how.
        root: the search's folder.
        machine: where and how; of it device, products, data folder and replay count.
        watcher: is told how it goes, and may ask to stop.

    Returns:
        What was found, as the search's folder has it.

    Raises:
        LotteryError: the search can't be carried out, the folder holds another one, or it was stopped.
    """
    require_apart(root, SEARCH_FOLDER, (RUN_FOLDER, SEARCH_FOLDER))
    watcher = watcher or SearchWatcher()
    device = choose_device(machine.device)
    check_products_repeat(device)
    task, alone_task = load_tasks(config, machine.data_root, device)
    resolved, data = config.resolved(task.steps_per_epoch), task.data.description()
    precision = config.shared.precision if config.shared else "fp32"
    library = choose_library(machine.products, device, before=library_before(Folder(root)))
    with multiplying(library), locked(root):
        for text in data["notices"]:
            watcher.notice(text)
        folder = open_folder(root, SEARCH_FOLDER, resolved, data)
        if notice := slow_bf16(precision, device):
            watcher.notice(notice)
        if not folder.holds(ARCHITECTURES) and (
            notice := note_environment(folder, environment(device, precision))
        ):
            watcher.notice(notice)
        replay = ReplayPolicy(enabled=machine.replay)
        return search(resolved, folder, task, watcher, alone_task, replay)


def with_seeds(config: SearchConfig, seeds: Sequence[int]) -> list[SearchConfig]:
    """The same search with each of some seeds, named after it.

    Raises:
        LotteryError: a seed is named twice.
    """
    if len(set(seeds)) < len(seeds):
        raise LotteryError("A seed is named twice; name each once.")
    return [
        dataclasses.replace(config, name=f"{config.name}-seed-{seed}", seed=seed) for seed in seeds
    ]


def rivals_of(config: SearchConfig, machine: Machine = DEFAULT_MACHINE) -> list[SearchConfig]:
    """Random search at the budget of another search, see `random_rivals`; the data say how long an epoch is.

    Args:
        config: of the search.
        machine: of it device and data folder count.

    Raises:
        LotteryError: the search has no rivals, or its data can't be read.
    """
    tasks = load_tasks(config, machine.data_root, choose_device(machine.device))
    return random_rivals(config, *(task.steps_per_epoch for task in tasks))
