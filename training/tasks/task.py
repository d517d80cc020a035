"""The abstract task: what a network is trained to do."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.metrics import Metric
from training.replicates import Replicates
from training.specs import Spec

Network = Callable[..., Any]
Batch = tuple[Tensor, ...]
Carry = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What each replicate scores on one split.

    Attributes:
        loss: mean loss per example or token, `[R]` fp64 on the CPU.
        metric: the task's metric, `[R]` fp64 on the CPU.
        scores: per example (1 correct, 0 wrong; uint8) or per token (its loss; fp32), `[R, N]` on the CPU.
    """

    loss: Tensor
    metric: Tensor
    scores: Tensor


class Task(abc.ABC):
    """Data, batches, loss, evaluation and metric, written for one network; replicates map it.

    Attributes:
        metric: what a network is judged by.
        spec: what it must take and give.
        device: where the data live.
        batch_size: B.
        steps_per_epoch: whole batches in the training split.
        example_dimension: of one network's batch: 0 for `[B, ...]`, 1 for `[T, B]`. What is carried leads with B.
        few_shapes: whether batches have one or a few shapes, so that it pays to capture a step of each.
    """

    metric: Metric
    spec: Spec
    device: torch.device
    batch_size: int
    steps_per_epoch: int
    example_dimension = 0
    few_shapes = True

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a run records of the data: name, fingerprint, counts and baselines."""

    @abc.abstractmethod
    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """A function from a step to that step's batch, each tensor leading with R.

        Args:
            seeds: R noise seeds: the order of the data is a function of (seed, epoch).
        """

    def rate_factor(self, step: int) -> float:
        """By what a step's batch multiplies the learning rate, besides the schedule."""
        return 1.0

    @abc.abstractmethod
    def first_carry(self, replicates: Replicates, examples: int | None = None) -> Carry:
        """What is carried from step to step at the start of an epoch, each tensor leading with R.

        Args:
            replicates: of the network that it is for.
            examples: B; None for that of a batch.
        """

    @abc.abstractmethod
    def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """One network's loss on its batch, and what it carries to the next step, detached."""

    @abc.abstractmethod
    def score(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Any]:
        """One network's loss per example or token of a batch, in evaluation mode, and what else evaluation needs."""

    @abc.abstractmethod
    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """Score every replicate on "validation" or "test"; the replicates are in evaluation mode."""

    @abc.abstractmethod
    def run_example(self, network: nn.Module) -> int:
        """Run one network once, forward, and return how many examples or tokens that took.

        For whoever counts what a forward pass costs.
        """

    @abc.abstractmethod
    def check_evaluated(self, network: nn.Module) -> None:
        """Run one network, in evaluation mode, on a few examples, and refuse outputs that are not what is needed.

        Raises:
            LotteryError: they are something else, or follow from what they should predict.
        """
