"""The command `demo`: a whole study on embedded data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from lottery.cli.options import machine_options
from lottery.cli.running import RUNS, commanded, machine_of
from lottery.cli.search_watching import search_watcher
from lottery.cli.terminal import say
from lottery.cli.watching import watcher_for
from lottery.progress import DemoWatcher, Watcher
from nas.search.watching import SearchWatcher


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
    from analysis.search_drawings import draw_best
    from analysis.search_report import render_search_report
    from analysis.search_tables import read_searches
    from analysis.search_verdicts import search_answers
    from analysis.tables import read_study
    from analysis.text_tables import results_table
    from analysis.verdicts import answer_questions
    from lottery.cli.showing import print_text_table, say_answer
    from lottery.demo import carry_out_demo
    from training.storage import write_file

    root = out or RUNS / ("demo-thorough" if in_full else "demo")
    watcher = TerminalDemo(options["quiet"])
    found, runs = carry_out_demo(root, machine_of(options), watcher, in_full=in_full)
    draw_best(found)
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


class TerminalDemo(DemoWatcher):
    """Prints each stage, and shows its progress."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def stage(self, number: int, stages: int, summary: str) -> None:
        """Print which it is."""
        if not self.quiet:
            say(f"{number}/{stages}  {summary}.", err=True)

    @contextmanager
    def searching(self) -> Iterator[SearchWatcher]:
        """A display of the search, which a signal stops."""
        watcher = search_watcher(self.quiet)
        with commanded(watcher):
            yield watcher

    @contextmanager
    def pruning(self) -> Iterator[Watcher]:
        """A display of a run, which a signal stops."""
        watcher = watcher_for(self.quiet)
        with commanded(watcher):
            yield watcher
