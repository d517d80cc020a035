"""ENAS's controller and NAO made small: as published, with fewer samples and narrower networks; torch-free."""

from __future__ import annotations

import dataclasses
from typing import Any

from nas.search.configs import SearchConfig
from nas.search.controller_config import ControllerConfig, SpaceName
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig

ENAS_CHANGES = "12 updates of the controller of 5 samples in each phase, at learning rate 0.01"
NAO_CHANGES = (
    "a pool of {pool}, {new} new architectures in each of {rounds} rounds, and 150 epochs of encoder, predictor and "
    "decoder with 48 units, of which a fifth of the pool is held out"
)
# A fifth is held out, as NAO never does, so that the searches say how good the predictor is.
_NAO_SIZES: dict[str, Any] = {
    "top": 10,
    "rounds": 3,
    "embedding": 16,
    "hidden": 48,
    "predictor_width": 48,
    "epochs": 150,
    "batch_size": 20,
    "hold_out": 0.2,
}


def small_controller(full: SearchConfig) -> ControllerConfig:
    """The published controller of a space, with fewer updates of fewer samples, at a higher rate."""
    published = full.controller_in_use
    optimizer = dataclasses.replace(published.optimizer, learning_rate=1e-2)
    return dataclasses.replace(
        published, hidden=32, samples=5, updates=12, baseline_decay=0.9, optimizer=optimizer
    )


def small_nao(space: SpaceName, *, sharing: bool, every: int = 1) -> NaoConfig:
    """The published settings of a space, with a smaller pool, fewer rounds and narrower networks."""
    published = NAO_DEFAULTS[space, sharing]
    pool = {"pool": 40, "new": 12, "random": 4} if sharing else {"pool": 24, "new": 8, "random": 0}
    layers = min(1, published.predictor_layers)
    return dataclasses.replace(
        published, **_NAO_SIZES, **pool, every=every, predictor_layers=layers
    )
