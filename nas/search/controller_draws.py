"""What ENAS's controller draws, choice by choice, and how likely that was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(kw_only=True)
class Sample:
    """Architectures that a controller drew, and how likely each was.

    Attributes:
        choices: `[B, D]` int64.
        log_probability: `[B]`, with its gradient.
        entropy: `[B]`, summed over the decisions, without gradient.
        divergence: `[B]`, the Kullback-Leibler divergence of the skips from their target, with its gradient; summed
            over a layer's skips, averaged over the layers that may have some.
    """

    choices: Tensor
    log_probability: Tensor
    entropy: Tensor
    divergence: Tensor


class Draws:
    """Choices as they are drawn, in the order of the decisions.

    Args:
        uniform: `[B, D]` within [0, 1): each picks a choice where the cumulated probabilities pass it.
    """

    def __init__(self, uniform: Tensor) -> None:
        self.uniform = uniform
        self._chosen: list[Tensor] = []
        self._logs: list[Tensor] = []

    def choose(self, position: int, logits: Tensor) -> Tensor:
        """One more choice of each architecture, `[B]` int64.

        Args:
            position: of the decision among all.
            logits: `[B, choices]`.
        """
        logs = logits.log_softmax(-1)
        passed = logs.detach().exp().double().cumsum(-1) <= self.uniform[:, position, None]
        chosen = passed.sum(-1).clamp(max=logs.shape[-1] - 1)
        self._logs.append(logs)
        self._chosen.append(chosen)
        return chosen

    def sample(self, entropy_of: Literal["distribution", "sampled"], divergence: Tensor) -> Sample:
        """What was drawn, once all is decided.

        Args:
            entropy_of: see `ControllerConfig`.
            divergence: `[B]`, see `Sample`.
        """
        pairs = zip(self._logs, self._chosen, strict=True)
        log_each = torch.stack([logs.gather(-1, c[:, None])[:, 0] for logs, c in pairs], -1)
        if entropy_of == "distribution":
            entropy = torch.stack([-(logs.exp() * logs).sum(-1) for logs in self._logs]).sum(0)
        else:
            entropy = -(log_each.exp() * log_each).sum(-1)
        return Sample(
            choices=torch.stack(self._chosen, -1),
            log_probability=log_each.sum(-1),
            entropy=entropy.detach(),
            divergence=divergence,
        )
