"""What the loss, or the flow through a network, says of a weight: scores that need derivatives; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lottery.pruning.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

    from lottery.pruning.masks import Tensors

# SynFlow's prunings, each by the same factor (Tanaka et al. 2020, arXiv 2006.05467, algorithm 1 and section 7).
ROUNDS = 100


def snip(evidence: Evidence) -> Tensors:
    """|g w| at the start: Lee et al. 2019 (arXiv 1810.02340), equations 4 to 6, without the common factor."""
    return _products(evidence, evidence.start, evidence.gradients(_kept(evidence, evidence.start)))


def gradient_times_weight(evidence: Evidence) -> Tensors:
    """|g w| of the trained weights: what taking one away changes in the loss, to first order.

    Mozer & Smolensky 1989, "Skeletonization"; Molchanov et al. 2017 (arXiv 1611.06440), equation 7, for weights.
    """
    return _products(evidence, evidence.final, evidence.gradients(_kept(evidence, evidence.final)))


def gradient(evidence: Evidence) -> Tensors:
    """|g| at the start: `grad` in the release of Zhou et al. 2019."""
    found = evidence.gradients(_kept(evidence, evidence.start))
    return {name: found[name].abs() for name in evidence.mask}


def grasp(evidence: Evidence) -> Tensors:
    """W (H g) at the start: Wang, Zhang & Grosse 2020 (arXiv 2002.07376), equation 8 with the sign turned.

    They prune the highest -w (H g), whose removal hurts the flow of gradients least; here the lowest go first. Hessian
    and gradient are of the weights that may be pruned, as in their release (pruner/GraSP.py).
    """
    found = evidence.curvature(_kept(evidence, evidence.start))
    return {name: evidence.start[name] * found[name] for name in evidence.mask}


def synflow(evidence: Evidence) -> Tensors:
    """|w dR/dw| at the start, with R the sum of outputs of the network whose weights are |w|, for an input of ones.

    Tanaka et al. 2020, equation 2 and algorithm 1; without data.
    """
    return _products(evidence, evidence.start, evidence.flow(_kept(evidence, evidence.start)))


def _kept(evidence: Evidence, weights: Tensors) -> Tensors:
    """The weights with what was pruned at 0."""
    mask = evidence.mask
    return {n: t.where(mask[n], 0.0) if n in mask else t for n, t in weights.items()}


def _products(
    evidence: Evidence, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
) -> Tensors:
    return {name: (weights[name] * gradients[name]).abs() for name in evidence.mask}
