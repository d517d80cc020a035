"""What is known of a network: its facts, its genotype as text, and its genotype as a drawing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.catalog.entry import NetworkEntry, genotype_of, missing_genotype
from nas.genotypes.encodings import genotype_texts
from nas.genotypes.values import (
    CellGraph,
    ConvCellGenotype,
    Genotype,
    LayerwiseGenotype,
    RecurrentGenotype,
)
from training.errors import LotteryError
from training.specs import Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.architecture_plots import Chain
    from analysis.graphs import Graph


def network_facts(entry: NetworkEntry, genotype_text: str = "") -> dict[str, Any]:
    """All that is known of a network, as plain JSON values.

    Args:
        entry: of the network.
        genotype_text: of a network that accepts one; without it there are no parameters to count.

    Raises:
        LotteryError: torchvision has no such network, or it is code of the user's own.
    """
    genotype = genotype_of(entry, entry.defaults)
    return {
        "network": entry.name,
        "origin": entry.origin,
        "for": entry.task,
        "what": entry.summary,
        "source": entry.source,
        "spec": dataclasses.asdict(published_spec(entry)),
        "sizes": {key: list(v) if isinstance(v, tuple) else v for key, v in entry.defaults.items()},
        "parameters": None
        if entry.accepts and not genotype_text
        else count_parameters(entry, genotype_text),
        "published": [dataclasses.asdict(result) for result in entry.published],
        "genotype": {} if genotype is None else genotype_texts(entry.encoding, genotype),
        "operations": {} if genotype is None else operations(genotype),
    }


def network_rows(entry: NetworkEntry, genotype_text: str = "") -> list[dict[str, str]]:
    """The facts as rows of a table, without the genotype's texts; see `network_facts`."""
    facts = network_facts(entry, genotype_text)
    sizes = ", ".join(f"{key} {_words(value)}" for key, value in facts["sizes"].items())
    counts = ", ".join(f"{count} x {word}" for word, count in facts["operations"].items())
    rows = [{"field": key, "value": facts[key]} for key in ("network", "origin", "for")]
    rows += [{"field": key, "value": facts[key]} for key in ("what", "source")]
    counted = facts["parameters"]
    shape = published_spec(entry).in_words
    rows += [
        {"field": "sizes", "value": sizes or "none"},
        {
            "field": "parameters",
            "value": f"those of its genotype, for {shape}"
            if counted is None
            else f"{counted:,} for {shape}",
        },
    ]
    if entry.accepts:
        rows.append({"field": "encodings", "value": ", ".join(entry.accepts)})
    for result in entry.published:
        value = f"{result.what}: {result.value} ({result.source})"
        rows.append({"field": "published", "value": value})
    return [*rows, {"field": "operations", "value": counts}] if counts else rows


def published_spec(entry: NetworkEntry) -> Spec:
    """The shape of the data that a network was published for.

    Raises:
        LotteryError: it is code of the user's own, so nobody knows before it is trained.
    """
    if entry.spec is None:
        raise LotteryError(
            f"{entry.name} is code of your own, which is imported only to train it; see its size and "
            f"time with retrain RECIPE --network {entry.name} --dry-run."
        )
    return entry.spec


def count_parameters(entry: NetworkEntry, genotype_text: str = "") -> int:
    """The exact number of parameters at the published sizes.

    No memory is taken for them, but where a network computes its own widths with tensors: torchvision's RegNets do.
    """
    import torch

    from nas.catalog.building import build
    from nas.convolutional.auxiliary import counted_parameters

    spec, generator = published_spec(entry), torch.Generator("cpu")
    try:
        with torch.device("meta"):
            network = build(entry.name, {}, spec, generator, genotype=genotype_text)
    except NotImplementedError:
        network = build(entry.name, {}, spec, generator, genotype=genotype_text)
    return sum(parameter.numel() for parameter in counted_parameters(network).values())


def operations(genotype: Genotype) -> dict[str, int]:
    """Operation or activation -> how often it occurs, the most frequent first."""
    if isinstance(genotype, ConvCellGenotype):
        cells = (genotype.normal, genotype.reduction)
        words = [word for cell in cells for node in cell.nodes for _, word in node]
    elif isinstance(genotype, LayerwiseGenotype):
        words = [layer.operation for layer in genotype.layers]
    else:
        words = [genotype.first, *(word for _, word in genotype.nodes)]
    return dict(Counter(words).most_common())


def drawing(entry: NetworkEntry) -> Figure:
    """A searched network's genotype as a figure.

    Raises:
        LotteryError: it has none.
    """
    genotype = genotype_of(entry, entry.defaults)
    if genotype is None and entry.accepts:
        raise missing_genotype(entry)
    if genotype is None:
        raise LotteryError(
            f"{entry.name} has no genotype to draw; name a searched network, such as enas-micro."
        )
    return draw_genotype(entry.name, genotype)


def draw_genotype(name: str, genotype: Genotype) -> Figure:
    """A genotype as a figure, with a title that begins with a name."""
    from analysis.architecture_plots import draw_chain, draw_graphs

    if isinstance(genotype, LayerwiseGenotype):
        return draw_chain(_chain(name, genotype))
    if isinstance(genotype, RecurrentGenotype):
        return draw_graphs([_recurrent_graph(name, genotype)])
    normal = _cell_graph(f"{name}: normal cell", genotype.normal, "")
    note = "; operations on the outputs of the cells before halve the image"
    reduction = _cell_graph(f"{name}: reduction cell", genotype.reduction, note)
    return draw_graphs([normal, reduction])


def save_drawing(entry: NetworkEntry, out: Path | None) -> Path:
    """Draw a network into a file, NAME.svg of the current folder by default; the file's path.

    Raises:
        LotteryError: there is nothing to draw, or the file's ending is no format of a figure.
    """
    from analysis.figures import FORMATS
    from analysis.rendering import render
    from training.storage import write_file

    path = out or Path(f"{entry.name.replace('/', '-')}.svg")
    if path.suffix[1:] not in FORMATS:
        raise LotteryError(
            f"--out {path} does not end in a format of a figure; let it end in "
            f"{' or '.join(f'.{name}' for name in FORMATS)}."
        )
    write_file(path, render(drawing(entry), path.suffix[1:], salt=entry.name))
    return path


def _cell_graph(title: str, cell: CellGraph, note: str) -> Graph:
    from analysis.graphs import Graph, Vertex

    nodes = (Vertex(name=str(index), inputs=node) for index, node in enumerate(cell.nodes, 2))
    output = Vertex(name="concat", inputs=tuple((state, "") for state in cell.output))
    return Graph(
        title=title,
        note=f"each node is the sum of its two operations{note}",
        vertices=(Vertex(name="cell k-2"), Vertex(name="cell k-1"), *nodes, output),
    )


def _recurrent_graph(name: str, cell: RecurrentGenotype) -> Graph:
    from analysis.graphs import Graph, Vertex

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
    from analysis.architecture_plots import Chain

    return Chain(
        title=f"{name}: {len(genotype.layers)} layers",
        note="each line is a layer's output; at a dot it is joined to a later layer's",
        first="stem",
        layers=tuple((layer.operation, layer.skips) for layer in genotype.layers),
    )


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
