"""Runs -> one self-contained HTML page: verdicts, tables, figures, and how it was done."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.frontier import BUDGETS, comparison
from analysis.plots import FIGURES, render
from analysis.summaries import summarise_levels
from analysis.tables import Study, read_study, results_at
from analysis.verdicts import answer_questions, decide_control
from analysis.winners import REINITIALISED, compare_arms, judge_levels, smallest_matching
from analysis.wording import (
    MISSING,
    count,
    difference,
    interval,
    number,
    p_value,
    percent,
    with_unit,
)
from lottery.records import TICKET

GLOSSARY = {
    "density": "kept share of the prunable weights; sparsity is 1 - density",
    "level": "0 is the dense network, level n comes after n prunings",
    "ticket": "a mask and the weights it starts from; also the arm that trains them",
    "arm": "how a mask and its start came about: the ticket, or a control it is compared with",
    "reinitialised": "a control: the ticket's mask, started from new random weights",
    "random-mask": "a control: a mask of the same size at random places",
    "early-stop step": "the step of least validation loss; the test metric is read there",
    "margin": "how much worse than the dense network still counts as matching",
    "matching": "not worse than the dense network by more than the margin (paired one-sided "
    "non-inferiority test over seeds, Holm over levels, 0.05)",
    "winning": "matching, and better than the reinitialised control (paired one-sided test)",
    "superior": "better than the dense network (paired one-sided test)",
    "undecided": "neither the test nor its opposite is significant, or there are fewer than "
    "three seeds",
    "n": "replicates that went into a number; those that diverged are counted apart",
    "[low, high]": "95 % interval of a mean after Student's t",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        head: column titles.
        rows: cells, as many as titles.
    """

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class _Chart:
    caption: str
    svg: Markup


def render_report(runs: Sequence[Path], title: str) -> str:
    """The report on some runs as one HTML page that loads nothing from elsewhere.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    study = read_study(runs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = list(study.facts)
    return environment.get_template("report.html.j2").render(
        title=title,
        answers=answer_questions(study.table),
        results=results_table(study.table),
        sizes=comparison_table(study.table) if study.table["run"].nunique() > 1 else None,
        charts=_charts(study),
        levels={run: levels_table(study.table, run) for run in names},
        baselines=_baselines(study.baselines),
        facts={run: _facts(study, run) for run in names},
        glossary=GLOSSARY,
    )


def results_table(table: pd.DataFrame) -> Table:
    """One row per run: what it found.

    Args:
        table: as from `tables.read_table`.
    """
    rows = results_at(table)
    matching = smallest_matching(judge_levels(table)).set_index("run")["density"].to_dict()
    found: list[tuple[str, ...]] = []
    for run, of_run in rows.groupby("run", sort=False):
        levels = summarise_levels(of_run)
        dense = levels[(levels["arm"] == TICKET) & (levels["level"] == 0)]
        first = of_run.iloc[0]
        cells = (MISSING, MISSING, MISSING)
        if not dense.empty:
            d = dense.iloc[0]
            value = f"{with_unit(d['mean'], d['unit'])} {interval(d['low'], d['high'])}"
            cells = (count(d["parameters"]), value, str(d["n"]))
        sparsest = percent(matching[run]) if run in matching else "none shown"
        names = tuple(str(first[key]) for key in ("run", "network", "origin", "data"))
        found.append((*names, *cells, sparsest, _against_reinitialised(of_run)))
    head = ("run", "network", "origin", "data", "parameters", "dense test metric", "n")
    last = ("smallest matching density", "ticket against reinitialised, sparsest level")
    return Table(head=(*head, *last), rows=found)


def levels_table(table: pd.DataFrame, run: str) -> Table:
    """One row per arm and level of a run, with the verdicts of its tickets.

    Args:
        table: as from `tables.read_table`.
        run: its name.
    """
    of_run = table[table["run"] == run]
    levels = summarise_levels(results_at(of_run))
    verdicts = judge_levels(of_run).set_index("level")
    found = []
    for _, row in levels.iterrows():
        judged = row["arm"] == TICKET and row["level"] > 0
        words = [
            str(verdicts.loc[row["level"], word]) if judged else MISSING
            for word in ("matching", "winning", "superior")
        ]
        found.append(
            (
                *(str(row["level"]), percent(row["density"]), row["arm"]),
                *(count(row[size]) for size in ("parameters", "multiply_adds", "bytes")),
                with_unit(row["mean"], row["unit"]),
                *(interval(row["low"], row["high"]), str(row["n"]), str(row["diverged"])),
                *words,
            )
        )
    head = ("level", "density", "arm", "parameters", "multiply-adds", "bytes", "test metric")
    return Table(
        head=(*head, "95 % interval", "n", "diverged", "matching", "winning", "superior"),
        rows=found,
    )


def _against_reinitialised(of_run: pd.DataFrame) -> str:
    control = of_run[of_run["arm"] == REINITIALISED]
    if control.empty:
        return "not run"
    level = int(control["level"].max())
    found = compare_arms(of_run, level, TICKET, REINITIALISED)
    verdict = decide_control(of_run, level, REINITIALISED)
    return (
        f"{difference(found.difference, of_run['unit'].iloc[0])} "
        f"{interval(found.low, found.high)}, {p_value(found.p)}, n = {found.n}: {verdict}"
    )


def comparison_table(table: pd.DataFrame, budget: str = "parameters") -> Table:
    """The networks at matched budgets, as text.

    Args:
        table: as from `tables.read_table`.
        budget: a name in `frontier.BUDGETS`.
    """
    found = [
        (
            *(row["data"], count(row["budget"]), row["network"], row["origin"]),
            percent(row["density"]),
            *(count(row[size]) for size in BUDGETS),
            f"{with_unit(row['mean'], row['unit'])} {interval(row['low'], row['high'])}",
            *(str(row["n"]), "yes" if row["on_front"] else "no"),
        )
        for _, row in comparison(table, budget=budget).iterrows()
    ]
    head = ("data", f"budget ({BUDGETS[budget]})", "network", "origin", "density")
    return Table(
        head=(*head, *BUDGETS.values(), "test metric", "n", "on the Pareto front"), rows=found
    )


def _charts(study: Study) -> list[_Chart]:
    charts = []
    for name, kind in FIGURES.items():
        if kind.data(study).empty:
            continue
        svg = render(kind.draw(study), "svg", salt=name).decode()
        charts.append(_Chart(caption=kind.caption, svg=inline_svg(svg, name, kind.caption)))
    return charts


def inline_svg(svg: str, prefix: str, label: str) -> Markup:
    """An SVG file as an element for a page.

    What only a file needs goes; ids get a prefix, since a page may hold each id once; the size is
    left to the page.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    opening, rest = body.split(">", 1)
    opening = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", opening)
    rest = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", rest)
    aria = Markup(' role="img" aria-label="{}">').format(label)
    return Markup(opening) + aria + Markup(rest)


def _baselines(baselines: pd.DataFrame) -> Table:
    return Table(
        head=("run", "baseline", "split", "metric", "value"),
        rows=[
            (run, name, split, metric, number(value))
            for run, name, split, metric, value in baselines.itertuples(index=False)
        ],
    )


def _facts(study: Study, run: str) -> dict[str, str]:
    """What a run says of itself, as text."""
    fact: dict[str, Any] = study.facts[run]
    of_run = study.table[study.table["run"] == run]
    told = {
        key: json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        for key, value in fact.items()
    }
    return {
        "recipe": str(of_run["recipe"].iloc[0]),
        "seeds": ", ".join(str(seed) for seed in sorted(of_run["seed"].unique())),
        "arms": ", ".join(of_run["arm"].unique()),
        **told,
    }
