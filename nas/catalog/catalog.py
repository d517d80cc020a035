"""Networks by name: the published ones, torchvision's, and the user's own; torch-free."""

from __future__ import annotations

import re

from nas.catalog.designed_images import DESIGNED
from nas.catalog.designed_text import LSTMS
from nas.catalog.entry import IMAGENET, NetworkEntry, image_entry
from nas.catalog.given_genotypes import GIVEN
from nas.catalog.searched_images import SEARCHED
from nas.catalog.searched_text import TEXT
from nas.genotypes.encodings import given_genotype
from training.errors import LotteryError, unknown

NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry for entry in (*SEARCHED, *DESIGNED, *TEXT, *LSTMS)
}

TORCHVISION = "torchvision/"


def is_known(name: str) -> bool:
    """Whether a network is one of this project's own."""
    return name in NETWORKS or name in GIVEN


def is_own(name: str) -> bool:
    """Whether a name is `package.module:factory`, code of the user's own."""
    return ":" in name


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
        genotype: of one in `GIVEN`, as text; its entry is without one where this is left out.

    Raises:
        LotteryError: there is none, near names are offered; or the name or the genotype is malformed, or it takes none.
    """
    if is_own(name):
        return given_genotype(_own(name), genotype)
    if name.startswith(TORCHVISION):
        return given_genotype(_torchvision(name), genotype)
    known = {**NETWORKS, **GIVEN}
    if name not in known:
        raise unknown("network", name, known, "lottery networks")
    return given_genotype(known[name], genotype)


def _own(name: str) -> NetworkEntry:
    own_parts(name)
    return NetworkEntry(
        name=name,
        origin="own",
        task="any",
        summary="your own",
        source=name,
        genotype=None,
        sizes={},
        spec=None,
    )


def _torchvision(name: str) -> NetworkEntry:
    summary = "classification network of torchvision, without its trained weights"
    source = f"torchvision.models.{name.removeprefix(TORCHVISION)}"
    return image_entry(name, summary, source, {}, spec=IMAGENET)
