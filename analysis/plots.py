"""Every kind of figure by name, and how a figure is saved.

The drawings are functions from tables to figures, in `density_plots`, `curve_plots`,
`structure_plots` and `frontier_plots`; they touch no files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis.curve_plots import drawn_evaluations, learning_curves
from analysis.density_plots import early_stop_vs_density, metric_vs_density
from analysis.frontier import frontier
from analysis.frontier_plots import searched_vs_pruned
from analysis.rows import sound_histories, sound_results
from analysis.structure import density_per_gate, density_per_layer
from analysis.structure_plots import gate_densities, layer_densities
from analysis.tables import Study
from analysis.theme import paper
from training.errors import unknown
from training.storage import write_file

FORMATS: dict[str, dict[str, str | None]] = {  # format -> metadata that would hold the date
    "svg": {"Date": None},
    "png": {},
    "pdf": {"CreationDate": None},
}

FORMULA = ("=", "+", "-", "@")  # how a formula begins in spreadsheets


@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """One kind of figure.

    Attributes:
        caption: what it shows, for help and reports.
        data: the rows that are drawn; empty when the study has none.
        draw: the drawing of a study.
    """

    caption: str
    data: Callable[[Study], pd.DataFrame]
    draw: Callable[[Study], Figure]


FIGURES: dict[str, FigureKind] = {
    "metric-vs-density": FigureKind(
        caption=(
            "Test metric at the early-stop step over density: mean of the seeds, 95 % interval "
            "(band), single seeds (points); dense mean (dashed) and its margin (grey)."
        ),
        data=lambda study: sound_results(study.table),
        draw=lambda study: metric_vs_density(
            study.table, baselines=study.baselines, published=study.published
        ),
    ),
    "early-stop-vs-density": FigureKind(
        caption=(
            "Early-stop step (least validation loss) over density: mean, 95 % interval (band), "
            "single seeds (points). Lower is faster."
        ),
        data=lambda study: sound_results(study.table),
        draw=lambda study: early_stop_vs_density(study.table),
    ),
    "learning-curves": FigureKind(
        caption=(
            "Validation metric during training of the dense network, a middle and the last level: "
            "mean and 95 % interval (band); tickets solid, controls dashed."
        ),
        data=lambda study: sound_histories(drawn_evaluations(study.histories)),
        draw=lambda study: learning_curves(study.histories),
    ),
    "density-per-layer": FigureKind(
        caption="Density of each layer of the tickets, level by level, mean of the seeds.",
        data=lambda study: density_per_layer(study.layers),
        draw=lambda study: layer_densities(study.layers),
    ),
    "density-per-gate": FigureKind(
        caption=(
            "Density of each gate of the tickets' recurrent matrices, level by level, mean of the "
            "seeds."
        ),
        data=lambda study: density_per_gate(study.gates),
        draw=lambda study: gate_densities(study.gates, study.layers),
    ),
    "searched-vs-pruned": FigureKind(
        caption=(
            "Test metric over remaining parameters: mean and 95 % interval of each level; large "
            "markers are the dense networks, the grey steps the Pareto front."
        ),
        data=lambda study: frontier(study.table),
        draw=lambda study: searched_vs_pruned(frontier(study.table)),
    ),
}


def figure_kind(name: str) -> FigureKind:
    """The kind of figure of a name.

    Raises:
        LotteryError: there is none.
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    return FIGURES[name]


def save_figure(
    figure: Figure, data: pd.DataFrame, path_without_suffix: Path, formats: Iterable[str] = ("svg",)
) -> list[Path]:
    """Write a figure in each format and its data as CSV beside it; the same input, the same bytes.

    Raises:
        LotteryError: there is no such format, or the folder can't be written to.
    """
    stem = path_without_suffix.name
    drawn = {name: render(figure, name, salt=stem) for name in formats}
    contents = {**drawn, "csv": csv_text(data).encode()}
    paths = {name: path_without_suffix.with_name(f"{stem}.{name}") for name in contents}
    for name, content in contents.items():
        write_file(paths[name], content)
    return list(paths.values())


def csv_text(data: pd.DataFrame) -> str:
    r"""A table as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> csv_text(pd.DataFrame({"name": ["=1+1", "a"], "value": [-1.5, 2.0]}))
    "name,value\n'=1+1,-1.5\na,2.0\n"
    """
    texts = data.select_dtypes(exclude=["number", "bool"])
    formulas = {
        value: f"'{value}"
        for column in texts
        for value in texts[column].unique()
        if isinstance(value, str) and value.startswith(FORMULA)
    }
    return (data.replace(formulas) if formulas else data).to_csv(index=False)


def render(figure: Figure, file_format: str, *, salt: str) -> bytes:
    """A figure as the bytes of a file; `salt` makes the ids inside an SVG.

    Raises:
        LotteryError: there is no such format.
    """
    if file_format not in FORMATS:
        raise unknown("figure format", file_format, FORMATS)
    buffer = io.BytesIO()
    with paper(), mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format=file_format, metadata=FORMATS[file_format])
    return buffer.getvalue()
