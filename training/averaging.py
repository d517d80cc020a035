"""Averages of weights over the steps: begun, or ended, by validation losses that stop falling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from training.configs import AveragingConfig
from training.replicates import Replicates


@dataclass(kw_only=True)
class Averages:
    """Each replicate's running mean of its weights, and what decides over it. Changed in place.

    Non-monotonically triggered averaged SGD (Merity et al. 2018, arXiv 1708.02182, algorithm 1) in the form of
    awd-lstm-lm's main.py, with the fine-tuning of its finetune.py as the last steps of the same training. The mean is
    the plain one of all iterates after the trigger, and steps go on from the raw weights at the rate of the schedule.
    `torch.optim.ASGD` (t0 = 0, lambd = 0), which the release uses, differs: a changed learning rate reaches its steps
    one step late, and its mean leaves out the first iterate. Buffers are not averaged.

    Attributes:
        config: when.
        finetune_from: the step from which on is fine-tuned, or None.
        means: of the parameters, `[R, ...]`; empty where nothing is averaged.
        since: per replicate the step whose weights its mean began after, or None while it has no mean.
        logged: per replicate the validation losses that the trigger has seen.
        finished_at: per replicate the step at which its fine-tuning was done, or None.
    """

    config: AveragingConfig
    finetune_from: int | None
    means: dict[str, Tensor]
    since: list[int | None]
    logged: list[list[float]]
    finished_at: list[int | None]


def no_averages(config: AveragingConfig, replicates: Replicates, last_step: int) -> Averages:
    """Before the first step: no replicate has a mean.

    Args:
        config: with `finetune` in iterations.
        replicates: whose weights may be averaged.
        last_step: of the training.
    """
    count = len(replicates)
    weights = replicates.weights() if config.trigger != "never" else {}
    tuned = config.finetune.iterations
    return Averages(
        config=config,
        finetune_from=last_step - tuned if tuned else None,
        means={name: torch.zeros_like(p, requires_grad=False) for name, p in weights.items()},
        since=[None] * count,
        logged=[[] for _ in range(count)],
        finished_at=[None] * count,
    )


def non_monotone(logged: Sequence[float], loss: float, patience: int) -> bool:
    """Whether a loss is above the least of those that are logged before the latest `patience`.

    As awd-lstm-lm's main.py has it, where the loss is logged after the comparison; algorithm 1 of the paper prints
    another index, which the authors call a typo.
    """
    return len(logged) > patience and loss > min(logged[:-patience])


@torch.no_grad()
def start_means(averages: Averages, replicates: Replicates, rows: Sequence[int], step: int) -> None:
    """Begin the means of some replicates: until the next step they are the present weights."""
    weights = replicates.weights()
    for r in rows:
        averages.since[r] = step
        for name, mean in averages.means.items():
            mean[r].copy_(weights[name][r])


@torch.no_grad()
def update_means(averages: Averages, replicates: Replicates, step: int) -> None:
    """Take the weights after `step` steps into the means, in place."""
    running = [(r, since) for r, since in enumerate(averages.since) if since is not None]
    if not running:
        return
    weights = replicates.weights()
    means, latest, shares = list[Tensor](), list[Tensor](), list[float]()
    for name, mean in averages.means.items():
        rows, present = mean.unbind(0), weights[name].unbind(0)
        means += [rows[r] for r, _ in running]
        latest += [present[r] for r, _ in running]
        # The first iterate has the weight 1 and replaces whatever was there.
        shares += [1.0 / (step - since) for _, since in running]
    torch._foreach_lerp_(means, latest, shares)


class DeviceMeans:
    """The means of a step that its device repeats by itself: what the latest weights count for follows from tensors.

    The count of steps and where each mean began lie on the device; a replicate that has no mean keeps what is there.

    Args:
        averages: whose means are changed in place.
        replicates: whose weights are averaged.
    """

    def __init__(self, averages: Averages, replicates: Replicates) -> None:
        self._averages = averages
        self._replicates = replicates
        device = next(replicates.parameters()).device
        self._began: list[int | None] = [None] * len(replicates)
        self._since = torch.full((len(replicates),), -1, dtype=torch.int64, device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def running(self) -> bool:
        """Whether any replicate has a mean."""
        return any(since is not None for since in self._averages.since)

    def go_to(self, step: int) -> None:
        """Say how many steps are taken with the next one."""
        if self._began != self._averages.since:
            self._began = [*self._averages.since]
            began = [-1 if since is None else since for since in self._began]
            self._since.copy_(torch.tensor(began))
        self._step.fill_(step)

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the means, in place."""
        if not self.running:
            return
        weights, runs = self._replicates.weights(), self._since >= 0
        # In fp32 the quotient is what the host's, which is fp64, would be rounded to.
        share = (self._step - self._since).float().reciprocal()
        for name, mean in self._averages.means.items():
            shape = (-1, *[1] * (mean.dim() - 1))
            later = mean.lerp(weights[name], share.view(shape))
            torch.where(runs.view(shape), later, mean, out=mean)


def after_validation(
    averages: Averages,
    replicates: Replicates,
    losses: Sequence[float],
    alive: Sequence[bool],
    step: int,
) -> None:
    """Begin a mean where the trigger fires, or, in fine-tuning, finish; a replicate that diverged loses its mean.

    Args:
        averages: changed in place.
        replicates: with their raw weights.
        losses: on the validation split, of the means where there are any.
        alive: which replicates have not diverged.
        step: of the validation.
    """
    if averages.config.trigger == "never":
        return
    tuning = averages.finetune_from is not None and step > averages.finetune_from
    for r, loss in enumerate(losses):
        if not alive[r]:
            averages.since[r] = None
        if not alive[r] or averages.finished_at[r] is not None:
            continue
        if averages.since[r] is not None and not tuning:
            continue
        fires = non_monotone(averages.logged[r], loss, averages.config.patience)
        averages.logged[r].append(loss)
        if fires and tuning:
            averages.since[r], averages.finished_at[r] = None, step
        elif fires:
            start_means(averages, replicates, [r], step)


@contextmanager
def averaged(averages: Averages, replicates: Replicates) -> Iterator[None]:
    """The replicates with their means, where they have any, in the places of their weights; then the raw ones again."""
    weights = replicates.weights()
    places = [
        (weights[name].detach()[r], mean[r])
        for r, since in enumerate(averages.since)
        if since is not None
        for name, mean in averages.means.items()
    ]
    raw = [place.clone() for place, _ in places]
    for place, mean in places:
        place.copy_(mean)
    try:
        yield
    finally:
        for (place, _), before in zip(places, raw, strict=True):
            place.copy_(before)
