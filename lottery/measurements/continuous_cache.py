"""The continuous cache: a language model's probabilities mixed with those of the words that it has just read.

Grave et al. 2017, arXiv 1612.04426; in the form of awd-lstm-lm, pointer.py (Merity et al. 2018, section 6).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nas.recurrent.language_model import LanguageModel
from training.datasets.text import TextData
from training.datasets.vocabulary import END
from training.device import matrix_precision
from training.errors import LotteryError, require
from training.replicates import Replicates
from training.tasks.task import Network

# Tokens that are read together: their logits are the largest thing in memory.
BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The settings of a cache; by default those of awd-lstm-lm's README for the Penn Treebank.

    For WikiText-2 it gives 3785, 0.1279 and 0.662.

    Attributes:
        window: how many tokens are remembered.
        share: of the cache in the mixture, lambda.
        flatness: theta, which scales what the cache compares: 0 counts words, more looks for like contexts.
    """

    window: int = 500
    share: float = 0.1
    flatness: float = 1.0

    def __post_init__(self) -> None:
        require(self.window >= 1, "window", self.window, "1 or more")
        require(0 <= self.share < 1, "share", self.share, "from 0 to below 1")
        require(0 <= self.flatness < math.inf, "flatness", self.flatness, "0 or more, and finite")


@torch.no_grad()
def cached_losses(
    replicates: Replicates,
    text: TextData,
    split: str,
    cache: Cache,
    precision: str = "fp32",
    told: Callable[[int], None] = lambda tokens: None,
) -> tuple[Tensor, Tensor]:
    """Each token's loss without and with the cache, `[R, N]` fp64 on the CPU.

        p(w) = (1 - share) p_vocabulary(w) + share sum_i [w_i = w] softmax_i(flatness h_t h_i)

    over the `window` tokens w_i before w, each with the raw output h_i of the last core from which it was predicted;
    h_t is the one that predicts w. As in the release the cache is used once more than `window` tokens were read, and
    the text is one column, its state carried from the first token to the last: so the plain loss differs a little
    from that of an evaluation in several columns. Only the probability of the word that comes is needed, so nothing
    is as large as window times vocabulary.

    Args:
        replicates: in evaluation mode, of a `LanguageModel`.
        text: on the device of the replicates.
        split: "validation" or "test".
        cache: its settings.
        precision: of matrix products in the network; the cache's are in the precision of the states.
        told: how many tokens were read, after each block.
    """
    stream = text.splits()[split]
    inputs = torch.cat([stream.new_tensor([text.words.index(END)]), stream[:-1]])
    model = _language_model(replicates)
    state: Any = tuple(t.expand(len(replicates), *t.shape) for t in model.initial_state(1))
    past = next(iter(state)).new_empty(len(replicates), 0, model.embedding.embedding_dim)
    plain, mixed = [], []
    for first in range(0, len(stream), BLOCK):
        tokens, words = inputs[first : first + BLOCK], stream[first : first + BLOCK]
        with matrix_precision(precision, stream.device):
            logits, raw, state = replicates(
                _read, state, tokens[:, None].expand(len(replicates), -1, 1)
            )
        known = torch.cat([past, raw], 1)
        own = _log_probability(logits, words)
        remembered = stream[first - past.shape[1] : first + len(words)]
        from_cache = _cache_log_probability(raw, known, remembered, cache)
        after = torch.arange(first, first + len(words), device=stream.device) > cache.window
        plain.append(-own)
        mixed.append(-torch.where(after, _mixture(own, from_cache, cache.share), own))
        past = known[:, -cache.window :]
        told(len(words))
    return torch.cat(plain, 1).cpu(), torch.cat(mixed, 1).cpu()


def _language_model(replicates: Replicates) -> LanguageModel:
    if not isinstance(replicates.network, LanguageModel):
        raise LotteryError(
            f"The network {type(replicates.network).__name__} gives no states that a cache could remember; name a "
            "run of a language model of `lottery networks`."
        )
    return replicates.network


def _read(network: Network, state: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Logits `[T, V]` and raw outputs `[T, E]` of one column, and the state after it."""
    output = network(tokens, state)
    return output.logits[:, 0], output.raw[:, 0], output.state


def _log_probability(logits: Tensor, words: Tensor) -> Tensor:
    """What the vocabulary gives the words that come, `[R, T]` fp64."""
    exponents = logits.double()
    picked = exponents.gather(2, words.expand(len(logits), -1)[..., None])[..., 0]
    return picked - exponents.logsumexp(2)


def _cache_log_probability(raw: Tensor, known: Tensor, remembered: Tensor, cache: Cache) -> Tensor:
    """What the cache gives the words that come, `[R, T]` fp64; -inf of those that it doesn't hold.

    Args:
        raw: `[R, T, E]`, the outputs that predict the block's words.
        known: `[R, P + T, E]`, those of the words before, and then the block's.
        remembered: `[P + T]`, the word that each of these was followed by.
        cache: its settings.
    """
    positions = torch.arange(len(remembered), device=raw.device)
    here = positions[len(remembered) - raw.shape[1] :, None]
    within = (positions < here) & (positions >= here - cache.window)
    alike = remembered == remembered[here]
    scores = cache.flatness * (raw @ known.transpose(1, 2)).double()
    nothing = -float("inf")
    all_words = scores.masked_fill(~within, nothing).logsumexp(2)
    return scores.masked_fill(~(within & alike), nothing).logsumexp(2) - all_words


def _mixture(own: Tensor, from_cache: Tensor, share: float) -> Tensor:
    weights = own.new_tensor([1.0 - share, share]).log()
    return torch.logaddexp(weights[0] + own, weights[1] + from_cache)
