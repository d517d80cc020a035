"""The searched networks for images, each with its source; torch-free.

The sizes are those of the published retraining, with its noise and its auxiliary head off: recipes
turn these on.
"""

from __future__ import annotations

from nas.catalog.entry import Drawn, Figure, Size, image_entry
from nas.genotypes.published import (
    AMOEBANET_A,
    DARTS_V1,
    DARTS_V2,
    ENAS_MACRO,
    ENAS_MICRO,
    ENAS_MICRO_PAPER,
    NAO_V2,
    NAO_WS_CNN,
    NAONET_A,
    NAONET_B,
    NASNET_A,
    PNASNET_5,
)
from nas.genotypes.random_genotypes import random_cells, random_layers

ENAS = "Pham et al. 2018, arXiv 1802.03268"
NAO = "Luo et al. 2018, arXiv 1808.07233"
DARTS = "Liu et al. 2019, arXiv 1806.09055"
ENAS_TABLE = f"{ENAS}, table 2"
NAO_TABLE = f"{NAO}, table 1"
DARTS_TABLE = f"{DARTS}, table 1"
REVIEW_TABLE = "Li & Talwalkar 2019, arXiv 1902.07638, table 5"


def _error(value: str, source: str, *, how: str) -> Figure:
    return Figure(what=f"CIFAR-10 test error, {how}", value=value, source=source)


def _weights(value: str, source: str, *, how: str = "") -> Figure:
    return Figure(what=f"parameters{how}", value=value, source=source)


def _cells(normal_cells: int) -> dict[str, Size]:
    return {
        "channels": 36,
        "normal_cells": normal_cells,
        "reductions": 2,
        "drop_path": 0.0,
        "dropout": 0.0,
        "auxiliary": 0,
    }


def _layers() -> dict[str, Size]:
    return {"channels": 96, "dropout": 0.0}


_ENAS_MACRO_FIGURES = (
    _error("4.23 %", ENAS_TABLE, how="without cutout"),
    _weights("21.3 M", ENAS_TABLE, how=", of layers that are not in the release"),
    _error("3.87 %", ENAS_TABLE, how="more channels, without cutout"),
    _weights("38.0 M", ENAS_TABLE, how=", more channels, of layers that are not in the release"),
)
_ENAS_MICRO_FIGURES = (
    _error("3.54 %", ENAS_TABLE, how="without cutout"),
    _error("2.89 %", ENAS_TABLE, how="cutout"),
    _weights("4.6 M", ENAS_TABLE, how="; enas-micro has 4,587,372 with normal_cells 6"),
)

SEARCHED = (
    image_entry(
        "enas-micro",
        "convolutional cells found by ENAS, micro space, as released",
        f"{ENAS}; melodyguan/enas, cifar10_micro_final.sh",
        _cells(5),
        *_ENAS_MICRO_FIGURES,
        _error("2.91 %", DARTS_TABLE, how="cutout, retrained by the authors of DARTS"),
        _weights("4.2 M", DARTS_TABLE, how=", retrained by the authors of DARTS"),
        genotype=ENAS_MICRO,
        encoding="ENAS micro",
    ),
    image_entry(
        "enas-micro-paper",
        "convolutional cells found by ENAS, micro space, as drawn in the paper",
        f"{ENAS}, figure 8; renqianluo/NAO, cnn/dag.py",
        _cells(5),
        *_ENAS_MICRO_FIGURES,
        genotype=ENAS_MICRO_PAPER,
        encoding="ENAS micro",
    ),
    image_entry(
        "enas-macro",
        "24 layers found by ENAS, macro space, with separable convolutions",
        f"{ENAS}; melodyguan/enas, cifar10_macro_final.sh",
        _layers(),
        *_ENAS_MACRO_FIGURES,
        genotype=ENAS_MACRO,
        encoding="ENAS macro",
    ),
    image_entry(
        "enas-macro-released",
        "the same 24 layers, the separable convolutions full ones as in the released code",
        f"{ENAS}; melodyguan/enas, cifar10_macro_final.sh and general_child.py (_fixed_layer)",
        _layers(),
        *_ENAS_MACRO_FIGURES,
        genotype=ENAS_MACRO,
        encoding="ENAS macro",
    ),
    image_entry(
        "naonet-a",
        "convolutional cells found by NAO; published with 36 and with 128 channels",
        f"{NAO}; NAO_pytorch, NAO_V1/train_NAONet_A_36_cifar10.sh",
        _cells(6),
        _error("2.48 %", "NAO_pytorch, NAO_V1/README.md", how="36 channels, cutout"),
        _error("1.93 %", "NAO_pytorch, NAO_V1/README.md", how="128 channels, cutout"),
        _error("2.11 %", NAO_TABLE, how="128 channels, cutout"),
        _weights("128 M", NAO_TABLE, how=", 128 channels; 144,576,394 as released"),
        genotype=NAONET_A,
        encoding="NAO",
    ),
    image_entry(
        "naonet-b",
        "convolutional cells found by NAO with weight sharing, PyTorch release",
        f"{NAO}; NAO_pytorch, NAO_V1/train_NAONet_B_36_cifar10.sh",
        _cells(6),
        _error("2.93 %", "NAO_pytorch, NAO_V1/README.md", how="36 channels, cutout"),
        genotype=NAONET_B,
        encoding="NAO",
    ),
    image_entry(
        "nao-ws-cnn",
        "convolutional cells found by NAO with weight sharing, TensorFlow release, wired as ENAS",
        f"{NAO}; renqianluo/NAO, NAO-WS/cnn/train_final.sh and model.py, a copy of ENAS's",
        _cells(5),
        _error("3.53 %", NAO_TABLE, how="without cutout"),
        _error("2.93 %", NAO_TABLE, how="cutout"),
        _weights("2.5 M", NAO_TABLE, how=", with the sizes here"),
        genotype=NAO_WS_CNN,
        encoding="NAO",
    ),
    image_entry(
        "nao-v2",
        "convolutional cells found by NAO-V2, balanced one-shot search",
        "Luo et al. 2019, arXiv 1909.10815; NAO_pytorch, NAO_V2/train_NAONet_V2_36_cifar10.sh",
        _cells(6),
        _error("2.57 %", "NAO_pytorch, NAO_V2/README.md", how="cutout"),
        genotype=NAO_V2,
        encoding="NAO",
    ),
    image_entry(
        "darts-v1",
        "convolutional cells found by first-order DARTS",
        f"{DARTS}; quark0/darts, cnn/genotypes.py (DARTS_V1)",
        _cells(6),
        _error("3.00 ± 0.14 %", DARTS_TABLE, how="cutout"),
        _weights("3.3 M", DARTS_TABLE),
        genotype=DARTS_V1,
    ),
    image_entry(
        "darts-v2",
        "convolutional cells found by second-order DARTS",
        f"{DARTS}; quark0/darts, cnn/genotypes.py (DARTS_V2)",
        _cells(6),
        _error("2.76 ± 0.09 %", DARTS_TABLE, how="cutout"),
        _weights("3.3 M", DARTS_TABLE),
        _error("2.78 ± 0.12 %", REVIEW_TABLE, how="cutout, retrained"),
        genotype=DARTS_V2,
    ),
    image_entry(
        "nasnet-a",
        "convolutional cells found by reinforcement learning, wired as DARTS does",
        "Zoph et al. 2018, arXiv 1707.07012; quark0/darts, cnn/genotypes.py (NASNet)",
        _cells(6),
        _error("2.65 %", REVIEW_TABLE, how="cutout"),
        _weights("3.3 M", REVIEW_TABLE),
        genotype=NASNET_A,
    ),
    image_entry(
        "amoebanet-a",
        "convolutional cells found by evolution, wired as DARTS does",
        "Real et al. 2019, arXiv 1802.01548; quark0/darts, cnn/genotypes.py (AmoebaNet)",
        _cells(6),
        _error("3.34 ± 0.06 %", DARTS_TABLE, how="without cutout"),
        _weights("3.2 M", DARTS_TABLE),
        _error("3.12 %", DARTS_TABLE, how="cutout, retrained by the authors of DARTS"),
        _weights("3.1 M", DARTS_TABLE, how=", retrained by the authors of DARTS"),
        genotype=AMOEBANET_A,
    ),
    image_entry(
        "pnasnet-5",
        "one convolutional cell found by progressive search, wired as DARTS does",
        "Liu et al. 2018, arXiv 1712.00559; Cadene/pretrained-models.pytorch, pnasnet.py",
        _cells(6),
        _error("3.41 ± 0.09 %", DARTS_TABLE, how="without cutout"),
        _weights("3.2 M", DARTS_TABLE),
        genotype=PNASNET_5,
    ),
    image_entry(
        "random-micro",
        "cells drawn at random from the ENAS micro space, one pair for each seed",
        f"drawn from the micro space of {ENAS}, section 2.4; sizes of enas-micro",
        {**_cells(5), "seed": 0, "nodes": 5},
        encoding="ENAS micro",
        drawn=Drawn(draw=random_cells, sizes=("seed", "nodes")),
    ),
    image_entry(
        "random-macro",
        "layers drawn at random from the ENAS macro space, one network for each seed",
        f"drawn from the macro space of {ENAS}, section 2.3; sizes of enas-macro",
        {**_layers(), "seed": 0, "layers": 24},
        encoding="ENAS macro",
        drawn=Drawn(draw=random_layers, sizes=("seed", "layers")),
    ),
)
