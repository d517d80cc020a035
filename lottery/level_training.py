"""The training of a level's networks, whoever carries it out: where it begins, and at which learning rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import Tensor

from lottery.batching import new_replicates
from lottery.identity import TICKET
from lottery.levels import Replicate
from lottery.pruning.masks import stack_tensors
from lottery.rewinding import rewound_momenta, schedule_step
from lottery.session import Session
from lottery.ticket_files import read_start_optimizer
from training.graphs import GraphPolicy
from training.loop import Hook, begin, train
from training.optimizers import load_optimizer_state
from training.state import TrainingState


def stacked_masks(session: Session, members: Sequence[Replicate]) -> dict[str, Tensor]:
    """The masks of some networks, bool `[R, ...]` by parameter name, on the device."""
    masks = stack_tensors(one.mask for one in members)
    return {name: mask.to(session.task.device) for name, mask in masks.items()}


def begun(session: Session, level: int, members: Sequence[Replicate]) -> TrainingState:
    """The state of a level's training before its first step.

    Args:
        session: whose networks they are.
        level: of pruning.
        members: networks of that level that are trained together.
    """
    experiment, task = session.experiment, session.task
    replicates = new_replicates(session, [r.id for r in members], [r.start for r in members])
    state = begin(replicates, task, experiment.training, experiment.first_step(level))
    if level > 0 and experiment.rewinding.optimizer_state == "rewind":
        tickets = [dataclasses.replace(r.id, arm=TICKET) for r in members]
        parts = [read_start_optimizer(session.run, one) for one in tickets]
        momenta = rewound_momenta(parts, stacked_masks(session, members))
        load_optimizer_state(state.optimizer, replicates, momenta)
    return state


def train_level(
    session: Session,
    level: int,
    state: TrainingState,
    masks: Mapping[str, Tensor],
    hook: Hook,
    graph: GraphPolicy,
) -> None:
    """Train a level's networks from where a state is to their last step.

    Args:
        session: whose networks they are.
        level: of pruning.
        state: changed in place.
        masks: as `stacked_masks`.
        hook: called after every step.
        graph: when a whole step is captured; no number follows from it.
    """
    config = session.experiment.training
    last = config.steps.iterations
    schedule = schedule_step(session.experiment.rewinding, level, last)
    train(state, session.task, config, last, masks, hook, schedule, session.replay, graph)
