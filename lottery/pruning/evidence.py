"""What a criterion is, and what it may look at; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from lottery.pruning.masks import Tensors

Need = Literal["start", "final", "gradients"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may look at: each `[R, ...]` by parameter name, on the device.

    Attributes:
        start: tensors at the rewind step, of the whole network.
        final: trained tensors, of the whole network; none where the criterion needs none.
        mask: what is kept so far.
        uniform: (shape of a parameter) -> draws between 0 and 1, `[R, ...]`, each replicate's from its own seed.
        gradients: (weights `[R, ...]`, over how many of each replicate's first batches) -> the mean gradient of the
            training loss there, in training mode; of all weights of the network, the pruned ones among them.
    """

    start: Tensors
    final: Tensors
    mask: Tensors
    uniform: Callable[[tuple[int, ...]], Tensor]
    gradients: Callable[[Mapping[str, Tensor], int], Tensors]


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
