"""Rewards of networks that classify images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.datasets.images import LabelledImages
from training.noise import generator
from training.tasks.task import Network, Rewards


class ImageRewards(Rewards):
    """The share of images that are right; the whole split is scored in minibatches too, as batch norms need them.

    Args:
        part: the validation split.
        seed: of the orders.
        size: of a minibatch, in images; at most all.
    """

    def __init__(self, part: LabelledImages, seed: int, size: int) -> None:
        self.part = part
        self.size = min(size, len(part))
        self.count = len(part) // self.size
        self.seed = seed
        self._drawn: tuple[tuple[int, int], Tensor] | None = None

    def minibatch(self, network: Network, order: int, number: int) -> float:
        """See `Rewards.minibatch`."""
        turn, within = divmod(number, self.count)
        index = self._order(order, turn)[within * self.size : (within + 1) * self.size]
        return float(self._right(network, index)) / len(index)

    def whole(self, network: Network) -> float:
        """See `Rewards.whole`: in parts that differ by one image at most."""
        # An order, as files may be sorted by class.
        index = self._order(-1, 0)
        parts = index.tensor_split(math.ceil(len(index) / self.size))
        return float(torch.stack([self._right(network, part) for part in parts]).sum()) / len(index)

    def _order(self, order: int, turn: int) -> Tensor:
        key = order, turn
        if self._drawn is None or self._drawn[0] != key:
            source = generator(self.seed, "validation order", order, turn)
            drawn = torch.randperm(len(self.part), generator=source)
            self._drawn = key, drawn.to(self.part.labels.device)
        return self._drawn[1]

    def _right(self, network: Network, index: Tensor) -> Tensor:
        """How many are right, on the device; none where an output is not finite."""
        output = network(self.part.images.index_select(0, index))
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        right = logits.argmax(-1) == self.part.labels.index_select(0, index)
        return right.sum() * logits.isfinite().all()
