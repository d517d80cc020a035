"""Commands that read runs: `show`, `plot`, `compare`, `report`. None of them needs torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from analysis.budgets import BUDGETS
from analysis.figures import FIGURES, FORMATS
from analysis.search_figures import SEARCH_FIGURES
from lottery.cli.options import as_json, listed, run_argument, runs_argument
from lottery.cli.running import print_json
from lottery.cli.search_showing import of_searches, plot_searches, show_search
from lottery.cli.showing import (
    print_gates,
    print_levels,
    print_readings,
    print_text_table,
    say_answer,
    to_plain_rows,
)
from lottery.cli.terminal import say
from training.errors import LotteryError, visible

HOW_COMPARED = (
    "The level of each network within a budget is chosen on validation; the front is drawn on test."
)
OVERLAID = "metric-vs-density"
# Bytes of a file's name that come from runs; file systems take 255 of the whole, and a character has up to 4.
LONGEST_NAME = 180


def _either(names: Iterable[str]) -> str:
    """Names in a sentence: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def beside(runs: Sequence[Path]) -> Path:
    """The folder in which what is made of runs goes by default: that of the first one."""
    return runs[0].resolve().parent


def named_after(runs: Sequence[Path]) -> str:
    """What files that are made of runs are called after; a long name is cut, and ends in a sum of the whole."""
    whole = "-".join(run.resolve().name for run in runs)
    name = os.fsencode(whole)
    if len(name) <= LONGEST_NAME:
        return whole
    return f"{whole[: LONGEST_NAME // 4]}-{hashlib.sha256(name).hexdigest()[:8]}"


@click.command()
@run_argument
@as_json
def show(run: Path, as_json: bool) -> None:
    """Show a run's levels, verdicts and readings, and what a recurrent network's gates keep; or what a search found.

    \u0008
    Examples:
      lottery show results/runs/demo-digits-enas
      lottery show results/searches/enas-micro-search-small
    """
    if of_searches([run]):
        show_search(run, as_json)
        return
    from analysis.tables import read_study, read_table

    if as_json:
        print_json(to_plain_rows(read_table([run])))
    else:
        study = read_study([run])
        print_levels(study)
        print_gates(study)
        print_readings(study)


PLOT_HELP = f"""Draw a FIGURE of one or several runs, into FIGURE-RUN....svg; its data go beside it as CSV.

\b
FIGURE is one of
{listed(FIGURES)}
or, of searches,
{listed(SEARCH_FIGURES)}
Example: lottery plot {OVERLAID} results/runs/demo-digits-enas --format png
"""


@click.command(help=PLOT_HELP)
@click.argument("figure")
@runs_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the files go; figures beside the runs by default.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    default=("svg",),
    show_default=True,
    metavar="NAME",
    help=f"{_either(FORMATS)}; may be repeated.",
)
@click.option(
    "--published",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Published figures to draw over ours: columns arm, density, value, source.",
)
def plot(
    figure: str,
    runs: tuple[Path, ...],
    out: Path | None,
    formats: tuple[str, ...],
    published: Path | None,
) -> None:
    """Draw a figure, see `PLOT_HELP`."""
    from analysis.plotting import plot_runs

    formats = tuple(dict.fromkeys(formats))
    if published is not None and figure != OVERLAID:
        raise LotteryError(
            f"--published is drawn over {OVERLAID}, not over {figure}; leave it out."
        )
    path = (out or beside(runs) / "figures") / f"{figure}-{named_after(runs)}"
    if of_searches(runs):
        files = plot_searches(figure, runs, path, formats)
    else:
        files = plot_runs(figure, runs, path, formats, published)
    for file in files:
        say(str(file))


@click.command()
@runs_argument
@click.option(
    "--budget",
    default="parameters",
    show_default=True,
    metavar="NAME",
    help=f"What is matched: {_either(BUDGETS)}.",
)
@as_json
def compare(runs: tuple[Path, ...], budget: str, as_json: bool) -> None:
    """Compare the networks of several runs at matched budgets, with a verdict and its test.

    \u0008
    Example: lottery compare results/runs/demo-digits-enas results/runs/demo-digits-resnet
    """
    from analysis.frontier import comparison
    from analysis.retraining_verdicts import retraining_answers
    from analysis.size_verdicts import search_or_prune
    from analysis.tables import read_study
    from analysis.text_tables import comparison_table, metric_title

    study = read_study(runs)
    answers = [*retraining_answers(study), *search_or_prune(study.table, budget=budget)]
    if as_json:
        verdicts = [
            {"question": a.question, "answer": a.answer, "verdict": a.verdict} for a in answers
        ]
        rows = to_plain_rows(comparison(study.table, budget=budget))
        print_json({"levels": rows, "verdicts": verdicts})
        return
    columns = ("budget", "network", "density", "parameters")
    for data, of_data in study.table.groupby("data", sort=False):
        table = comparison_table(of_data, budget)
        say("", f"{data}, at matched {budget}")
        print_text_table(table.select(*columns, metric_title(of_data), "n", "on front"))
    say("", HOW_COMPARED)
    for answer in answers:
        say_answer(answer)


@click.command()
@runs_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Where the page goes; report-RUN....html beside the runs by default.",
)
@click.option("--title", metavar="TEXT", help="Its heading; says what it is about by default.")
def report(runs: tuple[Path, ...], out: Path | None, title: str | None) -> None:
    """Write one self-contained HTML page on runs or searches: verdicts, tables, figures, and how it was done.

    \u0008
    Examples:
      lottery report results/runs/demo-digits-enas results/runs/demo-digits-resnet
      lottery report results/searches/enas-micro-search-small
    """
    from analysis.report import render_report
    from analysis.search_report import render_search_report
    from training.storage import write_file

    path = out or beside(runs) / f"report-{named_after(runs)}.html"
    if path.suffix != ".html":
        raise LotteryError(f"--out {path} does not end in .html; name a page, such as report.html.")
    if of_searches(runs):
        html = render_search_report(runs, visible(title or "Architecture search"))
    else:
        html = render_report(runs, visible(title or "Lottery-ticket study"))
    write_file(path, html.encode())
    say(str(path))
