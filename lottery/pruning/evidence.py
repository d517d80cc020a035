"""What a criterion is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lottery.pruning.masks import Tensors

# Weights `[R, ...]`, and over how many training batches -> the mean gradient of the loss there, `[R, ...]`.
Gradients = Callable[[Mapping[str, Tensor], int], Tensors]
Need = Literal["start", "final", "gradients"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may look at: each `[R, ...]` by parameter name, on the device.

    Attributes:
        start: tensors at the rewind step, of the whole network.
        final: trained tensors, of the whole network; none where the criterion needs none.
        mask: what is kept so far.
        generators: one for each replicate, for criteria that draw.
        gradients: of the training loss, in training mode, over each replicate's first batches; of all weights of the
            network, the pruned ones among them.
    """

    start: Tensors
    final: Tensors
    mask: Tensors
    generators: Sequence[torch.Generator]
    gradients: Gradients


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A score for each weight that is still kept.

    Attributes:
        summary: in one line.
        scores: from the evidence, for each parameter that the mask covers, `[R, ...]`.
        needs: what of the evidence it looks at.
        rounds: into how many prunings, each with scores of its own, one level's is divided.
    """

    summary: str
    scores: Callable[[Evidence], Tensors]
    needs: tuple[Need, ...]
    rounds: int = 1
