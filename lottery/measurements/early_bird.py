"""The early-bird trace: how soon in training the mask that pruning will draw stands still.

You et al. 2020 (arXiv 1909.11957), section 3.2: masks are drawn after each epoch; once the newest differs from each of
the four before it in less than a tenth, the ticket is drawn. They compare masks of channels; here they are of weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lottery.identity import TICKET
from lottery.level_training import begun, stacked_masks, train_level
from lottery.levels import Replicate
from lottery.measurements.beginnings import untrained
from lottery.measurements.measuring import Measurement, TrainedLevel, tell
from lottery.memory import chunks
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.masks import Mask, Tensors, kept, on_cpu, row
from lottery.pruning.schedules import source_level
from lottery.readings import Reading
from lottery.scoring import gathered, pruned
from lottery.session import Session
from lottery.ticket_files import read_start
from training.errors import LotteryError, chosen, require
from training.state import TrainingState, trained_tensors
from training.steps import Steps

# Step -> the masks that would be drawn then, one for each network.
Trace = dict[int, list[Mask]]


@dataclass(frozen=True, kw_only=True)
class EarlyBirdSettings:
    """How often masks are drawn, and when they stand still.

    Attributes:
        every: between two masks.
        threshold: of the distance below which masks count as the same.
        masks: how many, the newest among them, have to be the same.
    """

    every: Steps = field(default_factory=lambda: Steps(epochs=1))
    threshold: float = 0.1
    masks: int = 5

    def __post_init__(self) -> None:
        require(self.every != Steps(), "every", self.every, "1it or more")
        require(self.threshold > 0, "threshold", self.threshold, "above 0")
        require(self.masks >= 2, "masks", self.masks, "2 or more")


def check(session: Session, settings: EarlyBirdSettings) -> None:
    """Refuse criteria whose masks don't follow from training, and runs that prune nothing."""
    experiment = session.experiment
    name = experiment.pruning.criterion
    if "final" not in chosen("criterion", name, CRITERIA).needs:
        possible = ", ".join(other for other, one in CRITERIA.items() if "final" in one.needs)
        raise LotteryError(
            f"{session.run.root} prunes by {name}, whose mask does not follow from trained weights and so stands still "
            f"from the first step; name a run that prunes by one of {possible}."
        )
    if experiment.levels == 0:
        raise LotteryError(
            f"{session.run.root} has no level above 0, so no mask is ever drawn; begin a run with --levels 1 or more."
        )


def measure(session: Session, trained: TrainedLevel, settings: EarlyBirdSettings) -> list[Reading]:
    """Train a level's networks anew and follow the masks that would be drawn of them, for each level drawn from it.

    Raises:
        LotteryError: stopped on request, or a file of the run is damaged.
    """
    levels = range(trained.level + 1, session.experiment.levels + 1)
    pruning = session.experiment.pruning
    drawn = [level for level in levels if source_level(pruning, level) == trained.level]
    networks = untrained(session, trained) if drawn else []
    if not drawn:
        tell(session, len(trained.tensors) * steps(session, settings))
    readings = list[Reading]()
    for chunk in chunks(session, len(networks)):
        members = networks[chunk.start : chunk.stop]
        for level, trace in _traced(session, trained.level, members, drawn, settings).items():
            ahead = level - trained.level
            for r, one in enumerate(members):
                masks = {step: found[r] for step, found in trace.items()}
                lost = one.id in trained.diverged
                readings += _readings(trained.level, ahead, one, masks, settings, lost)
    return readings


def _traced(
    session: Session,
    level: int,
    members: Sequence[Replicate],
    drawn: Sequence[int],
    settings: EarlyBirdSettings,
) -> dict[int, Trace]:
    """Train some networks of a level; for each level that is drawn from it, the masks at each step."""
    traces: dict[int, Trace] = {target: {} for target in drawn}
    every = settings.every.count(session.task.steps_per_epoch)
    starts, masks = [_rewound(session, one) for one in members], [one.mask for one in members]
    ids = [one.id for one in members]
    total, last = steps(session, settings), session.experiment.training.steps.iterations
    state = begun(session, level, members)
    done = state.step

    def hook(now: TrainingState) -> None:
        tell(session, len(members))
        if now.step % every and now.step != last:
            return
        tensors = trained_tensors(now)
        finals = [on_cpu(row(tensors, r)) for r in range(len(members))]
        for target, trace in traces.items():
            evidence = gathered(session, ids, target, starts, finals, masks)
            trace[now.step] = pruned(session, target, evidence)

    train_level(session, level, state, stacked_masks(session, members), hook, session.graph)
    tell(session, len(members) * (total - (state.step - done)))
    return traces


def _rewound(session: Session, one: Replicate) -> Tensors:
    """The weights that a criterion compares with trained ones: a ticket's at the rewind step, a control's own."""
    return read_start(session.run, one.id) if one.id.arm == TICKET else one.start


def distance(one: Mask, other: Mask, among: int) -> float:
    """The share of so many weights in which two masks differ."""
    return sum(int((one[name] != other[name]).sum()) for name in one) / among


def early_bird(masks: Mapping[int, Mask], among: int, settings: EarlyBirdSettings) -> int | None:
    """The first step at which as many masks as asked for differ by less than the threshold from the newest.

    Args:
        masks: by step, in the order of steps.
        among: how many weights a distance is a share of.
        settings: of the measurement.
    """
    before: deque[Mask] = deque(maxlen=settings.masks - 1)
    for step, newest in masks.items():
        alike = all(distance(newest, mask, among) < settings.threshold for mask in before)
        if alike and len(before) == before.maxlen:
            return step
        before.append(newest)
    return None


def _readings(
    level: int,
    ahead: int,
    one: Replicate,
    masks: Mapping[int, Mask],
    settings: EarlyBirdSettings,
    lost: bool,
) -> Iterator[Reading]:
    """The distances of successive masks, whether there is an early bird, and at which step where there is one."""
    # What went before can't differ.
    among = kept(one.mask)
    rows: list[tuple[str, float | None, float]] = [
        ("mask distance", step, distance(masks[step], masks[before], among))
        for before, step in pairwise(masks)
    ]
    found = early_bird(masks, among, settings)
    rows.append(("early birds (%)", None, 0.0 if found is None else 100.0))
    if found is not None:
        rows.append(("early-bird step", None, found))
    for metric, x, value in rows:
        yield Reading(
            level=level,
            arm=one.id.arm,
            seed=one.id.seed,
            copy=one.id.copy,
            other=f"mask {ahead} level{'s' if ahead > 1 else ''} on",
            at="end",
            metric=metric,
            x=x,
            value=None if lost else value,
        )


def steps(session: Session, settings: EarlyBirdSettings) -> int:
    """Those of a training."""
    return session.experiment.training.steps.iterations


EARLY_BIRD = Measurement(
    summary="how soon in training the mask of the next level stands still (You et al. 2020); it trains anew",
    settings=EarlyBirdSettings,
    words={
        "every": "between two masks, such as 1ep or 50it",
        "threshold": "share of the kept weights below which masks count as the same",
        "masks": "how many, the newest among them, have to be the same",
    },
    check=check,
    steps=steps,
    measure=measure,
)
