"""A language model around any recurrent cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.recurrent.cells import RecurrentCore
from nas.recurrent.loop import State
from training.dropout import Dropout


class Output(NamedTuple):
    """What a language model makes of a window of text.

    Attributes:
        logits: `[T, B, V]`, of the token after each one.
        state: after the last token.
        dropped: `[T, B, E]`, what the decoder reads: the last core's output after its dropout, which activation
            regularisation takes (Merity et al. 2018, section 4.6; awd-lstm-lm, main.py), and the slowness of ENAS
            (melodyguan/enas, ptb_enas_child.py).
        raw: `[T, B, E]`, the last core's output before its dropout, which temporal activation regularisation takes
            (awd-lstm-lm, DARTS, NAO), activation regularisation in enas_lm, and both in Ordered-Neurons' main.py.
    """

    logits: Tensor
    state: State
    dropped: Tensor
    raw: Tensor


class LanguageModel(nn.Module):
    """Embedding, recurrent cores, and a decoder, usually tied to the embedding.

    The dropouts are those of Merity et al. 2018 (arXiv 1708.02182, section 4): whole words of the
    embedding matrix on the way in (the decoder sees the full matrix), and locked masks, constant
    over time, on the embedded input, between the cores and on the output. The bias of the decoder
    is 0 at first, as in every source that has one but Zaremba et al. 2014 (`nas.recurrent.awd_lstm.lstm`).

    Args:
        vocabulary: V, how many tokens there are.
        embedding: E, width of the embedding and of the last core's output.
        cores: each reads the outputs of the one before it.
        dropout_embedding: probability that a word is dropped.
        dropout_input: probability that a unit of the embedded input is dropped.
        dropout_hidden: probability that a unit between two cores is dropped.
        dropout_output: probability that a unit of the output is dropped.
        locked: whether the masks of the last three are constant over time; else each time step has its own.
        tied: whether the decoder's matrix is the embedding's; else it is one of its own.
        bias: whether the decoder has one.
        bound: the embedding, and a decoder's own matrix, are uniform within it at first: 0.1 in awd-lstm-lm and
            Ordered-Neurons (model.py, `init_weights`); for searched cells see `RELEASES` in
            `nas.recurrent.searched_language_model`.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int,
        cores: Sequence[RecurrentCore],
        *,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        dropout_hidden: float = 0.0,
        dropout_output: float = 0.0,
        locked: bool = True,
        tied: bool = True,
        bias: bool = True,
        bound: float = 0.1,
    ) -> None:
        super().__init__()
        if not cores or cores[-1].state_sizes[0] != embedding:
            raise ValueError("a tied decoder needs a last core as wide as the embedding")
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.cores = nn.ModuleList(cores)
        self.decoder_bias = nn.Parameter(torch.zeros(vocabulary)) if bias else None
        self.dropout_embedding = Dropout(dropout_embedding, shared=(1,))
        shared = (0,) if locked else ()
        self.dropout_input = Dropout(dropout_input, shared)
        above = [dropout_hidden] * (len(cores) - 1) + [dropout_output]
        self.dropouts_above = nn.ModuleList(Dropout(p, shared) for p in above)
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.decoder_weight = None if tied else nn.Parameter(torch.empty(vocabulary, embedding))
        if self.decoder_weight is not None:
            nn.init.uniform_(self.decoder_weight, -bound, bound)

    def initial_state(self, batch: int) -> State:
        """The zero states of all cores, one after the other, for `batch` sequences."""
        return tuple(tensor for core in self._cores() for tensor in core.initial_state(batch))

    def forward(self, tokens: Tensor, state: State) -> Output:
        """Predict the token after each one.

        Args:
            tokens: `[T, B]` int64.
            state: of `initial_state`, or what the previous call returned.
        """
        raw = dropped = self.embedded(tokens)
        after: list[Tensor] = []
        for core, dropout, own in self.layers(state):
            raw, own_after = core(dropped, own)
            after += own_after
            dropped = dropout(raw)
        weight = self.embedding.weight if self.decoder_weight is None else self.decoder_weight
        logits = F.linear(dropped, weight, self.decoder_bias)
        return Output(logits, tuple(after), dropped, raw)

    def embedded(self, tokens: Tensor) -> Tensor:
        """What the first core reads, `[T, B, E]`, from tokens `[T, B]`."""
        embedded = F.embedding(tokens, self.embedding.weight)
        if self.training and self.dropout_embedding.p > 0.0:
            # Each word of the vocabulary is drawn for once, and only those that occur are multiplied.
            words = self.dropout_embedding(torch.ones_like(self.embedding.weight[:, :1]))
            embedded = embedded * F.embedding(tokens, words)
        dropped: Tensor = self.dropout_input(embedded)
        return dropped

    def layers(self, state: State) -> Iterator[tuple[RecurrentCore, nn.Module, State]]:
        """Each core with the dropout above it and its own part of a state."""
        rest = iter(state)
        for core, dropout in zip(self._cores(), self.dropouts_above, strict=True):
            yield core, dropout, tuple(next(rest) for _ in core.state_sizes)

    def _cores(self) -> Iterator[RecurrentCore]:
        return cast(Iterator[RecurrentCore], iter(self.cores))
