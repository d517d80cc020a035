"""Stacked or looped: how replicates are trained together, and which is faster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal

import torch
from torch import nn

from training.specs import Spec

Batching = Literal["stacked", "looped"]


@dataclass(frozen=True, kw_only=True)
class BatchingDefaults:
    """Which batching is faster on a kind of device.

    Attributes:
        source: where that was measured, or why it is thought so.
        single: of one replicate.
        several: of more.
        large_features: channels times pixels from which on convolutional replicates are looped.
    """

    source: str
    single: Batching = "stacked"
    several: Batching = "stacked"
    large_features: float = math.inf


# By the type of a device, as torch names it.
DEFAULTS: dict[str, BatchingDefaults] = {
    "cpu": BatchingDefaults(
        source="measured on two cores of an AMD EPYC with AVX2 (benchmarks/README.md): a stack of one only costs, and "
        "one of large features does not stay in the cache",
        single="looped",
        large_features=20_000,
    ),
    "cuda": BatchingDefaults(
        source="not measured; reasoned: a small network's step is bound by its launches, and a stack has those of one "
        "network; linear layers, recurrent matrices and 1x1 convolutions of a stack are batched products. Grouped "
        "convolutions may be slower than a launch per replicate, the more so in bf16 with channels last: from which "
        "features on is to be measured on a card",
    ),
}
# Of devices that nobody has thought of.
_OTHERS = DEFAULTS["cuda"]


def default_batching(network: nn.Module, spec: Spec, device: torch.device, count: int) -> Batching:
    """The default for `count` replicates, by `DEFAULTS`; looped where `vmap` has no rule: torch's recurrent modules."""
    if has_torch_recurrence(network):
        return "looped"
    defaults = DEFAULTS.get(device.type, _OTHERS)
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    if widths and median(widths) * spec.pixels >= defaults.large_features:
        return "looped"
    return defaults.single if count == 1 else defaults.several


def has_torch_recurrence(network: nn.Module) -> bool:
    """Whether one of torch's own recurrent modules stands in a network."""
    return any(isinstance(module, nn.RNNBase) for module in network.modules())
