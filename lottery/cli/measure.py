"""The command `measure`: what is read off the trained networks of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from analysis.wording import settings_in_words
from lottery.cli.options import (
    WholeNumbers,
    as_json,
    machine_options,
    network_option,
    own_options,
)
from lottery.cli.running import commanded, factory_of, machine_of, own_of, print_json
from lottery.cli.runs import check_same_network
from lottery.cli.showing import print_table, print_text_table
from lottery.cli.terminal import say
from lottery.cli.watching import watcher_for
from lottery.experiments import RUN_FOLDER
from training.errors import chosen
from training.plain import to_plain
from training.toml_text import override
from training.work_folders import stored_config


@click.command()
@click.argument("name", required=False)
@click.argument("run", metavar="RUN", required=False, type=click.Path(path_type=Path))
@click.option(
    "--levels",
    type=WholeNumbers(),
    help="Which levels, such as 0,5; by default every finished one whose trained weights are there.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SETTING=VALUE",
    help="A setting of the measurement, such as window=300; lottery measure lists them.",
)
@network_option
@own_options
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
    from lottery.run_measurements import carry_out_measurement

    if name is None:
        _list(as_json)
        return
    measurement = chosen("measurement", name, MEASUREMENTS, "lottery measure")
    if run is None:
        raise click.UsageError(f"Name the run: lottery measure {name} RUN.")
    experiment = stored_config(run, RUN_FOLDER)
    check_same_network(experiment, options["network"], run)
    settings = override(measurement.settings(), *assignments)
    watcher = watcher_for(options["quiet"])
    factory, own = factory_of(options["network"], experiment), own_of(options, experiment)
    with commanded(watcher):
        readings = carry_out_measurement(
            experiment, run, name, settings, levels, machine_of(options), watcher, factory, own
        )
    if as_json:
        print_json(
            {
                "run": run.resolve().name,
                "measurement": name,
                "settings": to_plain(settings),
                "readings": [dataclasses.asdict(one) for one in readings],
            }
        )
    else:
        _print(run, name, settings_in_words(to_plain(settings)), {one.level for one in readings})


def _list(as_json: bool) -> None:
    from lottery.measurements.catalog import MEASUREMENTS

    rows = [
        {"measurement": name, "setting": setting, "default": str(value), "what": one.words[setting]}
        for name, one in MEASUREMENTS.items()
        for setting, value in to_plain(one.settings()).items()
    ]
    if as_json:
        named = {row["measurement"] for row in rows}
        nothing = {"setting": "", "default": "", "what": "nothing can be set"}
        print_json(
            [*rows, *({"measurement": n, **nothing} for n in MEASUREMENTS if n not in named)]
        )
        return
    for name, one in MEASUREMENTS.items():
        say(f"{name}: {one.summary}")
    print_table(rows)


def _print(run: Path, name: str, settings: str, levels: Collection[int]) -> None:
    """What was just measured, and beside it what the run's data alone give; what else was measured is counted."""
    from analysis.readings import readings_table
    from analysis.tables import read_study
    from analysis.wording import number

    study = read_study([run])
    of_it = study.readings[study.readings["measurement"] == name]
    now = (of_it["settings"] == settings) & of_it["level"].isin(levels)
    print_text_table(readings_table(of_it[now], run.resolve().name))
    if not now.all():
        other = of_it[~now].groupby(["settings", "level"]).ngroups
        say(
            f"Measured before, with other settings or of other levels: {other}; lottery show {run} has them all."
        )
    for _, one in study.baselines.iterrows():
        say(f"{one['split']} {one['name']} {one['metric']} {number(one['value'])}")
