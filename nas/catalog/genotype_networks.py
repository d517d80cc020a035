"""Networks of a genotype that a user gives as text: of a search of this project, or of anyone's; torch-free.

They are built, and have the sizes, as a published network of the same space.
"""

from __future__ import annotations

from dataclasses import replace

from nas.catalog.entry import NetworkEntry
from nas.catalog.papers import DARTS_PAPER, ENAS_PAPER, NAO_PAPER
from nas.catalog.searched_images import SEARCHED
from nas.catalog.searched_text import TEXT

_PUBLISHED = {entry.name: entry for entry in (*SEARCHED, *TEXT)}


def _accepting(
    name: str, summary: str, source: str, *, like: str, accepts: tuple[str, ...]
) -> NetworkEntry:
    """A network like a published one, without its genotype."""
    return replace(
        _PUBLISHED[like],
        name=name,
        summary=summary,
        source=source,
        genotype=None,
        encoding="",
        accepts=accepts,
        published=(),
    )


# Of each wiring, its own encoding first.
GENOTYPE_NETWORKS = (
    _accepting(
        "searched-cells",
        "convolutional cells that you give as a genotype, wired as in ENAS",
        f"your genotype; wiring and sizes: {ENAS_PAPER}; melodyguan/enas, cifar10_micro_final.sh",
        like="enas-micro",
        accepts=("ENAS micro", "NAO", "DARTS"),
    ),
    _accepting(
        "searched-cells-nao",
        "convolutional cells that you give as a genotype, wired as in NAO",
        f"your genotype; wiring and sizes: {NAO_PAPER}; NAO_pytorch, NAO_V1/model.py",
        like="naonet-a",
        accepts=("NAO", "ENAS micro", "DARTS"),
    ),
    _accepting(
        "searched-cells-darts",
        "convolutional cells that you give as a genotype, wired as in DARTS",
        f"your genotype; wiring and sizes: {DARTS_PAPER}; quark0/darts, cnn/model.py",
        like="darts-v2",
        accepts=("DARTS", "NAO", "ENAS micro"),
    ),
    _accepting(
        "searched-layers",
        "layers that you give as a genotype, with separable convolutions",
        f"your genotype; wiring and sizes: {ENAS_PAPER}; melodyguan/enas, cifar10_macro_final.sh",
        like="enas-macro",
        accepts=("ENAS macro",),
    ),
    _accepting(
        "searched-rnn",
        "recurrent cell that you give as a genotype",
        f"your genotype; sizes, dropouts, start and decoder of enas-rnn: {ENAS_PAPER}; melodyguan/enas, ptb_final.sh",
        like="enas-rnn",
        accepts=(
            "ENAS recurrent",
            "enas_lm",
            "NAO recurrent",
            "NAO-WS recurrent",
            "DARTS recurrent",
        ),
    ),
)
