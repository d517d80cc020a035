"""What a run would do, and how long it would take, from a few timed steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from lottery.batching import choose_batching, train_briefly
from lottery.disk_use import run_bytes, stored_weights
from lottery.machine import StoreWeights
from lottery.memory import choose_cut
from lottery.pruning.prunable import left_whole
from lottery.pruning.scopes import kept_at
from lottery.session import Session
from lottery.transfer import taken_density
from nas.catalog.outside_networks import code_of
from training.device import now
from training.state import TrainingState
from training.stopping import stopped_before

TIMED_STEPS = 3
# Replicates of a stack: of more, each takes as long.
MOST_TIMED = 64


@dataclass(frozen=True, kw_only=True)
class LevelPlan:
    """One level to come.

    Attributes:
        level: of pruning.
        density: kept share of the prunable weights, or of the units where these are pruned.
        replicates: networks that are trained.
        steps: of training each.
        seconds: expected.
    """

    level: int
    density: float
    replicates: int
    steps: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run to come.

    Attributes:
        levels: from the dense one on.
        store_weights: whether every level's trained weights will stay on disk, or the newest one's.
        bytes: that it will take on disk in the end.
        bytes_with_all: that it would take if every level's trained weights stayed.
        notice: which weights are never pruned though they may be matrices, as a sentence; or "".
    """

    levels: tuple[LevelPlan, ...]
    store_weights: StoreWeights
    bytes: int
    bytes_with_all: int
    notice: str


def plan(session: Session) -> Plan:
    """Time a few steps of a stack as large as a pruned level's, and count; nothing is written."""
    experiment, network = session.experiment, session.network
    shapes, kinds = session.ranked
    total = sum(math.prod(shape) for shape in shapes.values())
    each = _seconds_per_replicate_step(session, experiment.replicates_at(1))
    levels = []
    for level in range(experiment.levels + 1):
        replicates, steps = experiment.replicates_at(level), experiment.level_steps(level)
        levels.append(
            LevelPlan(
                level=level,
                density=taken_density(session, level)
                if session.source
                else kept_at(shapes, level, experiment.pruning, kinds) / total,
                replicates=replicates,
                steps=steps,
                seconds=each * replicates * steps,
            )
        )
    store = stored_weights(experiment, network, session.store_weights)
    return Plan(
        levels=tuple(levels),
        store_weights=store,
        bytes=run_bytes(experiment, network, store),
        bytes_with_all=run_bytes(experiment, network, "all"),
        notice=left_whole(network, experiment.pruning.embeddings),
    )


def _seconds_per_replicate_step(session: Session, count: int) -> float:
    """The time of a training step with its share of a validation, per replicate."""
    count = min(count, choose_cut(session).most, MOST_TIMED)
    experiment, task = session.experiment, session.task
    batching = choose_batching(session, count)
    # Looped, they are trained one after the other.
    count = 1 if batching == "looped" else count
    moments: list[float] = []

    def note(_: TrainingState) -> None:
        moments.append(now(task.device))
        if session.watcher.stop_requested():
            raise stopped_before()

    with code_of(
        experiment.network.name,
        "failed while it was timed",
        "mend it; nothing was begun or written",
    ):
        train_briefly(session, count, batching, TIMED_STEPS + 2, {}, note)
    *steps, last = [later - earlier for earlier, later in pairwise(moments)]
    # The loop validates after the last step.
    seen = max(0.0, last - min(steps))
    return (min(steps) + seen / experiment.training.eval_every.iterations) / count
