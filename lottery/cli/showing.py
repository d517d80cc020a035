"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lottery.cli.terminal import say
from training.errors import visible

# Cells up to this many characters are never broken.
SHORT = 26
# Characters of a line in files and pipes, where nothing says how wide it may be.
WIDE = 160

if TYPE_CHECKING:
    import pandas as pd

    from analysis.answers import Answer
    from analysis.tables import Study
    from analysis.text_tables import Table
    from lottery.planning import Plan


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows under their keys; numbers of a column end in line.

    Off a terminal no word is broken, such as a path, whatever the line's width.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [{visible(name): visible(cell) for name, cell in row.items()} for row in rows]
    console = Console()
    free = not console.is_terminal
    widths = []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        numeric = all(_is_number(row[name]) for row in rows)
        short = max(len(row[name]) for row in rows) <= SHORT
        justify: Literal["left", "right"] = "right" if numeric else "left"
        words = [word for row in rows for word in ([row[name]] if short else row[name].split())]
        widths.append(max(map(len, [name, *words])) if free else 0)
        table.add_column(
            Text(name),
            justify=justify,
            overflow="fold",
            no_wrap=short,
            min_width=widths[-1] or None,
        )
    for row in rows:
        table.add_row(*map(Text, row.values()))
    if free:
        console.width = max(WIDE, sum(widths) + 2 * len(widths))
    console.print(table)


def _is_number(text: str) -> bool:
    return bool(text) and text[0] in "0123456789-+±–" and not text[-1].isalpha()


def print_text_table(table: Table) -> None:
    """Print a table of the analysis."""
    print_table([dict(zip(table.head, row, strict=True)) for row in table.rows])


def say_answer(answer: Answer) -> None:
    """Print a question, the verdict, and what it rests on."""
    say("", f"{answer.question} {answer.verdict}", f"  {answer.answer}")


def print_levels(study: Study) -> None:
    """The levels of some runs: density, size, metric per arm, verdicts."""
    from analysis.text_tables import BITS, is_of_characters, levels_table, metric_title, run_line

    for run in map(str, study.table["run"].unique()):
        say("", run, run_line(study, run))
        title = metric_title(study.table[study.table["run"] == run])
        characters = is_of_characters(study, run)
        columns = ("level", "density", "arm", title, *((BITS,) if characters else ()))
        levels = levels_table(study.table, run, characters)
        print_text_table(levels.select(*columns, "95 % interval", "n", "verdict"))


def print_gates(study: Study) -> None:
    """The density of each gate of a run's recurrent matrices at the last level; nothing of other networks."""
    from analysis.text_tables import gates_table

    gates = study.gates
    if not gates.empty:
        say("", "Density of each gate; every level: lottery plot density-per-gate RUN")
        print_text_table(gates_table(gates, str(gates["run"].iloc[0])))


def print_readings(study: Study) -> None:
    """What was measured on a run's trained networks; nothing where nothing was."""
    from analysis.readings import readings_table

    for run in map(str, study.readings["run"].unique()):
        say("", "Readings of trained networks; over density: lottery plot readings-vs-density RUN")
        print_text_table(readings_table(study.readings, run))


def print_plan(planned: Plan) -> None:
    """What a run would do: its levels, steps, bytes and the time expected."""
    print_table(
        [
            {
                "level": str(level.level),
                "density": f"{100 * level.density:.1f} %",
                "networks": str(level.replicates),
                "steps": f"{level.steps:,}",
                "time": _duration(level.seconds),
            }
            for level in planned.levels
        ]
    )
    total = sum(level.seconds for level in planned.levels)
    say("", f"{planned.bytes / 1e6:,.1f} MB on disk, about {_duration(total)} in all.")
    if planned.bytes < planned.bytes_with_all:
        say(
            "Only the newest level's trained weights will be kept; with --store-weights all it is "
            f"{planned.bytes_with_all / 1e6:,.1f} MB."
        )
    if planned.notice:
        say(planned.notice)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def to_plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON rows, missing values as null."""
    import json

    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return rows
