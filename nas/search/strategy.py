"""What a search does between two epochs of training the shared weights: the strategies' common interface."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nas.search.space import Choices

# Architectures -> the reward of each, higher is better and always finite; 0 for one that diverged. With shared weights
# each is scored on the next minibatch of the validation split, without them each is trained from scratch.
Evaluate = Callable[[Sequence[Choices]], list[float]]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An architecture that a strategy suggests when the search ends.

    Attributes:
        choices: the architecture.
        round: of the search in which it first came up; for ENAS and random search the epoch.
        details: what the strategy knows of it, such as NAO's `predicted` reward and its `step_size`.
    """

    choices: Choices
    round: int
    details: Mapping[str, float] = field(default_factory=dict)


class Strategy(abc.ABC):
    """Proposes architectures, and learns from their rewards.

    All that is drawn is a function of the seed, the step or epoch, and what was learned: a strategy that is restored
    goes on as if nothing had happened.
    """

    @abc.abstractmethod
    def propose(self, step: int) -> Choices:
        """An architecture whose weights are trained; changes nothing.

        Args:
            step: of the shared weights; where each takes several architectures, the number of one of them, from 0.
        """

    @abc.abstractmethod
    def after_epoch(self, epoch: int, evaluate: Evaluate) -> dict[str, float]:
        """Learn, once the shared weights were trained for an epoch.

        A search without shared weights calls this one time per round and `propose` never.

        Args:
            epoch: that was finished, counted from 0.
            evaluate: scores architectures.

        Returns:
            What the history records, by name: `reward` (the mean of what was evaluated), and where there are some
            `baseline`, `entropy` and figures of the strategy's own.
        """

    @abc.abstractmethod
    def candidates(self, count: int) -> list[Candidate]:
        """Up to so many different architectures that the search may end with, what it holds best first.

        A function of the state: changes nothing.
        """

    def predictions(self, architectures: Sequence[Choices]) -> list[float | None]:
        """The reward that it expects of each, None where it expects none or was told it; changes nothing."""
        return [None] * len(architectures)

    @abc.abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What was learned, by name, for a checkpoint; together with `values` the whole state."""

    @abc.abstractmethod
    def values(self) -> dict[str, Any]:
        """The rest of the state as JSON values."""

    @abc.abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Put a new strategy where the one stood that gave `tensors` and `values`.

        Raises:
            KeyError, ValueError, RuntimeError: they are another strategy's.
        """
