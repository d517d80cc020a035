"""Genotypes as figures: what graph or chain each kind of them is."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from analysis.architecture_plots import Chain, draw_chain, draw_graphs
from analysis.figures import FORMATS
from analysis.graphs import Graph, Vertex
from analysis.rendering import render
from nas.genotypes.values import (
    CellGraph,
    ConvCellGenotype,
    Genotype,
    LayerwiseGenotype,
    RecurrentGenotype,
)
from training.errors import LotteryError
from training.storage import write_file


def save_drawing(name: str, genotype: Genotype, path: Path) -> None:
    """Draw a genotype into a file.

    Args:
        name: of the network; titles begin with it.
        genotype: of any kind.
        path: of the file; it ends in the format's name.

    Raises:
        LotteryError: the file's ending is no format of a figure, or it can't be written.
    """
    if path.suffix[1:] not in FORMATS:
        raise LotteryError(
            f"{path} does not end in a format of a figure; let it end in "
            f"{' or '.join(f'.{name}' for name in FORMATS)}."
        )
    write_file(path, render(draw_genotype(name, genotype), path.suffix[1:], salt=name))


def draw_genotype(name: str, genotype: Genotype) -> Figure:
    """A genotype as a figure.

    Args:
        name: of the network; titles begin with it.
        genotype: of any kind.
    """
    if isinstance(genotype, LayerwiseGenotype):
        return draw_chain(_chain(name, genotype))
    if isinstance(genotype, ConvCellGenotype):
        normal = _cell_graph(f"{name}: normal cell", genotype.normal, "")
        note = "; operations on the outputs of the cells before halve the image"
        reduction = _cell_graph(f"{name}: reduction cell", genotype.reduction, note)
        return draw_graphs([normal, reduction])
    return draw_graphs([_recurrent_graph(name, genotype)])


def _cell_graph(title: str, cell: CellGraph, note: str) -> Graph:
    nodes = (Vertex(name=str(index), inputs=node) for index, node in enumerate(cell.nodes, 2))
    output = Vertex(name="concat", inputs=tuple((state, "") for state in cell.output))
    return Graph(
        title=title,
        note=f"each node is the sum of its two operations{note}",
        vertices=(Vertex(name="cell k-2"), Vertex(name="cell k-1"), *nodes, output),
    )


def _recurrent_graph(name: str, cell: RecurrentGenotype) -> Graph:
    nodes = (
        Vertex(name=str(index), inputs=((previous + 1, activation),))
        for index, (previous, activation) in enumerate(cell.nodes, start=1)
    )
    return Graph(
        title=f"{name}: recurrent cell",
        note="each node is a highway from the one before it, with the activation in its box",
        vertices=(
            Vertex(name="x(t), h(t-1)"),
            Vertex(name="0", inputs=((0, cell.first),)),
            *nodes,
            Vertex(name="mean", inputs=tuple((state + 1, "") for state in cell.output)),
        ),
    )


def _chain(name: str, genotype: LayerwiseGenotype) -> Chain:
    return Chain(
        title=f"{name}: {len(genotype.layers)} layers",
        note="each line is a layer's output; at a dot it is joined to a later layer's",
        first="stem",
        layers=tuple((layer.operation, layer.skips) for layer in genotype.layers),
    )
