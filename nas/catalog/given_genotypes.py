"""Networks whose genotype is given as text: of a search of this project, or of anyone's; torch-free.

The sizes are those of the published retraining in the same space.
"""

from __future__ import annotations

from nas.catalog.entry import CIFAR_10, PENN_TREEBANK, NetworkEntry, Size
from nas.catalog.searched_images import DARTS as DARTS_PAPER
from nas.catalog.searched_images import ENAS, NAO
from nas.genotypes.encodings import DARTS, DARTS_RECURRENT
from training.specs import Spec

# Of each wiring, its own encoding first.
ENAS_CELLS = ("ENAS micro", "NAO", DARTS)
NAO_CELLS = ("NAO", "ENAS micro", DARTS)
DARTS_CELLS = (DARTS, "NAO", "ENAS micro")
LAYERS = ("ENAS macro",)
RECURRENT = ("ENAS recurrent", "enas_lm", "NAO recurrent", "NAO-WS recurrent", DARTS_RECURRENT)


def _given(
    name: str, summary: str, source: str, sizes: dict[str, Size], spec: Spec, given: tuple[str, ...]
) -> NetworkEntry:
    return NetworkEntry(
        name=name,
        origin="searched",
        task=spec.kind,
        summary=summary,
        source=source,
        genotype=None,
        sizes=sizes,
        spec=spec,
        given=given,
    )


def _cells(
    name: str, whose: str, source: str, normal_cells: int, given: tuple[str, ...]
) -> NetworkEntry:
    sizes: dict[str, Size] = {
        "channels": 36,
        "normal_cells": normal_cells,
        "reductions": 2,
        "drop_path": 0.0,
        "dropout": 0.0,
        "auxiliary": 0,
    }
    summary = f"convolutional cells that you give as a genotype, wired as in {whose}"
    return _given(
        name, summary, f"your genotype; wiring and sizes: {source}", sizes, CIFAR_10, given
    )


GIVEN: dict[str, NetworkEntry] = {
    entry.name: entry
    for entry in (
        _cells(
            "searched-cells",
            "ENAS",
            f"{ENAS}; melodyguan/enas, cifar10_micro_final.sh",
            5,
            ENAS_CELLS,
        ),
        _cells("searched-cells-nao", "NAO", f"{NAO}; NAO_pytorch, NAO_V1/model.py", 6, NAO_CELLS),
        _cells(
            "searched-cells-darts",
            "DARTS",
            f"{DARTS_PAPER}; quark0/darts, cnn/model.py",
            6,
            DARTS_CELLS,
        ),
        _given(
            "searched-layers",
            "layers that you give as a genotype, with separable convolutions",
            f"your genotype; wiring and sizes: {ENAS}; melodyguan/enas, cifar10_macro_final.sh",
            {"channels": 96, "dropout": 0.0},
            CIFAR_10,
            LAYERS,
        ),
        _given(
            "searched-rnn",
            "recurrent cell that you give as a genotype",
            f"your genotype; sizes, dropouts, start and decoder of enas-rnn: {ENAS}; melodyguan/enas, ptb_final.sh",
            {
                "hidden": 748,
                "dropout_embedding": 0.21,
                "dropout_input": 0.0,
                "dropout_cell_input": 0.75,
                "dropout_cell_state": 0.25,
                "dropout_output": 0.76,
            },
            PENN_TREEBANK,
            RECURRENT,
        ),
    )
}
