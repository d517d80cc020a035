"""The command `demo`: a whole study on embedded data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from lottery.cli.options import machine_options
from lottery.cli.running import RUNS, carry_out
from lottery.cli.runs import machine_of
from lottery.cli.watching import watcher_for
from lottery.experiments import Experiment


def thorough(experiment: Experiment) -> Experiment:
    """The same experiment with 5 seeds, 8 levels and every control but `dense`, which would repeat level 0."""
    from lottery.controls import CONTROLS

    return dataclasses.replace(
        experiment,
        name=f"{experiment.name}-thorough",
        seeds=(0, 1, 2, 3, 4),
        levels=8,
        arms=tuple(arm for arm in CONTROLS if arm != "dense"),
    )


@click.command()
@click.option("--thorough", "in_full", is_flag=True, help="5 seeds, 8 levels and every control.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where runs and report go; results/runs/demo by default.",
)
@machine_options
def demo(in_full: bool, out: Path | None, **options: object) -> None:
    """A whole study in minutes: searched and designed networks, images and text, tickets and controls.

    Trains the ENAS micro cell and a residual network on handwritten digits, and an ENAS recurrent cell and an LSTM on
    Python's documentation, prunes each with rewinding beside its controls, and writes a report. Needs no network access
    and no GPU. The same command goes on where a stopped one left off.

    \u0008
    Example: lottery demo
    """
    from analysis.report import render_report
    from analysis.tables import read_study
    from analysis.text_tables import results_table
    from analysis.verdicts import answer_questions
    from lottery.cli.showing import print_text_table
    from lottery.recipes import DEMO, RECIPES, recipe
    from training.storage import write_file

    machine = machine_of(options)
    root = out or RUNS / ("demo-thorough" if in_full else "demo")
    runs = []
    for number, name in enumerate(DEMO, 1):
        experiment = thorough(recipe(name)) if in_full else recipe(name)
        watcher = watcher_for(machine.quiet)
        if not machine.quiet:
            click.echo(f"{number}/{len(DEMO)}  {RECIPES[name].__doc__}", err=True)
        try:
            carry_out(experiment, root / experiment.name, machine, watcher)
        finally:
            watcher.end()
        runs.append(root / experiment.name)
    study = read_study(runs)
    page = root / "report.html"
    write_file(page, render_report(runs, "Lottery-ticket demo").encode())
    columns = ("network", "data", "parameters", "dense test metric", "n")
    print_text_table(results_table(study.table).select(*columns, "matching down to"))
    for answer in answer_questions(study.table):
        click.echo(f"\n{answer.question}\n  {answer.answer}")
    click.echo(f"\nReport: {page.resolve()}")
