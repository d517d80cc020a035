"""The abstract task, what a network is trained to do, and the abstract rewards of a search."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.datasets.data import Data
from training.errors import LotteryError
from training.metrics import Metric
from training.replicates import Replicates
from training.specs import Spec

Network = Callable[..., Any]
Batch = tuple[Tensor, ...]
Carry = tuple[Any, ...]
# (network, what is carried, *batch) -> the loss of one network, and what it carries on.
Loss = Callable[..., tuple[Tensor, Carry]]


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


class Rewards(abc.ABC):
    """Scores one network on the validation split; higher is better, and a network that is not finite gets 0."""

    @abc.abstractmethod
    def minibatch(self, network: Network, order: int, number: int) -> float:
        """On one minibatch.

        Args:
            network: in evaluation mode.
            order: names one random order of the minibatches.
            number: in that order; it goes on in another one where it ends.
        """

    @abc.abstractmethod
    def whole(self, network: Network) -> float:
        """On all of it."""


class Task(abc.ABC):
    """Data, batches, loss, evaluation and metric, written for one network; replicates map it.

    Attributes:
        metric: what a network is judged by.
        data: on the device where it is trained.
        spec: what a network must take and give.
        device: where the data live.
        batch_size: B.
        steps_per_epoch: whole batches in the training split.
        example_dimension: of one network's batch: 0 for `[B, ...]`, 1 for `[T, B]`. What is carried leads with B.
        few_shapes: whether batches have one or a few shapes, so that it pays to capture a step of each.
    """

    metric: Metric
    data: Data
    spec: Spec
    device: torch.device
    batch_size: int
    steps_per_epoch: int
    example_dimension = 0
    few_shapes = True

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

    def softened(self, temperature: float) -> Loss:
        """The loss of a network whose logits are divided by a temperature; it can be differentiated twice.

        Raises:
            LotteryError: there is no such loss for such data.
        """
        raise LotteryError(f"Nothing says what softened outputs are for {self.spec.kind}.")

    def flow(self, network: Network) -> Tensor:
        """The sum of a network's outputs for one example of ones, in double precision.

        Raises:
            LotteryError: examples are no numbers.
        """
        raise LotteryError(f"There is no input of ones for {self.spec.kind}.")

    @abc.abstractmethod
    def score(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Any]:
        """One network's loss per example or token of a batch, in evaluation mode, and what else evaluation needs."""

    @abc.abstractmethod
    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """Score every replicate on "train", "validation" or "test"; the replicates are in evaluation mode."""

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

    def rewards(self, seed: int, constant: float, size: int | None = None) -> Rewards:
        """How a search scores networks on the validation split.

        Args:
            seed: of the minibatches.
            constant: a reward is this by the perplexity, where that is the metric; else it is not asked for.
            size: of a minibatch, in examples or columns of text; None for the task's.

        Raises:
            LotteryError: nothing can be searched on such data, or they are too few.
        """
        raise LotteryError(
            f"A search has no rewards for {self.spec.kind}; choose images to classify or text to predict."
        )
