"""A task whose gradients and validation losses are written out, so that the loop can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from training.metrics import ACCURACY
from training.replicates import Replicates
from training.specs import ImageSpec
from training.tasks.task import Batch, Carry, Evaluation, Network, Task


class Weights(nn.Module):
    """One output per row: the product with a weight of two numbers."""

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([first, second]))

    def forward(self, x: Tensor) -> Tensor:
        """From `[B, 2]` to `[B]`."""
        return x @ self.weight


class Toy(Task):
    """The loss is w . (3, 4), so that its gradient is (3, 4), of norm 5.

    Args:
        doctored: (step, replicate) -> by what that loss is multiplied.
        validation: per look, the loss of each replicate; the last one holds on. The weights' sum by default.
        rows: of a batch, all alike.
    """

    metric = ACCURACY
    spec = ImageSpec(channels=1, height=1, width=2, classes=1)
    device = torch.device("cpu")
    batch_size = 1
    steps_per_epoch = 4

    def __init__(
        self,
        doctored: Mapping[tuple[int, int], float] | None = None,
        validation: Sequence[Sequence[float]] = (),
        rows: int = 1,
    ) -> None:
        self.rows = rows
        self.doctored = doctored or {}
        self.validation = list(validation)

    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """The input and the factor of the loss, `[R, B, 2]` and `[R, B]`."""

        def batch(step: int) -> Batch:
            factors = [[self.doctored.get((step, r), 1.0)] * self.rows for r in range(len(seeds))]
            return torch.tensor([[[3.0, 4.0]] * self.rows] * len(seeds)), torch.tensor(factors)

        return batch

    def first_carry(self, replicates: Replicates, examples: int | None = None) -> Carry:
        """Nothing."""
        return ()

    def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """The mean of the rows' products, times the factor."""
        x, factor = batch
        return (network(x) * factor).mean(), carry

    def score(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, None]:
        """The rows' products."""
        product: Tensor = network(batch[0])
        return product, None

    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """The next written loss."""
        held = replicates.tensors()["weight"].sum(1).double()
        if self.validation:
            row = self.validation.pop(0) if len(self.validation) > 1 else self.validation[0]
            held = torch.tensor(row, dtype=torch.float64)
        return Evaluation(loss=held, metric=-held, scores=torch.zeros(len(replicates), 1))

    def run_example(self, network: nn.Module) -> int:
        """One row."""
        network(torch.ones(1, 2))
        return 1

    def check_evaluated(self, network: nn.Module) -> None:
        """Nothing."""
