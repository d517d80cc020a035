"""Whole tiny cycles of networks of one's own, at once, in pieces and one replicate at a time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from lottery.checks import check
from lottery.cycle import find_tickets
from lottery.experiments import Experiment, NetworkConfig
from lottery.session import Session
from nas.catalog.outside_networks import Factory
from tests.tiny_runs import TINY, TINY_TEXT, StopAfter, files, open_run, session
from training.batching import Batching
from training.errors import ExitCode, LotteryError
from training.specs import Spec

OWN = dataclasses.replace(
    TINY, name="own", levels=1, arms=("reinitialised",), network=NetworkConfig(name="m:f")
)
OWN_TEXT = dataclasses.replace(
    TINY_TEXT, name="own", levels=1, arms=(), network=NetworkConfig(name="m:f")
)


def own_session(
    factory: Factory,
    experiment: Experiment = OWN,
    root: Path = Path("own"),
    *,
    batching: Batching | None = "looped",
    **how: Any,
) -> Session:
    """A session of a network of one's own."""
    return session(experiment, root, factory=factory, batching=batching, **how)


def carried_out(
    factory: Factory, root: Path, experiment: Experiment = OWN, **how: Any
) -> dict[str, bytes]:
    """The files of a run that was begun, or gone on with."""
    one = check(own_session(factory, experiment, root, **how))
    open_run(root, experiment, one.task.data.description())
    find_tickets(one)
    return files(root)


def in_pieces(
    factory: Factory, root: Path, experiment: Experiment = OWN, *, every: int, **how: Any
) -> dict[str, bytes]:
    """The files of a run that was stopped every few steps."""
    for _ in range(100):
        try:
            return carried_out(factory, root, experiment, watcher=StopAfter(every), **how)
        except LotteryError as error:
            if error.exit_code is not ExitCode.RESUMABLE:
                raise
    raise AssertionError("it does not come to its end")


def refusal(factory: Factory, experiment: Experiment = OWN, **how: Any) -> str:
    """What a network is refused with before anything is written."""
    with pytest.raises(LotteryError) as caught:
        check(own_session(factory, experiment, **how))
    return str(caught.value)


def results(files: dict[str, bytes]) -> dict[str, bytes]:
    """What came of a run, without how its replicates were trained together."""
    return {
        name: data
        for name, data in files.items()
        if name.startswith(("level-", "start/")) and not name.endswith("execution.json")
    }


class Classifier(nn.Module):
    """A linear layer on what a method makes of images `[B, 64]`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        self.prepare()

    def prepare(self) -> None:
        """Whatever else it holds."""

    def change(self, x: Tensor) -> Tensor:
        """What is done before the linear layer."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last(self.change(x.flatten(1)))
        return logits
