"""Supermasks: what a mask alone achieves, on weights that were never trained.

Zhou, Lan, Liu & Yosinski 2019 (arXiv 1905.01067), section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from lottery.batching import new_replicates
from lottery.levels import Replicate
from lottery.measurements.beginnings import untrained
from lottery.measurements.measuring import Measurement, TrainedLevel, tell
from lottery.memory import chunks
from lottery.pruning.masks import Tensors, tensors_of
from lottery.readings import Reading
from lottery.session import Session, new_network
from training.device import matrix_precision


@dataclass(frozen=True, kw_only=True)
class SupermaskSettings:
    """What the kept weights are, and where they are scored.

    Attributes:
        weights: start (those that training would begin with) or signed-constant (their signs, each as large as the
            standard deviation of its parameter's initial weights).
        rescaled: whether each parameter is divided by its share of kept weights (dynamic weight rescaling).
        split: validation or test.
    """

    weights: Literal["start", "signed-constant"] = "start"
    rescaled: bool = False
    split: Literal["validation", "test"] = "test"


def check(session: Session, settings: SupermaskSettings) -> None:
    """Every run has masks and starting weights."""


def measure(session: Session, trained: TrainedLevel, settings: SupermaskSettings) -> list[Reading]:
    """Loss and metric of every network of a level before its training.

    Raises:
        LotteryError: stopped on request, or a file of the run is damaged.
    """
    networks, readings = untrained(session, trained), list[Reading]()
    metric, initial = session.task.metric.name, tensors_of(new_network(session, 0))
    for chunk in chunks(session, len(networks)):
        part = networks[chunk.start : chunk.stop]
        ids = [one.id for one in part]
        starts = [treated(one, settings, initial) for one in part]
        replicates = new_replicates(session, ids, starts).eval()
        with matrix_precision(session.experiment.training.precision, session.task.device):
            found = session.task.evaluate(replicates, settings.split)
        for name, values in (("loss", found.loss), (metric, found.metric)):
            readings += _readings(trained.level, part, f"untrained {name}", values, settings.split)
        tell(session, len(part))
    return readings


def treated(one: Replicate, settings: SupermaskSettings, initial: Tensors) -> Tensors:
    """A network whose kept weights are as the settings have them, and the others 0.

    Args:
        one: before its training.
        settings: of the measurement.
        initial: parameters of such a network as they are drawn.
    """
    tensors = dict(one.start)
    for name, mask in one.mask.items():
        if settings.weights == "signed-constant":
            tensors[name] = tensors[name].sign() * initial[name].std()
        if settings.rescaled:
            tensors[name] = tensors[name] * (mask.numel() / max(1, int(mask.sum())))
    return tensors


def _readings(
    level: int, part: list[Replicate], metric: str, values: Tensor, split: str
) -> Iterator[Reading]:
    for one, value in zip(part, values.tolist(), strict=True):
        yield Reading(
            level=level,
            arm=one.id.arm,
            seed=one.id.seed,
            copy=one.id.copy,
            other=split,
            at="start",
            metric=metric,
            x=None,
            value=value,
        )


def steps(session: Session, settings: SupermaskSettings) -> int:
    """One for each network."""
    return 1


SUPERMASK = Measurement(
    summary="what each network of a level scores before its training, its mask alone (Zhou et al. 2019)",
    settings=SupermaskSettings,
    words={
        "weights": "start, or signed-constant: the signs of these, all of one size in each layer",
        "rescaled": "true to divide each layer by its share of kept weights",
        "split": "validation or test",
    },
    check=check,
    steps=steps,
    measure=measure,
)
