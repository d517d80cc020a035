"""Rewards of language models."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.datasets.text import MOST_NATS, TextData
from training.errors import LotteryError
from training.losses import cross_entropy
from training.noise import generator
from training.tasks.task import Network, Rewards


class TextRewards(Rewards):
    """A constant by the perplexity (Pham et al. 2018, section 3.1).

    The text stands in as many columns as in training, or fewer where it is too short for one window. A minibatch is one
    window of all columns, from zero states, as in the releases; on the whole split states are carried. A window may
    begin at any row, as in ENAS; NAO-WS draws the number of a window and takes it for that of a row, so that it begins
    within the first rows / (rows of a window).

    Args:
        data: the text.
        seed: of the windows.
        constant: a reward is this by the perplexity per word.
        columns: of the text, at most.
        sequence: rows of a window, at most.

    Raises:
        LotteryError: the validation text is a single token.
    """

    def __init__(
        self, data: TextData, seed: int, constant: float, columns: int, sequence: int
    ) -> None:
        stream = data.validation
        columns = max(1, min(columns, (len(stream) - 1) // sequence))
        rows = (len(stream) - 1) // columns
        if rows < 1:
            raise LotteryError(
                f"The validation text of {data.name} has {len(stream)} tokens, but a search needs 2 or more; "
                "choose other data."
            )
        self.inputs = stream[: rows * columns].view(columns, rows).t().contiguous()
        self.targets = stream[1 : rows * columns + 1].view(columns, rows).t().contiguous()
        self.length = min(sequence, rows)
        self.tokens_per_word = data.tokens_per_word("validation")
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
