"""The searched networks for images, each with its source; torch-free.

The sizes are those of the published retraining, with its noise and its auxiliary head off: recipes
turn these on.
"""

from __future__ import annotations

from nas.catalog.entry import CIFAR_10, Builder, Drawn, PublishedResult, network_entry
from nas.catalog.papers import DARTS_PAPER, ENAS_PAPER, NAO_PAPER, REVIEW_PAPER
from nas.catalog.sizes import Count, Probability, Size, depth, seed, switch
from nas.genotypes import published
from nas.genotypes.random_genotypes import random_cells, random_layers

ENAS_TABLE = f"{ENAS_PAPER}, table 2"
NAO_TABLE = f"{NAO_PAPER}, table 1"
DARTS_TABLE = f"{DARTS_PAPER}, table 1"
REVIEW_TABLE = f"{REVIEW_PAPER}, table 5"

ENAS_CELLS = Builder("nas.convolutional.cells", "CellNetwork", {"wiring": "enas"})
NAO_CELLS = Builder("nas.convolutional.cells", "CellNetwork", {"wiring": "nao"})
DARTS_CELLS = Builder("nas.convolutional.cells", "CellNetwork", {"wiring": "darts"})
LAYERS = Builder("nas.convolutional.layers", "LayerNetwork", {"separable": True})
RELEASED_LAYERS = Builder("nas.convolutional.layers", "LayerNetwork", {"separable": False})


def _error(value: str, source: str, *, how: str) -> PublishedResult:
    return PublishedResult(what=f"CIFAR-10 test error, {how}", value=value, source=source)


def _weights(value: str, source: str, *, how: str = "") -> PublishedResult:
    return PublishedResult(what=f"parameters{how}", value=value, source=source)


def _cells(normal_cells: int) -> dict[str, Size]:
    return {
        "channels": Count(36),
        "normal_cells": depth(normal_cells),
        "reductions": depth(2, least=0),
        "drop_path": Probability(0.0),
        "dropout": Probability(0.0),
        "auxiliary": switch(0),
    }


def _layers() -> dict[str, Size]:
    return {"channels": Count(96), "dropout": Probability(0.0)}


_ENAS_MACRO_RESULTS = (
    _error("4.23 %", ENAS_TABLE, how="without cutout"),
    _weights("21.3 M", ENAS_TABLE, how=", of layers that are not in the release"),
    _error("3.87 %", ENAS_TABLE, how="more channels, without cutout"),
    _weights("38.0 M", ENAS_TABLE, how=", more channels, of layers that are not in the release"),
)
_ENAS_MICRO_RESULTS = (
    _error("3.54 %", ENAS_TABLE, how="without cutout"),
    _error("2.89 %", ENAS_TABLE, how="cutout"),
    _weights("4.6 M", ENAS_TABLE, how="; enas-micro has 4,587,372 with normal_cells 6"),
)

SEARCHED = (
    network_entry(
        "enas-micro",
        "convolutional cells found by ENAS, micro space, as released",
        f"{ENAS_PAPER}; melodyguan/enas, cifar10_micro_final.sh",
        CIFAR_10,
        ENAS_CELLS,
        _cells(5),
        *_ENAS_MICRO_RESULTS,
        _error("2.91 %", DARTS_TABLE, how="cutout, retrained by the authors of DARTS"),
        _weights("4.2 M", DARTS_TABLE, how=", retrained by the authors of DARTS"),
        genotype=published.ENAS_MICRO,
        encoding="ENAS micro",
    ),
    network_entry(
        "enas-micro-paper",
        "convolutional cells found by ENAS, micro space, as drawn in the paper",
        f"{ENAS_PAPER}, figure 8; renqianluo/NAO, cnn/dag.py",
        CIFAR_10,
        ENAS_CELLS,
        _cells(5),
        *_ENAS_MICRO_RESULTS,
        genotype=published.ENAS_MICRO_PAPER,
        encoding="ENAS micro",
    ),
    network_entry(
        "enas-macro",
        "24 layers found by ENAS, macro space, with separable convolutions",
        f"{ENAS_PAPER}; melodyguan/enas, cifar10_macro_final.sh",
        CIFAR_10,
        LAYERS,
        _layers(),
        *_ENAS_MACRO_RESULTS,
        genotype=published.ENAS_MACRO,
        encoding="ENAS macro",
    ),
    network_entry(
        "enas-macro-released",
        "the same 24 layers, the separable convolutions full ones as in the released code",
        f"{ENAS_PAPER}; melodyguan/enas, cifar10_macro_final.sh and general_child.py (_fixed_layer)",
        CIFAR_10,
        RELEASED_LAYERS,
        _layers(),
        *_ENAS_MACRO_RESULTS,
        genotype=published.ENAS_MACRO,
        encoding="ENAS macro",
    ),
    network_entry(
        "naonet-a",
        "convolutional cells found by NAO; published with 36 and with 128 channels",
        f"{NAO_PAPER}; NAO_pytorch, NAO_V1/train_NAONet_A_36_cifar10.sh",
        CIFAR_10,
        NAO_CELLS,
        _cells(6),
        _error("2.48 %", "NAO_pytorch, NAO_V1/README.md", how="36 channels, cutout"),
        _error("1.93 %", "NAO_pytorch, NAO_V1/README.md", how="128 channels, cutout"),
        _error("2.11 %", NAO_TABLE, how="128 channels, cutout"),
        _weights("128 M", NAO_TABLE, how=", 128 channels; 144,576,394 as released"),
        genotype=published.NAONET_A,
        encoding="NAO",
    ),
    network_entry(
        "naonet-b",
        "convolutional cells found by NAO with weight sharing, PyTorch release",
        f"{NAO_PAPER}; NAO_pytorch, NAO_V1/train_NAONet_B_36_cifar10.sh",
        CIFAR_10,
        NAO_CELLS,
        _cells(6),
        _error("2.93 %", "NAO_pytorch, NAO_V1/README.md", how="36 channels, cutout"),
        genotype=published.NAONET_B,
        encoding="NAO",
    ),
    network_entry(
        "nao-ws-cnn",
        "convolutional cells found by NAO with weight sharing, TensorFlow release, wired as ENAS",
        f"{NAO_PAPER}; renqianluo/NAO, NAO-WS/cnn/train_final.sh and model.py, a copy of ENAS's",
        CIFAR_10,
        ENAS_CELLS,
        _cells(5),
        _error("3.53 %", NAO_TABLE, how="without cutout"),
        _error("2.93 %", NAO_TABLE, how="cutout"),
        _weights("2.5 M", NAO_TABLE, how=", with the sizes here"),
        genotype=published.NAO_WS_CNN,
        encoding="NAO",
    ),
    network_entry(
        "nao-v2",
        "convolutional cells found by NAO-V2, balanced one-shot search",
        "Luo et al. 2019, arXiv 1909.10815; NAO_pytorch, NAO_V2/train_NAONet_V2_36_cifar10.sh",
        CIFAR_10,
        NAO_CELLS,
        _cells(6),
        _error("2.57 %", "NAO_pytorch, NAO_V2/README.md", how="cutout"),
        genotype=published.NAO_V2,
        encoding="NAO",
    ),
    network_entry(
        "darts-v1",
        "convolutional cells found by first-order DARTS",
        f"{DARTS_PAPER}; quark0/darts, cnn/genotypes.py (DARTS_V1)",
        CIFAR_10,
        DARTS_CELLS,
        _cells(6),
        _error("3.00 ± 0.14 %", DARTS_TABLE, how="cutout"),
        _weights("3.3 M", DARTS_TABLE),
        genotype=published.DARTS_V1,
        encoding="DARTS",
    ),
    network_entry(
        "darts-v2",
        "convolutional cells found by second-order DARTS",
        f"{DARTS_PAPER}; quark0/darts, cnn/genotypes.py (DARTS_V2)",
        CIFAR_10,
        DARTS_CELLS,
        _cells(6),
        _error("2.76 ± 0.09 %", DARTS_TABLE, how="cutout"),
        _weights("3.3 M", DARTS_TABLE),
        _error("2.78 ± 0.12 %", REVIEW_TABLE, how="cutout, retrained"),
        genotype=published.DARTS_V2,
        encoding="DARTS",
    ),
    network_entry(
        "nasnet-a",
        "convolutional cells found by reinforcement learning, wired as DARTS does",
        "Zoph et al. 2018, arXiv 1707.07012; quark0/darts, cnn/genotypes.py (NASNet)",
        CIFAR_10,
        DARTS_CELLS,
        _cells(6),
        _error("2.65 %", REVIEW_TABLE, how="cutout"),
        _weights("3.3 M", REVIEW_TABLE),
        genotype=published.NASNET_A,
        encoding="DARTS",
    ),
    network_entry(
        "amoebanet-a",
        "convolutional cells found by evolution, wired as DARTS does",
        "Real et al. 2019, arXiv 1802.01548; quark0/darts, cnn/genotypes.py (AmoebaNet)",
        CIFAR_10,
        DARTS_CELLS,
        _cells(6),
        _error("3.34 ± 0.06 %", DARTS_TABLE, how="without cutout"),
        _weights("3.2 M", DARTS_TABLE),
        _error("3.12 %", DARTS_TABLE, how="cutout, retrained by the authors of DARTS"),
        _weights("3.1 M", DARTS_TABLE, how=", retrained by the authors of DARTS"),
        genotype=published.AMOEBANET_A,
        encoding="DARTS",
    ),
    network_entry(
        "pnasnet-5",
        "one convolutional cell found by progressive search, wired as DARTS does",
        "Liu et al. 2018, arXiv 1712.00559; Cadene/pretrained-models.pytorch, pnasnet.py",
        CIFAR_10,
        DARTS_CELLS,
        _cells(6),
        _error("3.41 ± 0.09 %", DARTS_TABLE, how="without cutout"),
        _weights("3.2 M", DARTS_TABLE),
        genotype=published.PNASNET_5,
        encoding="DARTS",
    ),
    network_entry(
        "random-micro",
        "cells drawn at random from the ENAS micro space, one pair for each seed",
        f"drawn from the micro space of {ENAS_PAPER}, section 2.4; sizes of enas-micro",
        CIFAR_10,
        ENAS_CELLS,
        {**_cells(5), "seed": seed(0), "nodes": depth(5)},
        encoding="ENAS micro",
        drawn=Drawn(draw=random_cells, sizes=("seed", "nodes")),
    ),
    network_entry(
        "random-macro",
        "layers drawn at random from the ENAS macro space, one network for each seed",
        f"drawn from the macro space of {ENAS_PAPER}, section 2.3; sizes of enas-macro",
        CIFAR_10,
        LAYERS,
        {**_layers(), "seed": seed(0), "layers": depth(24)},
        encoding="ENAS macro",
        drawn=Drawn(draw=random_layers, sizes=("seed", "layers")),
    ),
)
