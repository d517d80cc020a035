"""Networks by name: the published ones, those of your genotype, torchvision's, and the user's own; torch-free."""

from __future__ import annotations

import re

from nas.catalog.designed_images import DESIGNED
from nas.catalog.designed_text import LSTMS
from nas.catalog.entry import IMAGENET, Builder, NetworkEntry, network_entry, with_genotype
from nas.catalog.genotype_networks import GENOTYPE_NETWORKS
from nas.catalog.searched_images import SEARCHED
from nas.catalog.searched_text import TEXT
from training.errors import LotteryError, chosen

NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry for entry in (*SEARCHED, *DESIGNED, *TEXT, *LSTMS, *GENOTYPE_NETWORKS)
}

TORCHVISION = "torchvision/"


def is_known(name: str) -> bool:
    """Whether a network is one of this project's own."""
    return name in NETWORKS


def is_drawn(name: str) -> bool:
    """Whether a network's architecture is drawn at random: found by no search, and designed by nobody."""
    return is_known(name) and NETWORKS[name].drawn is not None


def own_parts(name: str) -> tuple[str, str]:
    """The module of the user's own code, and the function in it.

    Raises:
        LotteryError: the name is not `package.module:factory`.
    """
    # A file may be called what no Python name can be, such as 2-nets.py: importlib finds it.
    if not re.fullmatch(r"[^\s:./\\]+(\.[^\s:./\\]+)*:[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        raise LotteryError(
            f"{name!r} names no code; write package.module:factory, such as mynets:make for the function "
            "make in mynets.py."
        )
    module, _, path = name.partition(":")
    return module, path


def entry(name: str, genotype: str = "") -> NetworkEntry:
    """The network of a name: of the catalog, `torchvision/NAME` or `package.module:factory`.

    Whether torchvision has such a network, and whether the user's code can be imported, is found when it is built.

    Args:
        name: of the network.
        genotype: of one that accepts one, as text; its entry is without one where this is left out.

    Raises:
        LotteryError: there is none, near names are offered; or the name or the genotype is malformed, or it takes none.
    """
    if ":" in name:
        found = _own(name)
    elif name.startswith(TORCHVISION):
        found = _torchvision(name)
    else:
        found = chosen("network", name, NETWORKS, "lottery networks")
    return with_genotype(found, genotype)


def _own(name: str) -> NetworkEntry:
    own_parts(name)
    return NetworkEntry(
        name=name,
        origin="own",
        task="any",
        summary="your own",
        source=name,
        builder=None,
        sizes={},
        spec=None,
    )


def _torchvision(name: str) -> NetworkEntry:
    model = name.removeprefix(TORCHVISION)
    return network_entry(
        name,
        "classification network of torchvision, without its trained weights",
        f"torchvision.models.{model}",
        IMAGENET,
        Builder("nas.catalog.outside_networks", "torchvision_network", {"model": model}),
        {},
    )
