"""Linear mode connectivity: the error on the straight line between the weights of two trained networks.

Frankle, Dziugaite, Roy & Carbin 2020 (arXiv 1912.05671), section 2: of the networks W1 and W2 the barrier is the
largest error of (1 - a) W1 + a W2 for a in [0, 1], less the mean of the errors of W1 and W2; a network is stable to the
noise of training where that of two copies, which begin alike, is less than 2 points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor, nn

from lottery.batching import new_replicates
from lottery.cuts import Cut
from lottery.identity import TICKET, ReplicateId
from lottery.measurements.measuring import Measurement, TrainedLevel, tell, trained_level
from lottery.memory import choose_cut
from lottery.pruning.masks import Tensors
from lottery.readings import Reading
from lottery.records import read_records
from lottery.session import Session
from training.device import matrix_precision
from training.errors import LotteryError, require
from training.metrics import Metric
from training.replicates import Replicates

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, kw_only=True)
class ConnectivitySettings:
    """Between which networks, and how finely.

    Attributes:
        between: copies (of one ticket, two by two), levels (a level and the one before it) or dense (a level and the
            dense network), each with the same seed.
        split: train, validation or test.
        points: on the line, its two ends among them.
        norms: interpolated (the running mean and variance of batch norms with the weights) or recomputed (from
            training batches, at each point).
        batches: of training data, where statistics are recomputed.
    """

    between: Literal["copies", "levels", "dense"] = "copies"
    split: Literal["train", "validation", "test"] = "test"
    points: int = 30
    norms: Literal["interpolated", "recomputed"] = "interpolated"
    batches: int = 50

    def __post_init__(self) -> None:
        require(self.points >= 3, "points", self.points, "3 or more")
        require(self.batches >= 1, "batches", self.batches, "1 or more")


def check(session: Session, settings: ConnectivitySettings) -> None:
    """Refuse copies where there is one of each."""
    if settings.between == "copies" and session.experiment.copies < 2:
        raise LotteryError(
            f"{session.run.root} has one copy of each ticket, and a line joins two; begin a run with --set copies=2, "
            "or measure with --set between=dense or --set between=levels."
        )


def measure(
    session: Session, trained: TrainedLevel, settings: ConnectivitySettings
) -> list[Reading]:
    """Loss and error on the lines from every network to its partners, the mean over these, and the barriers.

    Raises:
        LotteryError: stopped on request, or the trained weights of another level were removed.
    """
    others, cut = _others(session, trained, settings), choose_cut(session)
    curves: dict[tuple[ReplicateId, ReplicateId], dict[str, list[float]]] = {}
    for one, two in _pairs(trained, others, settings):
        ends = trained.tensors[one], others.tensors[two]
        curves[one, two] = _along(session, one, ends, settings, cut)
        tell(session, settings.points)
    if settings.between == "copies":
        curves |= {
            (two, one): {metric: values[::-1] for metric, values in found.items()}
            for (one, two), found in [*curves.items()]
        }
    readings = list[Reading]()
    for one in trained.tensors:
        partners = {two: found for (first, two), found in curves.items() if first == one}
        lost = one in trained.diverged or not others.diverged.isdisjoint(partners)
        for metric in [*next(iter(partners.values()), ())]:
            own = [found[metric] for found in partners.values()]
            readings += _readings(one, trained.level, settings, metric, own, lost)
    return readings


def error_name(metric: Metric) -> str:
    """What is high where a network is bad: a metric's own name, or the error of an accuracy."""
    return "error" if metric.higher_is_better else metric.name


def barrier(values: Sequence[float]) -> float:
    """The largest value on a line less the mean of its ends."""
    return max(values) - (values[0] + values[-1]) / 2


def _others(
    session: Session, trained: TrainedLevel, settings: ConnectivitySettings
) -> TrainedLevel:
    """The level in which the lines of a level end."""
    if settings.between == "copies" or trained.level == 0:
        return trained
    number = trained.level - 1 if settings.between == "levels" else 0
    records = [record for record in read_records(session.run.root) if record.level == number]
    return trained_level(session, number, records)


def _pairs(
    trained: TrainedLevel, others: TrainedLevel, settings: ConnectivitySettings
) -> Iterator[tuple[ReplicateId, ReplicateId]]:
    """The ends of every line; those of copies once."""
    for one in trained.tensors:
        if settings.between == "copies":
            for two in trained.tensors:
                if one.original == two.original and one.copy < two.copy:
                    yield one, two
        elif others.level < trained.level:
            # The dense network is every arm's.
            two = replace(one, arm=TICKET) if others.level == 0 else one
            if two in others.tensors:
                yield one, two


def _along(
    session: Session,
    one: ReplicateId,
    ends: tuple[Tensors, Tensors],
    settings: ConnectivitySettings,
    cut: Cut,
) -> dict[str, list[float]]:
    """Loss and error at each point of a line, the points side by side as replicates are."""
    alphas, metric = _alphas(settings), session.task.metric
    found: dict[str, list[float]] = {"loss": [], error_name(metric): []}
    for chunk in cut.chunks(len(alphas)):
        points = [between(*ends, alpha) for alpha in alphas[chunk.start : chunk.stop]]
        replicates = new_replicates(session, [one] * len(points), points)
        if settings.norms == "recomputed":
            recompute_norms(session, replicates, settings.batches)
        with matrix_precision(session.experiment.training.precision, session.task.device):
            scored = session.task.evaluate(replicates.eval(), settings.split)
        values = scored.metric
        found["loss"] += scored.loss.tolist()
        found[error_name(metric)] += (
            100.0 - values if metric.higher_is_better else values
        ).tolist()
    return found


def _alphas(settings: ConnectivitySettings) -> list[float]:
    alphas: list[float] = torch.linspace(0, 1, settings.points, dtype=torch.float64).tolist()
    return alphas


def between(one: Mapping[str, Tensor], other: Mapping[str, Tensor], alpha: float) -> Tensors:
    """(1 - alpha) one + alpha other; of whole numbers, such as counts of batches, the first's."""
    return {
        name: torch.lerp(tensor, other[name], alpha) if tensor.is_floating_point() else tensor
        for name, tensor in one.items()
    }


@torch.no_grad()
def recompute_norms(session: Session, replicates: Replicates, batches: int) -> None:
    """Give batch norms the mean of their statistics over training batches, with nothing dropped.

    Jordan et al. 2023 (arXiv 2211.08403) and others recompute them so after weights were interpolated.
    """
    task, replicates = session.task, replicates.eval()
    norms = [module for module in replicates.modules() if isinstance(module, NORMS)]
    momenta = [norm.momentum for norm in norms]
    draw, carry = task.batches(replicates.noise_seeds), task.first_carry(replicates)
    for norm in norms:
        norm.train()
    for step in range(batches):
        for norm in norms:
            norm.momentum = 1.0 / (step + 1)
        with matrix_precision(session.experiment.training.precision, task.device):
            replicates(task.score, carry, *draw(step))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _readings(
    one: ReplicateId,
    level: int,
    settings: ConnectivitySettings,
    metric: str,
    curves: Sequence[Sequence[float]],
    lost: bool,
) -> Iterator[Reading]:
    """The means of a network's lines."""
    points = [fmean(values) for values in zip(*curves, strict=True)]
    rows: list[tuple[str, float | None, float]] = [
        (metric, alpha, value) for alpha, value in zip(_alphas(settings), points, strict=True)
    ]
    rows.append((f"{metric} barrier", None, fmean(map(barrier, curves))))
    for name, x, value in rows:
        yield Reading(
            level=level,
            arm=one.arm,
            seed=one.seed,
            copy=one.copy,
            other=f"{settings.between}, {settings.split}",
            at="end",
            metric=name,
            x=x,
            value=None if lost or not math.isfinite(value) else value,
        )


def steps(session: Session, settings: ConnectivitySettings) -> int:
    """The points of one network's lines, each line's counted once."""
    if settings.between == "copies":
        return settings.points * (session.experiment.copies - 1) // 2
    return settings.points


CONNECTIVITY = Measurement(
    summary="loss and error on the line between two trained networks (Frankle et al. 2020), and their barriers",
    settings=ConnectivitySettings,
    words={
        "between": "copies (two by two), levels (with the level before) or dense (with the dense network)",
        "split": "train, validation or test",
        "points": "on the line, both ends among them; 30 in the paper",
        "norms": "interpolated, or recomputed on training batches at each point",
        "batches": "of training data, where norms are recomputed",
    },
    check=check,
    steps=steps,
    measure=measure,
)
