"""Runs -> one self-contained HTML page: verdicts, tables, figures, and how it was done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.figures import FIGURES, FigureKind, S
from analysis.readings import readings_table
from analysis.rendering import render
from analysis.retraining_verdicts import retraining_answers
from analysis.tables import Study, read_study
from analysis.text_tables import (
    Table,
    comparison_table,
    is_of_characters,
    levels_table,
    results_table,
)
from analysis.verdicts import answer_questions
from analysis.wording import number

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
    "n": "replicates that went into a number; those that diverged are counted apart, as lost",
    "diverged": "ranks below every other replicate: the sign test of pairs or the rank-sum test of samples then "
    "takes the place of the test of means, and no yes goes to the side that lost more",
    "[low, high]": "95 % interval of a mean after Student's t",
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure of a page and what it shows."""

    caption: str
    svg: Markup


def render_report(runs: Sequence[Path], title: str) -> str:
    """The report on some runs as one HTML page that loads nothing from elsewhere.

    Raises:
        LotteryError: no run is given, one has no finished level, or a file is damaged.
    """
    study = read_study(runs)
    names = list(study.descriptions)
    measured = study.readings["run"].unique()
    of_characters = [run for run in names if is_of_characters(study, run)]
    return page(
        "report.html.j2",
        title=title,
        answers=[*retraining_answers(study), *answer_questions(study.table)],
        results=results_table(study.table, of_characters),
        sizes=comparison_table(study.table) if study.table["run"].nunique() > 1 else None,
        charts=charts(FIGURES, study),
        levels={run: levels_table(study.table, run, run in of_characters) for run in names},
        readings={run: readings_table(study.readings, run) for run in measured},
        baselines=_baselines(study.baselines),
        descriptions={run: _description(study, run) for run in names},
        glossary=GLOSSARY,
    )


def page(template: str, **content: Any) -> str:
    """A template of a page with its content, which is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)


def charts(figures: Mapping[str, FigureKind[S]], study: S) -> list[Chart]:
    """Every figure of which a study has data."""
    found = []
    for name, kind in figures.items():
        drawing = kind.drawing(study)
        if not drawing.data.empty:
            svg = render(drawing.draw(), "svg", salt=name).decode()
            found.append(Chart(caption=kind.caption, svg=inline_svg(svg, name, kind.caption)))
    return found


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


def _description(study: Study, run: str) -> dict[str, str]:
    """What a run says of itself, as text."""
    of_run = study.table[study.table["run"] == run]
    told = {
        key: json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        for key, value in study.descriptions[run].items()
    }
    return {
        "recipe": str(of_run["recipe"].iloc[0]),
        "seeds": ", ".join(str(seed) for seed in sorted(of_run["seed"].unique())),
        "arms": ", ".join(of_run["arm"].unique()),
        **told,
    }
