"""The best architectures of a search as drawings in its folder."""

from __future__ import annotations

from pathlib import Path

from analysis.genotype_drawings import draw_genotype
from analysis.rendering import render
from nas.genotypes.encodings import ENCODINGS
from nas.search.records import DRAWING, read_result
from training.errors import chosen, visible
from training.folders import Folder, locked

DRAWN = 3
FORMATS = ("svg", "png")


def draw_best(run: Path) -> None:
    """Draw the best architectures of a finished search into its folder, unless they are there.

    Raises:
        LotteryError: it is no finished search, a file is damaged, or another process is at work there.
    """
    records, folder = read_result(run).records, Folder(run)
    with locked(run):
        for record in records:
            if record.rank is None or record.rank > DRAWN:
                continue
            names = {kind: DRAWING.format(rank=record.rank, format=kind) for kind in FORMATS}
            if all(folder.holds(name) for name in names.values()):
                continue
            genotype = chosen("encoding", record.encoding, ENCODINGS).parse(record.genotype)
            figure = draw_genotype(visible(f"{record.run}, rank {record.rank}"), genotype)
            for kind, name in names.items():
                folder.write(name, render(figure, kind, salt=name))
