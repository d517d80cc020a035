"""Searches on disk as `lottery search` leaves them, with invented numbers."""

from __future__ import annotations

from pathlib import Path
from random import Random

from lottery.recipes.search_catalog import search_recipe
from nas.genotypes.encodings import ENCODINGS
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.records import (
    ARCHITECTURES,
    HISTORY,
    SearchHistoryRow,
    SearchRecord,
    SearchResult,
    result_to_json,
)
from nas.search.space import random_choices
from nas.search.spaces import encoding_of, space_of
from training.folders import Folder
from training.lines import to_lines
from training.metrics import ACCURACY, PERPLEXITY
from training.storage import to_json
from training.work_folders import DATA, config_to_json


def write_search(
    path: Path,
    recipe: str = "enas-micro-search-small",
    *,
    noise: float = 0.5,
    advantage: float = 0.1,
    random: int = 20,
) -> Path:
    """Write a finished search.

    Args:
        path: its folder.
        recipe: whose configuration it has.
        noise: of scores: with 0 they rank as stand-alone training does.
        advantage: of what was found over what was drawn, alone.
        random: architectures drawn at random.
    """
    config = search_recipe(recipe)
    folder, draws = Folder(path), Random(1)
    folder.write(DATA, to_json({"name": config.data.name, "fingerprint": "d41d8cd9"}))
    folder.write(SEARCH_FOLDER.file, config_to_json(config.resolved(16)))
    records = [
        _record(path.name, config, draws, rank=rank, alone=rank <= 5, gain=advantage)
        for rank in range(1, 7)
    ]
    records += [_record(path.name, config, draws, noise=noise) for _ in range(random)]
    folder.write(HISTORY, to_lines(_history(config)))
    metric = PERPLEXITY if config.space == "recurrent" else ACCURACY
    result = SearchResult(
        metric=metric, reward_constant=config.reward_constant, records=tuple(records)
    )
    folder.write(ARCHITECTURES, result_to_json(result))
    return path


def _record(
    run: str,
    config: SearchConfig,
    draws: Random,
    *,
    rank: int | None = None,
    alone: bool = True,
    noise: float = 0.5,
    gain: float = 0.0,
) -> SearchRecord:
    space = space_of(config)
    choices = random_choices(space, draws)
    quality = 0.5 + gain + 0.2 * draws.random()
    score = quality + noise * 0.2 * draws.random()
    encoding = encoding_of(config)
    return SearchRecord(
        run=run,
        method=config.method,
        space=config.space,
        origin="found" if rank else "random",
        rank=rank,
        choices=choices,
        genotype=ENCODINGS[encoding].print(space.genotype(choices)),
        encoding=encoding,
        parameters=5000 + sum(choices),
        round=3,
        score=score if config.sharing else None,
        standalone=quality if alone else None,
        standalone_by_seed=(quality,) if alone else (),
        details={"predicted": 0.9 * score} if config.method == "nao" and rank else {},
    )


def _history(config: SearchConfig) -> list[SearchHistoryRow]:
    enas, nao = config.method == "enas", config.method == "nao"
    steps = {
        f"step_{k}_{what}": 0.01 * k for k in (1, 2) for what in ("promised", "predicted", "real")
    }
    details = {**steps, "step_1_count": 3.0, "step_2_count": 1.0, "kendall": 0.4}
    rows = [
        SearchHistoryRow(
            event="phase",
            epoch=epoch,
            step=16 * (epoch + 1) if config.sharing else 0,
            loss=2.0 / (epoch + 1) if config.sharing else None,
            reward=0.5 + 0.02 * epoch,
            baseline=0.5 + 0.01 * epoch if enas else None,
            entropy=10.0 - epoch if enas else None,
            score=0.5,
            best=0.6,
            details=details if nao and epoch % 2 else {},
        )
        for epoch in range(6)
    ]
    return [*rows, SearchHistoryRow(event="rollback", epoch=6, step=100)] if enas else rows
