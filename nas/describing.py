"""All that is known of a network, as plain values: its sizes, its parameters counted, its genotype as text."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import torch

from nas.catalog.building import build
from nas.catalog.entry import NetworkEntry, genotype_of, published_spec
from nas.convolutional.auxiliary import counted_parameters
from nas.genotypes.encodings import genotype_texts
from nas.genotypes.values import ConvCellGenotype, Genotype, LayerwiseGenotype


def network_description(entry: NetworkEntry, genotype_text: str = "") -> dict[str, Any]:
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
        "operations": {} if genotype is None else count_operations(genotype),
    }


def count_parameters(entry: NetworkEntry, genotype_text: str = "") -> int:
    """The exact number of parameters at the published sizes.

    No memory is taken for them, but where a network computes its own widths with tensors: torchvision's RegNets do.
    """
    spec, generator = published_spec(entry), torch.Generator("cpu")
    try:
        with torch.device("meta"):
            network = build(entry.name, {}, spec, generator, genotype=genotype_text)
    except NotImplementedError:
        network = build(entry.name, {}, spec, generator, genotype=genotype_text)
    return sum(parameter.numel() for parameter in counted_parameters(network).values())


def count_operations(genotype: Genotype) -> dict[str, int]:
    """Operation or activation -> how often it occurs, the most frequent first."""
    if isinstance(genotype, ConvCellGenotype):
        cells = (genotype.normal, genotype.reduction)
        words = [word for cell in cells for node in cell.nodes for _, word in node]
    elif isinstance(genotype, LayerwiseGenotype):
        words = [layer.operation for layer in genotype.layers]
    else:
        words = [genotype.first, *(word for _, word in genotype.nodes)]
    return dict(Counter(words).most_common())
