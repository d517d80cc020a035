"""Training NAO's encoder, predictor and decoder, and saying how good they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor
from torch.optim import Adam

from nas.search.nao_config import NaoConfig
from nas.search.nao_network import Surrogate, surrogate
from nas.search.optimizer_states import optimizer_tensors, restore_optimizer
from nas.search.random_search import draws
from nas.search.space import Choices, Space
from training.dropout import set_noise
from training.noise import generator


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How well architectures that were not trained on are ranked and decoded.

    Attributes:
        held_out: how many there are.
        pairwise: see `pairwise_accuracy`; NaN where all are equally good.
        kendall: Kendall's τ-b of real and predicted performance; NaN where either is constant.
        squared_error: of the predicted normalised performance, on average.
        decoded: share of the decisions that come back from encoder and decoder as they were.
        decoded_whole: share of the architectures of which all do.
    """

    held_out: int
    pairwise: float
    kendall: float
    squared_error: float
    decoded: float
    decoded_whole: float


def surrogate_loss(
    predicted: Tensor, real: Tensor, logits: Tensor, tokens: Tensor, trade_off: float
) -> Tensor:
    """λ times the predictor's squared error plus 1 - λ times the decoder's cross-entropy per token.

    Luo et al. 2018, equation 1, with the λ of the release (`trade_off`).

    Args:
        predicted: `[B]`.
        real: `[B]` normalised performance.
        logits: `[B, T, V]`.
        tokens: `[B, T]`, the right ones.
        trade_off: λ.
    """
    rebuilt = F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    return trade_off * F.mse_loss(predicted, real) + (1.0 - trade_off) * rebuilt


@dataclass(frozen=True)
class Learner:
    """Encoder, predictor and decoder, and the Adam that trains them."""

    network: Surrogate
    optimizer: Adam

    def tensors(self) -> dict[str, Tensor]:
        """All that was learned, by name."""
        weights = {f"network/{name}": p.detach() for name, p in self.network.named_parameters()}
        moments = optimizer_tensors(self.optimizer)
        return weights | {f"optimizer/{name}": tensor for name, tensor in moments.items()}


def new_learner(space: Space, config: NaoConfig, seed: int, round_number: int) -> Learner:
    """One with initial weights, a function of the arguments."""
    network = surrogate(space, config, generator(seed, "nao initial weights", round_number))
    return Learner(network, _adam(network, config))


def learner_of(space: Space, config: NaoConfig, tensors: Mapping[str, Tensor]) -> Learner:
    """A learner that stands where the one stood that gave the tensors, and shares none with it.

    Raises:
        KeyError, IndexError, ValueError, RuntimeError: they are another network's.
    """
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = tensor.clone()
    made = new_learner(space, config, seed=0, round_number=0)
    made.network.load_state_dict(groups["network"])
    restore_optimizer(made.optimizer, groups["optimizer"])
    made.network.eval()
    return made


def train_surrogate(
    space: Space,
    config: NaoConfig,
    rows: Sequence[Choices],
    performance: Sequence[float],
    seed: int,
    round_number: int,
    before: Learner | None = None,
) -> Learner:
    """Encoder, predictor and decoder, trained on a pool; a function of the arguments.

    Args:
        space: of the architectures.
        config: of sizes and training.
        rows: the architectures.
        performance: of each, between 0 and 1.
        seed: of the search.
        round_number: of the search.
        before: what the last round left, which is changed where it goes on (`config.continued`); None for new ones.

    Returns:
        It, ready to predict: without dropout.
    """
    learner = _begun(space, config, seed, round_number, before)
    network, optimizer = learner.network.train(), learner.optimizer
    rows, performance = _with_swaps(space, config, rows, performance, seed, round_number)
    tokens, real = network.words.tokens(rows), torch.tensor(performance)
    parameters = list(network.parameters())
    step = 0
    for epoch in range(config.epochs):
        if space.symmetric and config.fresh_swaps:
            source = draws(seed, "nao fresh swaps", round_number, epoch)
            tokens = network.words.tokens([space.swapped(row, source) for row in rows])
        order = torch.randperm(
            len(rows), generator=generator(seed, "nao order", round_number, epoch)
        )
        for batch in order.split(config.batch_size):
            set_noise(network, seed, step)
            predicted, logits = network(tokens[batch])
            loss = surrogate_loss(predicted, real[batch], logits, tokens[batch], config.trade_off)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
            optimizer.step()
            step += 1
    network.eval()
    return learner


def _begun(
    space: Space, config: NaoConfig, seed: int, round_number: int, before: Learner | None
) -> Learner:
    """What a round trains."""
    if before is None or config.continued == "nothing":
        return new_learner(space, config, seed, round_number)
    if config.continued == "weights":
        return Learner(before.network, _adam(before.network, config))
    return before


def _adam(network: Surrogate, config: NaoConfig) -> Adam:
    return Adam(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def predicted_performance(network: Surrogate, rows: Sequence[Choices]) -> list[float]:
    """What the predictor says of architectures, each between 0 and 1."""
    with torch.no_grad():
        values: list[float] = network.predict(network.encoder(network.words.tokens(rows))).tolist()
    return values


def quality(network: Surrogate, rows: Sequence[Choices], performance: Sequence[float]) -> Quality:
    """How good a trained surrogate is on architectures that it was not trained on, at least one."""
    predicted = predicted_performance(network, rows)
    with torch.no_grad():
        decoded = network.decode(network.encoder(network.words.tokens(rows)))
    right = [
        [a == b for a, b in zip(was, came, strict=True)]
        for was, came in zip(rows, decoded, strict=True)
    ]
    errors = [(a - b) ** 2 for a, b in zip(performance, predicted, strict=True)]
    return Quality(
        held_out=len(rows),
        pairwise=pairwise_accuracy(performance, predicted),
        kendall=kendall(performance, predicted),
        squared_error=sum(errors) / len(errors),
        decoded=sum(map(sum, right)) / sum(map(len, right)),
        decoded_whole=sum(map(all, right)) / len(right),
    )


def pairwise_accuracy(real: Sequence[float], predicted: Sequence[float]) -> float:
    """The share of pairs, of those that really differ, whose order is predicted right; a draw counts one half.

    NaN where none differ.

    >>> pairwise_accuracy([1.0, 2.0, 3.0], [0.1, 0.3, 0.2])
    0.6666666666666666
    """
    points = [
        0.5 if one == other else float((one < other) == (a < b))
        for (a, one), (b, other) in combinations(zip(real, predicted, strict=True), 2)
        if a != b
    ]
    return sum(points) / len(points) if points else math.nan


def kendall(real: Sequence[float], predicted: Sequence[float]) -> float:
    """Kendall's τ-b; NaN where either side is constant."""
    if len(set(real)) < 2 or len(set(predicted)) < 2:
        return math.nan
    return float(stats.kendalltau(real, predicted).statistic)


def _with_swaps(
    space: Space,
    config: NaoConfig,
    rows: Sequence[Choices],
    performance: Sequence[float],
    seed: int,
    round_number: int,
) -> tuple[list[Choices], list[float]]:
    if not space.symmetric:
        return [*rows], [*performance]
    source = draws(seed, "nao swaps", round_number)
    copies = [space.swapped(row, source) for _ in range(config.swaps) for row in rows]
    return [*rows, *copies], [*performance] * (config.swaps + 1)
