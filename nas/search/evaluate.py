"""Scores of architectures with shared weights: on the validation split, never on the test split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nas.search.shared_training import SharedTraining, use_mode
from nas.search.space import Choices
from training.device import matrix_precision
from training.noise import generator
from training.tasks.task import Network, Rewards

Score = Callable[[Network], float]


class SharedScorer:
    """Scores architectures with the shared weights as they are, and leaves these as they are.

    Args:
        training: of the shared weights, whose batch norms have no running statistics.
        rewards: how.
        dropout: whether the network drops while `reward` is taken.
    """

    def __init__(
        self, training: SharedTraining, rewards: Rewards, *, dropout: bool = False
    ) -> None:
        self.training = training
        self.rewards = rewards
        self.dropout = dropout

    def reward(self, choices: Choices, order: int, number: int) -> float:
        """What a strategy learns from: `minibatch`, with dropout where that is configured.

        What is dropped is a function of the seed, the order and the number.
        """
        if not self.dropout:
            return self.minibatch(choices, order, number)
        source = generator(self.training.seed, "reward noise", order, number)
        seed = int(torch.randint(2**31 - 1, (), generator=source))
        self.training.draws.give(seed, 0)
        return self._scored(choices, partial(self._minibatch, order, number), dropout=True)

    def minibatch(self, choices: Choices, order: int, number: int) -> float:
        """The reward on one minibatch, see `Rewards.minibatch`."""
        return self._scored(choices, partial(self._minibatch, order, number))

    def whole(self, choices: Choices) -> float:
        """The reward on the whole validation split."""
        return self._scored(choices, self.rewards.whole)

    def _minibatch(self, order: int, number: int, network: Network) -> float:
        return self.rewards.minibatch(network, order, number)

    def _scored(self, choices: Choices, score: Score, *, dropout: bool = False) -> float:
        training = self.training
        use_mode(training.shared, training=dropout)
        with (
            torch.no_grad(),
            matrix_precision(training.config.precision, training.task.device),
        ):
            return score(partial(self._path, training.space.genotype(choices)))

    def _path(self, genotype: object, *inputs: object) -> object:
        """One architecture's output; a text's state is zero where it is None."""
        shared = self.training.shared
        match inputs:
            case (Tensor() as tokens, None):
                return shared(genotype, tokens, shared.initial_state(tokens.shape[1]))
        return shared(genotype, *inputs)
