"""The command `demo`: a whole study on embedded data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lottery.cli.options import machine_options
from lottery.cli.running import RUNS, commanded, machine_of
from lottery.cli.search import search_and_draw
from lottery.cli.terminal import say
from lottery.cli.watching import watcher_for
from lottery.experiments import Experiment
from training.toml_text import override


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
def demo(in_full: bool, out: Path | None, **options: Any) -> None:
    """A whole study in minutes: a search, searched and designed networks, images and text, tickets and controls.

    Searches for cells that tell handwritten digits apart. Trains these, the ENAS micro cell and a residual network on
    the digits, and an ENAS recurrent cell and an LSTM on Python's documentation, prunes each with rewinding beside its
    controls, and writes reports. Needs no network access and no GPU. The same command goes on where a stopped one
    left off.

    \u0008
    Example: lottery demo
    """
    from analysis.report import render_report
    from analysis.search_report import render_search_report
    from analysis.search_tables import read_searches
    from analysis.search_verdicts import search_answers
    from analysis.tables import read_study
    from analysis.text_tables import results_table
    from analysis.verdicts import answer_questions
    from lottery.cli.showing import print_text_table, say_answer
    from training.storage import write_file

    root = out or RUNS / ("demo-thorough" if in_full else "demo")
    found, runs = _search_and_prune(root, options, in_full)
    study = read_study(runs)
    pages = {"report.html": render_report(runs, "Lottery-ticket demo")}
    pages["search.html"] = render_search_report([found], "The demo's search")
    for name, text in pages.items():
        write_file(root / name, text.encode())
    columns = ("network", "data", "parameters", "dense test metric", "n")
    print_text_table(results_table(study.table).select(*columns, "matching down to"))
    answers = search_answers(read_searches([found]))
    for answer in [*answers, *answer_questions(study.table)]:
        say_answer(answer)
    say("", f"Reports: {', '.join(str((root / name).resolve()) for name in pages)}")


def _search_and_prune(
    root: Path, options: Mapping[str, Any], in_full: bool
) -> tuple[Path, list[Path]]:
    """The folders of the finished search, and of the runs of what it found and of the demo's recipes."""
    from lottery.recipes.demo import DEMO, DEMO_RETRAINING, DEMO_SEARCH
    from lottery.recipes.retraining import retraining_experiment
    from lottery.sessions import carry_out

    stages = len(DEMO) + 2
    _say(options, f"1/{stages}  {DEMO_SEARCH.summary}.")
    found = root / DEMO_SEARCH.name
    search_and_draw(DEMO_SEARCH.config, found, options)
    best = override(retraining_experiment(found), *DEMO_RETRAINING)
    experiments = {"The cells that the search found": best}
    experiments |= {each.summary: each.config for each in DEMO}
    runs = []
    for number, (summary, small) in enumerate(experiments.items(), 2):
        experiment = thorough(small) if in_full else small
        watcher = watcher_for(options["quiet"])
        _say(options, f"{number}/{stages}  {summary}.")
        with commanded(watcher):
            carry_out(experiment, root / experiment.name, machine_of(options), watcher)
        runs.append(root / experiment.name)
    return found, runs


def _say(options: Mapping[str, Any], text: str) -> None:
    if not options["quiet"]:
        say(text, err=True)
