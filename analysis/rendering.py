"""A figure as files: in each format, with its data as CSV beside it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import FORMATS
from analysis.theme import paper
from training.errors import chosen
from training.storage import write_file

FORMULA = ("=", "+", "-", "@")  # how a formula begins in spreadsheets


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
    metadata = chosen("figure format", file_format, FORMATS)
    buffer = io.BytesIO()
    with paper(), mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()
