"""What is pruned between two levels, as a configuration; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from training.errors import require


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """What is pruned between two levels.

    Attributes:
        criterion: the score that decides what goes, see `lottery.pruning.criteria`.
        scope: over what it is ranked, and how many each group keeps, see `lottery.pruning.scopes`.
        schedule: which density each level has, see `lottery.pruning.schedules`.
        rate: share of the kept weights that goes at each level.
        output_rate: the same for the layer that gives the logits, layerwise; None for `rate`. Globally it can only be
            0: that layer stays whole and is not ranked.
        convolution_rate: the same for convolutions of any kind; layerwise only; None for `rate`.
        densities: of the levels from 1 on, where the schedule is listed.
        embeddings: whether embeddings are pruned.
        batches: of training data, on which gradients are taken where the criterion looks at any.
        structure: what goes as one: single weights, or units (output channels and neurons, each with all weights that
            make it and that read it), of which rates and densities are shares then.
    """

    criterion: str = "magnitude"
    scope: str = "global"
    schedule: str = "geometric"
    rate: float = 0.2
    output_rate: float | None = None
    convolution_rate: float | None = None
    densities: tuple[float, ...] = ()
    embeddings: bool = False
    batches: int = 1
    structure: Literal["weights", "units"] = "weights"

    def __post_init__(self) -> None:
        for name in ("rate", "output_rate", "convolution_rate"):
            rate = getattr(self, name)
            require(rate is None or 0 <= rate < 1, name, rate, "from 0 to below 1")
        require(self.batches >= 1, "batches", self.batches, "1 or more")
        falling = all(before >= after for before, after in pairwise((1.0, *self.densities)))
        require(
            falling and all(density > 0 for density in self.densities),
            "densities",
            list(self.densities),
            "above 0 and at most 1, none above the one before it",
        )
