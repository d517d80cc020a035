"""The only door to networks: from a name and sizes to a module with its initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from nas.catalog.catalog import NETWORKS, entry
from nas.catalog.entry import NetworkEntry, check_size, genotype_of, missing_genotype
from nas.catalog.outside_networks import Factory, own_network
from nas.normalised_weights import bear_zeros
from training.dropout import replace_dropout
from training.errors import LotteryError
from training.seeded_draws import default_generator_seeded
from training.specs import Spec


def build(
    name: str,
    size: Mapping[str, object],
    spec: Spec,
    generator: torch.Generator,
    factory: Factory | None = None,
    genotype: str = "",
) -> nn.Module:
    """A network with initial weights.

    Args:
        name: in the catalog, `torchvision/NAME` or `package.module:factory`.
        size: what differs from the catalog's sizes.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.
        factory: of a network of the user's own, from `import_factory`; else unused.
        genotype: of a network that accepts one, as text.

    Raises:
        LotteryError: the name or a size is unknown or impossible, the genotype is missing or malformed, or the network
            is for another kind of task.
    """
    found = entry(name, genotype)
    sizes = check_size(found, size)
    _check_task(found, spec)
    graph = genotype_of(found, sizes)
    if graph is not None:
        # The sizes that drew it are not those of its network.
        drawing = found.drawn.sizes if found.drawn else ()
        sizes = {key: value for key, value in sizes.items() if key not in drawing}
        sizes["genotype"] = graph
    elif found.accepts:
        raise missing_genotype(found)
    # Before the generator is seeded: an import may draw from it.
    construct = _constructor(found, factory)
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with default_generator_seeded(seed):
        network = construct(spec, **sizes)
    return bear_zeros(replace_dropout(network))


def _constructor(found: NetworkEntry, factory: Factory | None) -> Callable[..., nn.Module]:
    if found.builder is None:
        return partial(own_network, found.name, factory)
    return found.builder.load()


def _check_task(found: NetworkEntry, spec: Spec) -> None:
    if found.task not in (spec.kind, "any"):
        others = ", ".join(sorted(name for name, e in NETWORKS.items() if e.task == spec.kind))
        remedy = f"one of {others}" if others else "other data, or a network of your own"
        raise LotteryError(
            f"The network {found.name} is for {found.task} and this task is about {spec.kind}; "
            f"choose {remedy}."
        )
