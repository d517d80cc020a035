"""Published networks by name, each with its source and its sizes; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from nas.genotypes import (
    ConvCellGenotype,
    RecurrentGenotype,
    parse_enas_lm,
    parse_enas_micro,
    parse_enas_rnn,
)
from training.errors import LotteryError, unknown

Size = int | float | tuple[int, ...]

# The widest published layer is far below; a slip of the keyboard should not ask for terabytes.
MAX_SIZE = 65_536
# The sizes that may be 0; every other integer is at least 1.
MAY_BE_ZERO = frozenset({"reductions"})


@dataclass(frozen=True, kw_only=True)
class NetworkEntry:
    """What is known of a network before it is built.

    Attributes:
        name: what a user types.
        origin: "searched" or "designed".
        task: "images" or "text".
        summary: one line for lists.
        source: the paper or the file that it comes from.
        genotype: of a searched network; None for a designed one.
        sizes: name -> default; a float is a dropout probability, an int or a tuple of ints counts
            units.
    """

    name: str
    origin: str
    task: str
    summary: str
    source: str
    genotype: ConvCellGenotype | RecurrentGenotype | None
    sizes: Mapping[str, Size]


ENAS_MICRO = parse_enas_micro(
    "0 2 0 0  0 4 0 1  0 4 1 1  1 0 0 1  0 2 1 1  1 0 1 0  0 3 0 2  1 1 3 1  1 0 0 4  0 3 1 1"
)
ENAS_RNN = parse_enas_rnn("0  0 0  1 1  2 1  2 0  2 0  5 1  1 0  6 1  8 1  8 1  8 1")
ENAS_LM = parse_enas_lm("0 2  1 0  2 1  2 2  4 0  5 0  3 2  6 2")


_ENTRIES = (
    NetworkEntry(
        name="enas-micro",
        origin="searched",
        task="images",
        summary="convolutional cells found by ENAS, micro space",
        source="Pham et al. 2018, arXiv 1802.03268; melodyguan/enas, cifar10_micro_final.sh",
        genotype=ENAS_MICRO,
        sizes={"channels": 36, "normal_cells": 5, "reductions": 2},
    ),
    NetworkEntry(
        name="lenet-300-100",
        origin="designed",
        task="images",
        summary="fully connected layers of any widths",
        source="LeCun et al. 1998; Frankle & Carbin 2019, arXiv 1803.03635, figure 2",
        genotype=None,
        sizes={"widths": (300, 100)},
    ),
    NetworkEntry(
        name="resnet",
        origin="designed",
        task="images",
        summary="residual network for small images, of depth 6n + 2",
        source="He et al. 2016, arXiv 1512.03385, section 4.2",
        genotype=None,
        sizes={"depth": 20, "width": 16},
    ),
    NetworkEntry(
        name="enas-rnn",
        origin="searched",
        task="text",
        summary="recurrent cell of 12 nodes found by ENAS",
        source="Pham et al. 2018, arXiv 1802.03268; melodyguan/enas, ptb_final.sh",
        genotype=ENAS_RNN,
        sizes={
            "hidden": 748,
            "dropout_embedding": 0.21,
            "dropout_input": 0.0,
            "dropout_cell_input": 0.75,
            "dropout_cell_state": 0.25,
            "dropout_output": 0.76,
        },
    ),
    NetworkEntry(
        name="enas-lm",
        origin="searched",
        task="text",
        summary="recurrent cell of 8 searched nodes found by the corrected ENAS code",
        source="google-research/enas_lm: README (cell) and src/fixed_lib.py (sizes, dropouts)",
        genotype=ENAS_LM,
        sizes={
            "hidden": 800,
            "dropout_embedding": 0.125,
            "dropout_input": 0.175,
            "dropout_cell_input": 0.725,
            "dropout_cell_state": 0.225,
            "dropout_output": 0.75,
        },
    ),
    NetworkEntry(
        name="awd-lstm",
        origin="designed",
        task="text",
        summary="LSTM with DropConnect and locked dropouts; sizes for the Penn Treebank",
        source="Merity et al. 2018, arXiv 1708.02182, section 5",
        genotype=None,
        sizes={
            "embedding": 400,
            "hidden": 1150,
            "layers": 3,
            "dropout_embedding": 0.1,
            "dropout_input": 0.4,
            "dropout_hidden": 0.3,
            "dropout_output": 0.4,
            "dropconnect": 0.5,
        },
    ),
    NetworkEntry(
        name="lstm",
        origin="designed",
        task="text",
        summary="LSTM without any dropout: the baseline",
        source="Zaremba et al. 2014, arXiv 1409.2329, section 4.1: the non-regularized sizes",
        genotype=None,
        sizes={"embedding": 200, "hidden": 200, "layers": 2},
    ),
)
NETWORKS: dict[str, NetworkEntry] = {entry.name: entry for entry in _ENTRIES}


def entry(name: str) -> NetworkEntry:
    """The network of a name.

    Raises:
        LotteryError: there is none; near names are offered.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]


def check_size(entry: NetworkEntry, given: Mapping[str, object]) -> dict[str, Any]:
    """The sizes to build with: the defaults, overlaid with what is given.

    Returns:
        Plain JSON values: int, float or list of int.

    Raises:
        LotteryError: a size that the network does not have, or a value that it can't take.
    """
    for key in given:
        if key not in entry.sizes:
            raise unknown(f"size of {entry.name}", key, entry.sizes)
    return {
        key: _checked(entry.name, key, default, given.get(key, default))
        for key, default in entry.sizes.items()
    }


def _checked(network: str, key: str, default: Size, value: object) -> int | float | list[int]:
    least = 0 if key in MAY_BE_ZERO else 1
    counts = f"whole numbers from {least} to {MAX_SIZE:,}"
    if isinstance(default, float):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
            return float(value)
        possible = "a probability, from 0 to below 1"
    elif isinstance(default, int):
        if _is_count(value, least):
            return value
        possible = f"one of the {counts}"
    else:
        if isinstance(value, list | tuple) and value and all(_is_count(v, least) for v in value):
            return list(value)
        possible = f"a list of {counts}, such as {list(default)}"
    raise LotteryError(f"The size {key} of {network} is {value!r}, but it must be {possible}.")


def _is_count(value: object, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_SIZE
