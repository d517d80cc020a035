"""ENAS's controller and NAO made small: as published, with fewer samples and narrower networks; torch-free."""

from __future__ import annotations

import dataclasses

from nas.search.configs import SearchConfig
from nas.search.controller_config import ControllerConfig, SpaceName
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig

ENAS_CHANGES = "12 updates of the controller of 5 samples in each phase, at learning rate 0.01"


def small_controller(full: SearchConfig) -> ControllerConfig:
    """The published controller of a space, with fewer updates of fewer samples, at a higher rate."""
    published = full.controller_in_use
    optimizer = dataclasses.replace(published.optimizer, learning_rate=1e-2)
    return dataclasses.replace(
        published, hidden=32, samples=5, updates=12, baseline_decay=0.9, optimizer=optimizer
    )


def nao_changes(small: NaoConfig) -> str:
    """What of NAO is smaller, in words."""
    new = f"{small.new} new and {small.random} random" if small.random else f"{small.new} new"
    layers = small.predictor_layers
    predictor = f"predictor of {layers} layer{'s' * (layers > 1)}" if layers else "linear predictor"
    held_out = f" ({small.hold_out:.0%} of the pool held out)" if small.hold_out else ""
    return (
        f"a pool of {small.pool}, of which the best {small.top} are moved, {new} architectures in each of "
        f"{small.rounds} rounds, and {small.epochs} epochs of encoder, {predictor} and decoder with {small.hidden} "
        f"units{held_out}"
    )


def small_nao(space: SpaceName, *, sharing: bool, every: int = 1) -> NaoConfig:
    """The published settings of a space, with a smaller pool, fewer rounds and narrower networks."""
    published = NAO_DEFAULTS[space, sharing]
    return dataclasses.replace(
        published,
        pool=40 if sharing else 24,
        top=10,
        new=12 if sharing else 8,
        random=4 if sharing else 0,
        rounds=3,
        every=every,
        embedding=16,
        hidden=48,
        predictor_layers=min(1, published.predictor_layers),
        predictor_width=48,
        epochs=150,
        batch_size=20,
        # NAO never holds any out; so the searches say how good the predictor is.
        hold_out=0.2,
    )
