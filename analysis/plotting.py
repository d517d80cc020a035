"""Runs -> the files of a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from analysis.figures import FIGURES
from analysis.published import read_published
from analysis.rendering import save_figure
from analysis.search_figures import SEARCH_FIGURES
from analysis.tables import read_study
from training.errors import LotteryError, chosen


def plot_runs(
    figure: str,
    runs: Sequence[Path],
    path_without_suffix: Path,
    formats: Sequence[str] = ("svg",),
    published: Path | None = None,
) -> list[Path]:
    """Draw a figure of runs.

    Args:
        figure: a name of `FIGURES`.
        runs: their folders.
        path_without_suffix: of the files.
        formats: names of `analysis.figures.FORMATS`.
        published: a file of reference figures to draw over ours, see `read_published`.

    Returns:
        The files: one in each format, and the data as CSV.

    Raises:
        LotteryError: there is no such figure or format, a run can't be read, there is nothing to draw, or the files
            can't be written.
    """
    if figure in SEARCH_FIGURES:
        raise LotteryError(f"{figure} is a figure of searches, and {runs[0]} is a run.")
    kind = chosen("figure", figure, FIGURES)
    study = read_study(runs)
    if published is not None:
        study = dataclasses.replace(study, published=read_published(published))
    drawing = kind.drawing(study)
    return save_figure(drawing.draw(), drawing.data, path_without_suffix, formats)
