"""The command `measure`: what is read off the trained networks of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lottery.cli.options import (
    WholeNumbers,
    as_json,
    machine_options,
    network_option,
    set_option,
)
from lottery.cli.running import commanded, factory_of, machine_of, print_json
from lottery.cli.runs import check_same_network
from lottery.cli.showing import print_table
from lottery.cli.terminal import say
from lottery.cli.watching import watcher_for
from lottery.records import read_records
from lottery.run_folder import read_description
from lottery.runs import Run, stored_experiment
from training.errors import LotteryError, chosen
from training.plain import override

if TYPE_CHECKING:
    from lottery.readings import Reading


@click.command()
@click.argument("name", required=False)
@click.argument("run", metavar="RUN", required=False, type=click.Path(path_type=Path))
@click.option(
    "--levels",
    type=WholeNumbers(),
    help="Which levels, such as 0,5; by default every finished one whose trained weights are there.",
)
@set_option
@network_option
@machine_options
@as_json
def measure(
    name: str | None,
    run: Path | None,
    levels: tuple[int, ...] | None,
    assignments: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the trained networks of a RUN beyond what its records hold; the readings stay with the run.

    Without NAME it lists what can be measured, and which settings --set changes. What was measured before with the
    same settings is not measured again.

    \u0008
    Examples:
      lottery measure
      lottery measure pointer results/runs/demo/demo-text-lstm --levels 0
      lottery measure pointer RUN --set window=3785 --set share=0.1279 --set flatness=0.662
    """
    from lottery.measurements.catalog import MEASUREMENTS
    from lottery.measurements.measuring import measure_levels
    from lottery.sessions import opened

    if name is None:
        _list(as_json)
        return
    measurement = chosen("measurement", name, MEASUREMENTS, "lottery measure")
    if run is None:
        raise click.UsageError(f"Name the run: lottery measure {name} RUN.")
    experiment = stored_experiment(Run(run))
    check_same_network(experiment, options["network"], run)
    settings = override(measurement.settings(), *assignments)
    wanted = _finished(run, levels)
    watcher = watcher_for(options["quiet"])
    factory = factory_of(options["network"], experiment)
    with (
        commanded(watcher),
        opened(experiment, run, machine_of(options), watcher, factory) as session,
    ):
        readings = measure_levels(session, name, measurement, settings, wanted)
    if as_json:
        print_json(
            {
                "run": run.resolve().name,
                "measurement": name,
                "settings": dataclasses.asdict(settings),
                "readings": [dataclasses.asdict(one) for one in readings],
            }
        )
    else:
        _print(run, name, dataclasses.asdict(settings), readings)


def _list(as_json: bool) -> None:
    from lottery.measurements.catalog import MEASUREMENTS

    rows = [
        {
            "measurement": name,
            "what": one.summary,
            "settings": ", ".join(
                f"{k}={v}" for k, v in dataclasses.asdict(one.settings()).items()
            ),
        }
        for name, one in MEASUREMENTS.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


def _finished(run: Path, given: Sequence[int] | None) -> list[int]:
    """The levels to measure.

    Raises:
        LotteryError: the run has not finished one of them, or none.
    """
    folder = Run(run)
    levels = sorted({record.level for record in read_records(run)})
    stored = [n for n in levels if folder.level(n).weights in folder.folder.names()]
    wanted = stored if given is None else [*given]
    missing = [level for level in wanted if level not in levels]
    if missing or not wanted:
        finished = ", ".join(map(str, levels)) or "none"
        what = f"level {missing[0]}" if missing else "level with trained weights"
        raise LotteryError(f"{run} has no finished {what}; finished: {finished}.")
    return wanted


def _print(run: Path, name: str, settings: dict[str, Any], readings: Sequence[Reading]) -> None:
    """One row per level, arm and metric, with its interval."""
    import pandas as pd

    from analysis.summaries import summarise
    from analysis.wording import counted, interval, number

    rows = pd.DataFrame([dataclasses.asdict(one) for one in readings])
    rows["diverged"] = rows["value"].isna()
    how = ", ".join(f"{key} {value}" for key, value in settings.items())
    say("", f"{run.resolve().name}, {name} ({how})")
    found = summarise(rows, ["level", "arm", "other", "metric"], "value")
    print_table(
        [
            {
                "level": str(one["level"]),
                "arm": str(one["arm"]),
                "what": f"{one['other']} {one['metric']}".strip(),
                "mean": number(one["mean"]),
                "95 % interval": interval(one["low"], one["high"]),
                "n": counted(one["n"], one["diverged"]),
            }
            for _, one in found.iterrows()
        ]
    )
    for baseline in read_description(run)["data"].get("baselines", []):
        say(
            f"{baseline['split']} {baseline['name']} {baseline['metric']} {number(baseline['value'])}"
        )
