"""What a criterion is, and what it may look at; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from lottery.pruning.masks import Tensors

Need = Literal["start", "final", "gradients", "curvature", "flow"]
# From weights and buffers `[R, ...]`, pruned ones 0, to one tensor for each parameter, the pruned ones' too.
Derivative = Callable[["Mapping[str, Tensor]"], "Tensors"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may look at: each `[R, ...]` by parameter name, on the device.

    Attributes:
        start: tensors at the rewind step, of the whole network.
        final: trained tensors, of the whole network; none where the criterion needs none.
        mask: what is kept so far.
        uniform: (shape of a parameter) -> draws between 0 and 1, `[R, ...]`, each replicate's from its own seed.
        gradients: of the training loss, in training mode, the mean over the first batches of each replicate's order; of
            all weights of the network, the pruned ones among them.
        curvature: the product of the Hessian of that loss, with softened logits, and its gradient, both of what may be
            pruned alone.
        flow: the gradient of the sum of outputs, for an input of ones, of the network with absolute weights.
    """

    start: Tensors
    final: Tensors
    mask: Tensors
    uniform: Callable[[tuple[int, ...]], Tensor]
    gradients: Derivative
    curvature: Derivative
    flow: Derivative


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
