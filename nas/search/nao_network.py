"""NAO's encoder, predictor and decoder (Luo et al. 2018, arXiv 1808.07233, section 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.search.nao_config import NaoConfig
from nas.search.nao_vocabulary import START, Vocabulary, vocabulary
from nas.search.space import Choices, Space
from training.dropout import Dropout
from training.seeded_draws import default_generator_seeded

State = tuple[Tensor, Tensor]


class Encoder(nn.Module):
    """Tokens to states of length 1: an embedding and one LSTM layer.

    Args:
        tokens: V, how many there are.
        config: of the sizes.
    """

    def __init__(self, tokens: int, config: NaoConfig) -> None:
        super().__init__()
        self.together = config.tokens_per_step
        self.embedding = nn.Embedding(tokens, config.embedding)
        self.dropout = Dropout(config.encoder_dropout)
        self.lstm = nn.LSTM(self.together * config.embedding, config.hidden, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[B, T]` -> `[B, S, H]`, where S is T / `tokens_per_step`, rounded up.

        Where they don't fill the first step, zeros stand before them.
        """
        embedded = self.dropout(self.embedding(tokens))
        missing = -tokens.shape[1] % self.together
        steps = F.pad(embedded, (0, 0, missing, 0)).unflatten(1, (-1, self.together))
        outputs, _ = self.lstm(steps.flatten(2))
        return F.normalize(outputs, dim=-1)


class Predictor(nn.Module):
    """An architecture's embedding to its performance between 0 and 1.

    Args:
        config: of the sizes.
    """

    def __init__(self, config: NaoConfig) -> None:
        super().__init__()
        widths = [config.hidden, *[config.predictor_width] * config.predictor_layers]
        self.hidden = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.dropout = nn.ModuleList(Dropout(config.predictor_dropout) for _ in self.hidden)
        self.output = nn.Linear(widths[-1], 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """`[B, H]` -> `[B]`."""
        for layer, dropout in zip(self.hidden, self.dropout, strict=True):
            embedding = dropout(F.relu(layer(embedding)))
        return torch.sigmoid(self.output(embedding)).squeeze(-1)


class Decoder(nn.Module):
    """Encoder states back to tokens: one LSTM layer with dot attention, as in decoder.py of renqianluo/NAO_pytorch.

    The other releases differ. NAO without sharing and NAO-WS for cells (TensorFlow, decoder.py of renqianluo/NAO) have
    additive attention with a normalised weight, whose mean is read with the next token, while tokens come from the
    LSTM's output alone; NAO-WS for recurrent cells has dot attention without `query`, and a bias in `joined`.

    Args:
        tokens: V, how many there are.
        config: of the sizes.
    """

    def __init__(self, tokens: int, config: NaoConfig) -> None:
        super().__init__()
        width = config.hidden
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.joined = nn.Linear(2 * width, width, bias=False)
        self.output = nn.Linear(width, tokens)

    def forward(self, before: Tensor, encoded: Tensor, state: State) -> tuple[Tensor, State]:
        """The next token after each.

        Args:
            before: `[B, L]`, each the token before the one that is asked for.
            encoded: `[B, S, H]`, what `Encoder` gave.
            state: of the LSTM, two of `[1, B, H]`.

        Returns:
            `[B, L, V]` logits and the new state.
        """
        outputs, state = self.lstm(self.embedding(before), state)
        weights = torch.softmax(self.query(outputs) @ encoded.transpose(1, 2), dim=-1)
        joined = torch.tanh(self.joined(torch.cat([weights @ encoded, outputs], dim=-1)))
        return self.output(joined), state


class Surrogate(nn.Module):
    """Encoder, predictor and decoder of one space.

    Args:
        words: the tokens of the space.
        config: of the sizes.
    """

    allowed: Tensor

    def __init__(self, words: Vocabulary, config: NaoConfig) -> None:
        super().__init__()
        self.words = words
        self.encoder = Encoder(words.size, config)
        self.predictor = Predictor(config)
        self.decoder = Decoder(words.size, config)
        self.register_buffer("allowed", words.allowed(), persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted performance `[B]`, and logits `[B, T, V]` of the tokens themselves.

        Each token is decoded from the true ones before it (teacher forcing).
        """
        encoded = self.encoder(tokens)
        before = F.pad(tokens[:, :-1], (1, 0), value=START)
        logits, _ = self.decoder(before, encoded, _start(encoded))
        return self.predictor(pooled(encoded)), logits

    def predict(self, encoded: Tensor) -> Tensor:
        """Performance `[B]` of encoder states `[B, S, H]`."""
        performance: Tensor = self.predictor(pooled(encoded))
        return performance

    @torch.no_grad()
    def decode(self, encoded: Tensor) -> list[Choices]:
        """The architectures of encoder states `[B, S, H]`.

        Each token is the likeliest of those that its decision may have after the one before, so that every result is
        valid. In the releases an operation's kind and kernel need not go together.
        """
        state = _start(encoded)
        token = torch.full((len(encoded), 1), START)
        found = []
        for allowed in self.allowed:
            logits, state = self.decoder(token, encoded, state)
            token = logits.masked_fill(~allowed[token], -torch.inf).argmax(-1)
            found.append(token)
        return self.words.choices(torch.cat(found, dim=1))


def pooled(encoded: Tensor) -> Tensor:
    """An architecture's embedding `[B, H]`: the mean of its encoder states, of length 1."""
    return F.normalize(encoded.mean(1), dim=-1)


def surrogate(space: Space, config: NaoConfig, generator: torch.Generator) -> Surrogate:
    """Encoder, predictor and decoder with initial weights.

    Args:
        space: of the architectures.
        config: of the sizes.
        generator: the weights are a function of its state; it is advanced. torch's global generators are left as they
            were.
    """
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with default_generator_seeded(seed):
        return Surrogate(vocabulary(space, split=config.split_operations), config)


def _start(encoded: Tensor) -> State:
    embedding = pooled(encoded)[None]
    return embedding, embedding
