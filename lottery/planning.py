"""What a run would do, and how long it would take, from a few timed steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise

from lottery.batching import choose_batching
from lottery.cycle import Setting, dense_tickets, forward_pass, level_steps, new_network
from lottery.disk_use import KeepWeights, run_bytes, what_to_keep
from lottery.experiments import Experiment
from lottery.pruning.masks import count
from lottery.pruning.prunable import left_whole
from lottery.pruning.selection import count_at
from nas.catalog.outside_networks import code_of
from training.device import now
from training.errors import ExitCode, LotteryError
from training.loop import begin, train
from training.replicates import Replicates
from training.state import TrainingState

TIMED_STEPS = 3
# Replicates of a stack: of more, each takes as long.
MOST_TIMED = 64


@dataclass(frozen=True, kw_only=True)
class LevelPlan:
    """One level to come.

    Attributes:
        level: of pruning.
        density: kept share of the prunable weights.
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
        keep_weights: whether every level's trained weights will stay on disk, or the newest one's.
        bytes: that it will take on disk in the end.
        bytes_with_all: that it would take if every level's trained weights stayed.
        notice: which weights are never pruned though they may be matrices, as a sentence; or "".
    """

    levels: tuple[LevelPlan, ...]
    keep_weights: KeepWeights
    bytes: int
    bytes_with_all: int
    notice: str


def plan(experiment: Experiment, setting: Setting) -> Plan:
    """Time a few steps of a stack as large as a pruned level's, and count.

    Args:
        experiment: with its steps resolved.
        setting: task and device; nothing is written.
    """
    seeds, arms = len(experiment.seeds), 1 + len(experiment.arms)
    # One seed's networks are as large as another's.
    first, *_ = experiment.seeds
    mask, _ = dense_tickets(dataclasses.replace(experiment, seeds=(first,)), setting)[first]
    kinds = forward_pass(experiment, setting).kinds
    each = _seconds_per_replicate_step(experiment, setting, seeds * arms)
    levels = []
    for level in range(experiment.levels + 1):
        replicates = seeds * (arms if level else 1)
        steps = level_steps(experiment, level)
        levels.append(
            LevelPlan(
                level=level,
                density=count_at(mask, level, experiment.pruning, kinds) / count(mask),
                replicates=replicates,
                steps=steps,
                seconds=each * replicates * steps,
            )
        )
    network = new_network(experiment, setting, experiment.seeds[0])
    keep = what_to_keep(experiment, network, setting.keep_weights)
    return Plan(
        levels=tuple(levels),
        keep_weights=keep,
        bytes=run_bytes(experiment, network, keep),
        bytes_with_all=run_bytes(experiment, network, "all"),
        notice=left_whole(network, experiment.pruning.embeddings),
    )


def _seconds_per_replicate_step(experiment: Experiment, setting: Setting, count: int) -> float:
    """The time of a training step with its share of a look at the validation split, per replicate."""
    count = min(count, setting.at_once or count, MOST_TIMED)
    task = setting.task
    network = new_network(experiment, setting, experiment.seeds[0]).to(task.device)
    name = experiment.network.name
    batching = choose_batching(setting.batching, name, network, task, count)
    # Looped, they are trained one after the other.
    count = 1 if batching == "looped" else count
    replicates = Replicates([network] * count, [0] * count, batching)
    state = begin(replicates, task, experiment.training, 0)
    moments: list[float] = []

    def note(_: TrainingState) -> None:
        moments.append(now(task.device))
        if setting.watcher.stop_requested():
            raise LotteryError("Stopped; nothing was begun or written.", ExitCode.RESUMABLE)

    with code_of(
        name,
        "failed while it was timed",
        "mend it; nothing was begun or written",
    ):
        train(state, task, experiment.training, TIMED_STEPS + 2, {}, note)
    *steps, last = [later - earlier for earlier, later in pairwise(moments)]
    # The loop looks at the validation split after the last step.
    seen = max(0.0, last - min(steps))
    return (min(steps) + seen / experiment.training.eval_every.iterations) / count
