"""How each source builds a network from the cells that it searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.convolutional.initialisation import Initialisation
from nas.convolutional.operations import DARTS_OPERATIONS, ENAS_OPERATIONS, OPERATIONS, Constructor


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What one source's release builds its own way around the same graph.

    Attributes:
        operations: the constructor of each word.
        always_calibrated: whether both inputs pass ReLU-1x1-BN even where their channels agree.
        newer_twice: whether the newer input passes one more ReLU-1x1-BN, `layer_base`.
        dropped_identities: the strides of the identities on which drop-path acts; it acts on every
            other operation.
        drop_path_grows: whether drop-path grows linearly from cell to cell, up to its full
            probability in the last one; else every cell has that.
        rectified: whether a ReLU stands before the mean over the image.
        bias: whether the classifiers have one.
        auxiliary_after: how many cells after the last reduction the auxiliary head reads.
        start: how initial weights are drawn, a word of `nas.convolutional.initialisation`.
    """

    operations: Mapping[str, Constructor]
    always_calibrated: bool
    newer_twice: bool
    dropped_identities: frozenset[int]
    drop_path_grows: bool
    rectified: bool
    bias: bool
    auxiliary_after: int
    start: Initialisation


WIRINGS: Mapping[str, Wiring] = {
    # `_fixed_layer` in `micro_child.py` of melodyguan/enas, of which `NAO-WS/cnn/model.py` of
    # renqianluo/NAO is a copy. Its auxiliary head pads the second convolution and averages; ours
    # doesn't pad, which has as many weights.
    "enas": Wiring(
        operations=ENAS_OPERATIONS,
        always_calibrated=False,
        newer_twice=True,
        dropped_identities=frozenset(),
        drop_path_grows=True,
        rectified=True,
        bias=False,
        auxiliary_after=1,
        start="enas",
    ),
    # `NAO_V1/model.py` of renqianluo/NAO_pytorch; NAO_V2 has the same network.
    "nao": Wiring(
        operations=OPERATIONS,
        always_calibrated=False,
        newer_twice=False,
        dropped_identities=frozenset({1, 2}),
        drop_path_grows=True,
        rectified=False,
        bias=True,
        auxiliary_after=0,
        start="nao",
    ),
    # `cnn/model.py` and `cnn/train.py` of quark0/darts.
    "darts": Wiring(
        operations=DARTS_OPERATIONS,
        always_calibrated=True,
        newer_twice=False,
        dropped_identities=frozenset({2}),
        drop_path_grows=False,
        rectified=False,
        bias=True,
        auxiliary_after=0,
        start="darts",
    ),
}
