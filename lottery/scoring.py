"""What a criterion is shown of a level's networks, and what selection makes of its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import torch

from lottery.batching import new_replicates
from lottery.identity import TICKET, ReplicateId
from lottery.own_pieces import is_own
from lottery.pruning.evidence import Evidence
from lottery.pruning.gradients import flow_gradients, hessian_gradients, mean_gradients
from lottery.pruning.masks import Mask, Tensors, dense_mask, on_cpu, row, stack_tensors, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.scopes import groups_at
from lottery.pruning.selection import select
from lottery.pruning.units import check_counts, select_units
from lottery.session import Session
from training.errors import LotteryError, is_out_of_memory
from training.noise import generator
from training.replicates import Replicates


def gathered(
    session: Session,
    ids: Sequence[ReplicateId],
    level: int,
    starts: Sequence[Tensors],
    finals: Sequence[Tensors],
    masks: Sequence[Mask],
) -> Evidence:
    """What a criterion may look at, of some replicates.

    Args:
        session: whose they are.
        ids: which.
        level: that they are pruned for.
        starts: of each, the tensors at the rewind step.
        finals: of each, the trained tensors; empty where the criterion needs none.
        masks: of each, what is kept so far.
    """
    task, experiment = session.task, session.experiment
    batches = experiment.pruning.batches

    def gradients(weights: Mapping[str, torch.Tensor]) -> Tensors:
        replicates = new_replicates(session, ids, starts)
        return mean_gradients(replicates, task, experiment.training, weights, batches)

    def curvature(weights: Mapping[str, torch.Tensor]) -> Tensors:
        replicates = new_replicates(session, ids, starts)
        return hessian_gradients(replicates, task, experiment.training, weights, batches, masks[0])

    @cache
    def double() -> Replicates:
        return new_replicates(session, ids, starts, double=True)

    def flow(weights: Mapping[str, torch.Tensor]) -> Tensors:
        return flow_gradients(double(), task, weights)

    def stacked(tensors: Sequence[Tensors]) -> Tensors:
        return {name: t.to(task.device) for name, t in stack_tensors(tensors).items()}

    sources = [generator(one.seed, "criterion", level) for one in ids]

    def uniform(shape: tuple[int, ...]) -> torch.Tensor:
        drawn = torch.stack([torch.rand(shape, generator=source) for source in sources])
        return drawn.to(task.device)

    return Evidence(
        start=stacked(starts),
        final=stacked(finals),
        mask=stacked(masks),
        uniform=uniform,
        gradients=gradients,
        curvature=curvature,
        flow=flow,
    )


def pruned(session: Session, level: int, evidence: Evidence) -> list[Mask]:
    """The mask of each replicate after the criterion's rounds, of which the last ends at the level's density."""
    config, units = session.experiment.pruning, session.units
    criterion = session.criterion
    shapes, kinds = session.ranked
    count = len(next(iter(evidence.mask.values())))
    present = on_cpu(evidence.mask)
    masks = [row(present, r) for r in range(count)]
    for way in ways(session):
        groups = groups_at(shapes, level, config, kinds, way)
        scores = on_cpu(criterion.scores(evidence))
        masks = [
            select(row(scores, r), mask, groups)
            if units is None
            else select_units(units, row(scores, r), mask, groups)
            for r, mask in enumerate(masks)
        ]
        stacked = stack_tensors(masks)
        evidence = replace(
            evidence, mask={name: mask.to(session.task.device) for name, mask in stacked.items()}
        )
    return masks


def ways(session: Session) -> list[float]:
    """The shares of the way to a level's densities at which a criterion's rounds end."""
    rounds = session.criterion.rounds
    return [*(done / rounds for done in range(1, rounds)), 1.0]


def check_scores(session: Session) -> None:
    """Refuse a criterion that can't score the network, and densities that the scope can't keep.

    Raises:
        LotteryError: one of these.
    """
    experiment, network = session.experiment, session.network
    config, tensors = experiment.pruning, tensors_of(network)
    weights = {name: tensors[name] for name in prunable_names(network, config.embeddings)}
    shapes, kinds = session.ranked
    for level in range(1, experiment.levels + 1):
        for way in ways(session):
            groups = groups_at(shapes, level, config, kinds, way)
            if session.units is not None:
                check_counts(groups)
    criterion = session.criterion
    # One of the user's own is tried by `lottery.own_trials`.
    if is_own(config.criterion) or not {"curvature", "flow"} & {*criterion.needs}:
        return
    one, mask = ReplicateId(TICKET, experiment.seeds[0]), dense_mask(weights)
    try:
        criterion.scores(gathered(session, [one], 1, [tensors], [tensors], [mask]))
    except (LotteryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        why = str(error).splitlines()[0]
        raise LotteryError(
            f"pruning.criterion = {config.criterion} can't score {experiment.network.name} on this data: {why} "
            "Choose another, such as magnitude or snip."
        ) from error
