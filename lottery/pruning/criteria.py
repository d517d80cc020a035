"""Criteria: the scores that decide which weights go; the lowest go first; torch-free."""

from __future__ import annotations

from lottery.pruning import saliency
from lottery.pruning.evidence import Criterion
from lottery.pruning.measures import (
    both,
    by,
    distance,
    drawn,
    final,
    first_those,
    increase,
    initial,
    least,
    other_sign,
    same_sign,
    where,
)

CRITERIA: dict[str, Criterion] = {
    # Frankle & Carbin 2019, section 2; `large_final` of Zhou et al. 2019, see `lottery.pruning.measures`.
    "magnitude": Criterion(
        summary="the largest trained weights stay", scores=by(final), needs=("final",)
    ),
    "magnitude-same-sign": Criterion(
        summary="as magnitude, but a weight that changed its sign counts as 0",
        scores=by(where(same_sign, final)),
        needs=("start", "final"),
    ),
    "magnitude-other-sign": Criterion(
        summary="as magnitude, but a weight that kept its sign counts as 0",
        scores=by(where(other_sign, final)),
        needs=("start", "final"),
    ),
    "magnitude-increase": Criterion(
        summary="the weights that grew most stay", scores=by(increase), needs=("start", "final")
    ),
    "magnitude-increase-same-sign": Criterion(
        summary="as magnitude-increase, but a weight that changed its sign counts as unchanged",
        scores=by(where(same_sign, increase)),
        needs=("start", "final"),
    ),
    "magnitude-increase-other-sign": Criterion(
        summary="as magnitude-increase, but a weight that kept its sign counts as unchanged",
        scores=by(where(other_sign, increase)),
        needs=("start", "final"),
    ),
    "movement": Criterion(
        summary="the weights that moved most stay", scores=by(distance), needs=("start", "final")
    ),
    "large-initial": Criterion(
        summary="the weights that were largest at the rewind step stay",
        scores=by(initial),
        needs=("start",),
    ),
    "large-initial-large-final": Criterion(
        summary="the weights that are large both at the rewind step and trained stay",
        scores=by(both(initial, final)),
        needs=("start", "final"),
    ),
    "small-final": Criterion(
        summary="the smallest trained weights stay", scores=by(least(final)), needs=("final",)
    ),
    "small-initial": Criterion(
        summary="the weights that were smallest at the rewind step stay",
        scores=by(least(initial)),
        needs=("start",),
    ),
    "small-initial-small-final": Criterion(
        summary="the weights that are small both at the rewind step and trained stay",
        scores=by(both(least(initial), least(final))),
        needs=("start", "final"),
    ),
    "same-sign": Criterion(
        summary="weights that kept their sign stay, any of them",
        scores=by(first_those(same_sign)),
        needs=("start", "final"),
    ),
    "other-sign": Criterion(
        summary="weights that changed their sign stay, any of them",
        scores=by(first_those(other_sign)),
        needs=("start", "final"),
    ),
    "random": Criterion(summary="any weights stay", scores=by(drawn), needs=()),
    "snip": Criterion(
        summary="SNIP: the weights at the rewind step that the loss is most sensitive to stay",
        scores=saliency.snip,
        needs=("start", "gradients"),
    ),
    "grasp": Criterion(
        summary="GraSP: the weights at the rewind step that gradients flow by stay; for images",
        scores=saliency.grasp,
        needs=("start", "curvature"),
    ),
    "synflow": Criterion(
        summary="SynFlow: the weights at the rewind step on the strongest paths stay, in 100 rounds, without data; "
        "for images",
        scores=saliency.synflow,
        needs=("start", "flow"),
        rounds=saliency.ROUNDS,
    ),
    "gradient": Criterion(
        summary="the weights with the largest gradients at the rewind step stay",
        scores=saliency.gradient,
        needs=("start", "gradients"),
    ),
    "gradient-times-weight": Criterion(
        summary="the trained weights that the loss is most sensitive to stay",
        scores=saliency.gradient_times_weight,
        needs=("final", "gradients"),
    ),
}
