"""Networks by name: the published ones, torchvision's, and the user's own; torch-free."""

from __future__ import annotations

from nas.designed_entries import DESIGNED
from nas.entry import IMAGENET, NetworkEntry, image_entry
from nas.lstm_entries import LSTMS
from nas.searched_entries import SEARCHED
from nas.text_entries import TEXT
from training.errors import unknown

NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry for entry in (*SEARCHED, *DESIGNED, *TEXT, *LSTMS)
}

TORCHVISION = "torchvision/"


def is_own(name: str) -> bool:
    """Whether a name is `package.module:factory`, code of the user's own."""
    return ":" in name


def entry(name: str) -> NetworkEntry:
    """The network of a name: of the catalog, `torchvision/NAME` or `package.module:factory`.

    Whether torchvision has such a network, and whether the user's code can be imported, is found when it is built.

    Raises:
        LotteryError: there is none; near names are offered.
    """
    if is_own(name):
        return _own(name)
    if name.startswith(TORCHVISION):
        return _torchvision(name)
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]


def _own(name: str) -> NetworkEntry:
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
