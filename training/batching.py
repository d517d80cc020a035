"""Stacked or looped: how replicates are trained together, and which is faster."""

from __future__ import annotations

from statistics import median
from typing import Literal

import torch
from torch import nn

from training.specs import Spec

Batching = Literal["stacked", "looped"]
# Channels times pixels from which on convolutional replicates are faster one after the other on a CPU; see benchmarks.
LARGE_FEATURES = 20_000


def default_batching(network: nn.Module, spec: Spec, device: torch.device, count: int) -> Batching:
    """The measured default for `count` replicates.

    Stacked, but looped where `vmap` has no rule (torch's own recurrent modules) and, on a CPU, for a single replicate,
    where stacking only costs, and for convolutions whose features are too large for a stack's to stay in the cache.
    """
    if has_torch_recurrence(network):
        return "looped"
    if device.type != "cpu":
        return "stacked"
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    large = bool(widths) and median(widths) * spec.pixels >= LARGE_FEATURES
    return "looped" if count == 1 or large else "stacked"


def has_torch_recurrence(network: nn.Module) -> bool:
    """Whether one of torch's own recurrent modules stands in a network."""
    return any(isinstance(module, nn.RNNBase) for module in network.modules())
