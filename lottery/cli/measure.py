"""Commands that measure trained networks: `measure pointer`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lottery.cli.options import as_json, machine_options, network_option, run_argument
from lottery.cli.running import print_json
from lottery.cli.runs import check_same_network, machine_of
from lottery.cli.showing import print_table
from lottery.cli.terminal import say
from lottery.cli.watching import watcher_for
from lottery.experiments import RUN_FOLDER
from lottery.records import read_facts, read_records
from training.errors import LotteryError
from training.metrics import PERPLEXITY
from training.work_folders import stored_config

if TYPE_CHECKING:
    from lottery.measurements.continuous_cache import Cache
    from lottery.measurements.pointer import PointerResult


@click.group()
def measure() -> None:
    """Measure trained networks of a RUN beyond what its records hold; results stay with the run.

    \u0008
    Example: lottery measure pointer results/runs/demo/demo-text-lstm
    """


@measure.command()
@run_argument
@click.option(
    "--level",
    type=click.IntRange(min=0),
    metavar="N",
    help="Which level; the last finished one by default.",
)
@click.option(
    "--window", type=int, default=500, show_default=True, help="How many tokens are remembered."
)
@click.option(
    "--share", type=float, default=0.1, show_default=True, help="Of the cache in the mixture."
)
@click.option(
    "--flatness",
    type=float,
    default=1.0,
    show_default=True,
    help="How much like contexts count for more; 0 counts words.",
)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="Settings are chosen on validation; test is for those that were chosen.",
)
@network_option
@machine_options
@as_json
def pointer(run: Path, level: int | None, split: str, as_json: bool, **options: Any) -> None:
    """Perplexity with a continuous cache pointer, beside that without, of every replicate of a level.

    The cache (Grave et al. 2017) raises the probability of words that followed like contexts in the last --window
    tokens. It needs no training. The weights are those of the last step, the text is one column.

    \u0008
    The defaults are awd-lstm-lm's for the Penn Treebank; for WikiText-2 it has
      --window 3785 --share 0.1279 --flatness 0.662
    Example: lottery measure pointer results/runs/demo/demo-text-lstm --level 0
    """
    from lottery.cli.running import prepared
    from lottery.measurements.continuous_cache import Cache
    from lottery.measurements.pointer import measure_pointer
    from lottery.runs import open_run
    from training.folders import locked

    machine = machine_of(options)
    experiment = stored_config(run, RUN_FOLDER)
    check_same_network(experiment, machine.network, run)
    level = _level(run, level)
    cache = Cache(**{field.name: options[field.name] for field in dataclasses.fields(Cache)})
    watcher = watcher_for(machine.quiet)
    with prepared(experiment, machine, watcher) as (resolved, setting), locked(run):
        opened = open_run(run, resolved, setting.task.facts())
        try:
            results = measure_pointer(
                resolved, opened, setting, level=level, split=split, cache=cache
            )
        finally:
            watcher.end()
    if as_json:
        settings = {"run": opened.name, "level": level, "split": split, **dataclasses.asdict(cache)}
        print_json({**settings, "replicates": [dataclasses.asdict(one) for one in results]})
    else:
        _print_results(run, level, split, cache, results)


def _level(run: Path, given: int | None) -> int:
    """The level to measure.

    Raises:
        LotteryError: the run learned no text, or has not finished that level.
    """
    records = read_records(run)
    levels = sorted({record.level for record in records})
    level = max(levels, default=0) if given is None else given
    if level not in levels:
        finished = ", ".join(map(str, levels)) or "none"
        raise LotteryError(f"{run} has no finished level {level}; finished: {finished}.")
    if records[0].metric.name != PERPLEXITY.name:
        raise LotteryError(
            f"{run} learned {records[0].data}, which is no text, and a pointer points at words; name a run of a "
            "language model."
        )
    return level


def _print_results(
    run: Path, level: int, split: str, cache: Cache, results: list[PointerResult]
) -> None:
    """One row per arm: perplexity without and with the cache, each with its interval."""
    import pandas as pd

    from analysis.summaries import summarise
    from analysis.wording import counted, interval, number

    rows = pd.DataFrame([dataclasses.asdict(one) for one in results])
    rows["diverged"] = rows["plain"].isna()
    plain, pointer = (summarise(rows, ["arm"], value) for value in ("plain", "pointer"))
    say(
        "",
        f"{run.resolve().name}, level {level}: {split} perplexity with a cache of {cache.window:,} tokens "
        f"(share {cache.share:g}, flatness {cache.flatness:g})",
    )
    print_table(
        [
            {
                "arm": str(one["arm"]),
                "plain": number(one["mean"]),
                "plain, 95 % interval": interval(one["low"], one["high"]),
                "pointer": number(other["mean"]),
                "pointer, 95 % interval": interval(other["low"], other["high"]),
                "n": counted(one["n"], one["diverged"]),
            }
            for (_, one), (_, other) in zip(plain.iterrows(), pointer.iterrows(), strict=True)
        ]
    )
    for baseline in read_facts(run)["data"].get("baselines", []):
        if baseline["split"] == split:
            say(f"{baseline['name']} {baseline['metric']} {number(baseline['value'])}")
