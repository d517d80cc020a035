"""Rewards of architectures with shared weights: scores on the validation split, never on the test split."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nas.search.shared_training import SharedTraining, use_mode
from nas.search.spaces import Choices
from training.datasets.text import MOST_NATS
from training.device import matrix_precision
from training.errors import LotteryError
from training.losses import cross_entropy
from training.noise import generator, set_noise
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Network, Task

Score = Callable[[Network], float]


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


class ImageRewards(Rewards):
    """The share of images that are right; the whole split is scored in minibatches too, as batch norms need them.

    Args:
        task: the images.
        seed: of the orders.
        size: of a minibatch, in images; None for the task's.
    """

    def __init__(self, task: ImageClassification, seed: int, size: int | None = None) -> None:
        self.part = task.data.validation
        self.size = min(size or task.batch_size, len(self.part))
        self.count = len(self.part) // self.size
        self.seed = seed
        self._held: tuple[tuple[int, int], Tensor] | None = None

    def minibatch(self, network: Network, order: int, number: int) -> float:
        """See `Rewards.minibatch`."""
        turn, place = divmod(number, self.count)
        index = self._order(order, turn)[place * self.size : (place + 1) * self.size]
        return self._right(network, index) / len(index)

    def whole(self, network: Network) -> float:
        """See `Rewards.whole`: in parts that differ by one image at most."""
        # An order, as files may be sorted by class.
        index = self._order(-1, 0)
        parts = index.tensor_split(math.ceil(len(index) / self.size))
        return sum(self._right(network, part) for part in parts) / len(index)

    def _order(self, order: int, turn: int) -> Tensor:
        key = order, turn
        if self._held is None or self._held[0] != key:
            source = generator(self.seed, "validation order", order, turn)
            drawn = torch.randperm(len(self.part), generator=source)
            self._held = key, drawn.to(self.part.labels.device)
        return self._held[1]

    def _right(self, network: Network, index: Tensor) -> float:
        output = network(self.part.images.index_select(0, index))
        logits = output[0] if isinstance(output, tuple) else output
        if not bool(logits.isfinite().all()):
            return 0.0
        right = logits.argmax(-1) == self.part.labels.index_select(0, index)
        return float(right.sum())


class TextRewards(Rewards):
    """A constant by the perplexity (Pham et al. 2018, section 3.1).

    The text stands in as many columns as in training, or fewer where it is too short for one window. A minibatch is one
    window of all columns, from zero states, as in the releases; on the whole split states are carried. A window may
    begin at any row, as in ENAS; NAO-WS draws the number of a window and takes it for that of a row, so that it begins
    within the first rows / (rows of a window).

    Args:
        task: the text.
        seed: of the windows.
        constant: a reward is this by the perplexity per word.
        columns: of the text; None for the task's.
    """

    def __init__(
        self, task: LanguageModelling, seed: int, constant: float, columns: int | None = None
    ) -> None:
        stream = task.data.validation
        columns = max(1, min(columns or task.batch_size, (len(stream) - 1) // task.sequence))
        rows = (len(stream) - 1) // columns
        if rows < 1:
            raise LotteryError(
                f"The validation text of {task.data.name} has {len(stream)} tokens, but a search needs 2 or more; "
                "choose other data."
            )
        self.inputs = stream[: rows * columns].view(columns, rows).t().contiguous()
        self.targets = stream[1 : rows * columns + 1].view(columns, rows).t().contiguous()
        self.length = min(task.sequence, rows)
        self.tokens_per_word = task.data.tokens_per_word("validation")
        self.seed = seed
        self.constant = constant

    def minibatch(self, network: Network, order: int, number: int) -> float:
        """See `Rewards.minibatch`: the window begins at a random row."""
        source = generator(self.seed, "validation window", order, number)
        rows, length = len(self.inputs), self.length
        start = int(torch.randint(rows - length + 1, (), generator=source))
        window = slice(start, start + length)
        logits = network(self.inputs[window], None)[0]
        return self._reward(cross_entropy(logits.flatten(0, 1), self.targets[window].flatten()))

    def whole(self, network: Network) -> float:
        """See `Rewards.whole`."""
        state, losses = None, []
        for tokens, targets in zip(
            self.inputs.split(self.length), self.targets.split(self.length), strict=True
        ):
            logits, state = network(tokens, state)[:2]
            losses.append(cross_entropy(logits.flatten(0, 1), targets.flatten()))
        return self._reward(torch.cat(losses))

    def _reward(self, losses: Tensor) -> float:
        loss = float(losses.double().mean())
        return perplexity_reward(loss * self.tokens_per_word, self.constant)


def perplexity_reward(exponent: float, constant: float) -> float:
    """A constant by the perplexity, the exponential of the loss per word.

    >>> round(perplexity_reward(0.6931471805599453, 80.0), 6), perplexity_reward(float("nan"), 80.0)
    (40.0, 0.0)
    """
    if not math.isfinite(exponent):
        return 0.0
    return constant / math.exp(min(exponent, MOST_NATS))


def rewards_of(task: Task, seed: int, constant: float, size: int | None = None) -> Rewards:
    """How networks for a task are scored.

    Args:
        task: of images or text.
        seed: of minibatches.
        constant: of text, see `TextRewards`.
        size: of a minibatch, in images or columns of text; None for the task's.

    Raises:
        LotteryError: it is neither about images nor text.
    """
    if isinstance(task, ImageClassification):
        return ImageRewards(task, seed, size)
    if isinstance(task, LanguageModelling):
        return TextRewards(task, seed, constant, size)
    raise LotteryError("A search needs images to classify or text to predict; choose such data.")


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
        set_noise(self.training.drawing, seed, 0)
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
