"""NAO's step: embeddings are moved to where better performance is predicted, and decoded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.search.nao_config import NaoConfig
from nas.search.nao_network import Surrogate
from nas.search.nao_training import predicted_performance
from nas.search.space import Choices, Space


@dataclass(frozen=True, kw_only=True)
class Move:
    """An architecture that came out of another.

    Performance is normalised: from 0, the worst of the pool, to 1, the best.

    Attributes:
        choices: of the new architecture.
        parent: the architecture whose embedding was moved.
        step_size: by how much, η.
        promised: predicted at the moved embedding.
        predicted: of the new architecture itself, which the embedding was decoded to.
        predicted_before: of the parent.
    """

    choices: Choices
    parent: Choices
    step_size: int
    promised: float
    predicted: float
    predicted_before: float


def moved(network: Surrogate, encoded: Tensor, step_size: float) -> Tensor:
    """Encoder states, each along the gradient of the predicted performance: h + η ∂f/∂h, of length 1 again.

    Luo et al. 2018, equation 2, for performance that is better when it is higher.

    Args:
        network: whose predictor f is.
        encoded: `[B, S, H]`.
        step_size: η.
    """
    states = encoded.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network.predict(states).sum(), states)
    return F.normalize(states.detach() + step_size * gradient, dim=-1)


def new_architectures(
    network: Surrogate,
    space: Space,
    config: NaoConfig,
    parents: Sequence[Choices],
    known: Collection[Choices],
) -> list[Move]:
    """Different architectures that are not yet known, found with growing step sizes.

    Args:
        network: trained.
        space: of the architectures.
        config: says how many are wanted, and the step sizes; where the largest finds too few, there are fewer.
        parents: whose embeddings are moved, the best first.
        known: architectures that don't count as new; two rows that differ in the order of a node's edges are one, where
            the releases compare rows.
    """
    seen = {space.canonical(row) for row in known}
    with torch.no_grad():
        encoded = network.encoder(network.words.tokens(parents))
    before = predicted_performance(network, parents)
    found: list[Move] = []
    for step_size in range(config.step, config.largest_step + 1, config.step):
        there = moved(network, encoded, step_size)
        rows = network.decode(there)
        with torch.no_grad():
            promised = network.predict(there).tolist()
        predicted = predicted_performance(network, rows)
        for index, row in enumerate(rows):
            if len(found) == config.new:
                return found
            if space.canonical(row) in seen:
                continue
            seen.add(space.canonical(row))
            move = Move(
                choices=row,
                parent=parents[index],
                step_size=step_size,
                promised=promised[index],
                predicted=predicted[index],
                predicted_before=before[index],
            )
            found.append(move)
    return found
