"""ENAS's controller: an LSTM that draws an architecture decision by decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor, nn

from nas.search.controller_config import ControllerConfig
from nas.search.controller_draws import Draws, Sample
from nas.search.space import Decision, Space


@dataclass
class _Walk:
    """How far a walk through the decisions is.

    Attributes:
        draws: what was chosen so far.
        state: of the LSTM, `[B, H]` each.
        read: what it reads next, `[B, H]`.
        anchors: what stands for each state of the architecture so far, `[B, H]`.
        keys: the same as attention compares it.
        divergences: per layer with skips, `[B]`.
    """

    draws: Draws
    state: tuple[Tensor, Tensor]
    read: Tensor
    anchors: list[Tensor] = field(default_factory=list)
    keys: list[Tensor] = field(default_factory=list)
    divergences: list[Tensor] = field(default_factory=list)


class Controller(nn.Module):
    """Draws rows of choices of any space (Pham et al. 2018, sections 2.1 to 2.4; melodyguan/enas).

    One LSTM, without biases. An operation is drawn from a softmax of its output h; an input by attention over the
    anchors a_j of the states that may be read, v . tanh(W_1 a_j + W_2 h); a skip from the two logits -q and q of the
    same attention q. The LSTM then reads the operation's embedding, the chosen anchor, or the sum of the skipped-from
    anchors by 1 + their number.

    In cells and layers it takes a step per operation and input and one more per node, whose output is the node's
    *anchor* and decides about all its skips; a node without skips is followed by `start`. A cell begins with two states
    that it did not make, whose anchors are zeros with keys of their own; the reduction cell goes on with the state that
    the normal cell left. In a recurrent cell it takes two steps per node: the output of the first is the anchor and
    decides about the input, that of the second about the activation, whose embedding the next node begins with. A
    chosen anchor is read divided by 0.1 + its distance. A first state that is not searched has zeros for anchor and
    key, as in enas_lm (google-research).

    Two things differ from the release: in a cell inputs and operations come in the order of the space, where there both
    inputs of a node come first; and skips' divergence is that of the probability that is drawn from, softmax(-q, q),
    where there it is that of sigmoid(-q) and sigmoid(q).

    Args:
        space: that is searched.
        config: sizes and the shape of logits.
        generator: draws the initial weights.
    """

    operation_bias: nn.Parameter | None
    fixed_bias: Tensor

    def __init__(self, space: Space, config: ControllerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.decisions = space.decisions()
        self.is_highway = space.is_highway
        self.first_states = space.first_states
        words = space.operation_words
        hidden = config.hidden
        self.lstm = nn.LSTMCell(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(hidden))
        self.embedding = nn.Parameter(torch.empty(len(words), hidden))
        self.operation_weight = nn.Parameter(torch.empty(len(words), hidden))
        self.key_weight = nn.Parameter(torch.empty(hidden, hidden))
        self.query_weight = nn.Parameter(torch.empty(hidden, hidden))
        self.attention = nn.Parameter(torch.empty(hidden))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-config.initial, config.initial, generator=generator)
        convolutions = torch.tensor([_is_convolution(word) for word in words])
        signs = torch.where(convolutions, 1.0, -1.0)
        self.register_buffer("fixed_bias", signs * config.fixed_bias, persistent=False)
        self.operation_bias = None
        if space.biased_operations:
            self.operation_bias = nn.Parameter(convolutions * config.convolution_bias)

    def sample(self, uniform: Tensor) -> Sample:
        """Draw architectures.

        Args:
            uniform: `[B, D]` within [0, 1): each picks a choice where the cumulated probabilities pass it.
        """
        zeros = self.start.new_zeros(len(uniform), self.config.hidden)
        walk = _Walk(Draws(uniform), (zeros, zeros), self._begun(zeros))
        for _, part in groupby(enumerate(self.decisions), lambda pair: pair[1].part):
            self._begin_part(walk, zeros)
            for _, node in groupby(part, lambda pair: pair[1].node):
                decide = self._highway_node if self.is_highway else self._node
                decide(walk, list(node))
        none = self.start.new_zeros(len(uniform))
        divergence = torch.stack(walk.divergences).mean(0) if walk.divergences else none
        return walk.draws.sample(self.config.entropy_of, divergence)

    def _begun(self, like: Tensor) -> Tensor:
        """`start` as what is read, `[B, H]` like another tensor."""
        return self.start.expand(len(like), -1)

    def _begin_part(self, walk: _Walk, zeros: Tensor) -> None:
        walk.read = self._begun(zeros)
        walk.anchors, walk.keys = [], []
        for _ in range(self.first_states):
            walk.anchors.append(zeros)
            if self.is_highway:
                walk.keys.append(zeros)
                continue
            self._step(walk)
            walk.keys.append(walk.state[0] @ self.key_weight)

    def _node(self, walk: _Walk, decisions: Sequence[tuple[int, Decision]]) -> None:
        skips = [pair for pair in decisions if pair[1].kind == "skip"]
        for position, decision in decisions:
            if decision.kind != "skip":
                self._step(walk)
                self._decide(walk, position, decision)
        self._step(walk)
        anchor = walk.state[0]
        walk.read = self._begun(anchor)
        if skips:
            self._skips(walk, skips)
        walk.anchors.append(anchor)
        walk.keys.append(anchor @ self.key_weight)

    def _highway_node(self, walk: _Walk, decisions: Sequence[tuple[int, Decision]]) -> None:
        self._step(walk)
        anchor = walk.state[0]
        for position, decision in decisions:
            if decision.kind == "operation":
                self._step(walk)
            self._decide(walk, position, decision)
        walk.anchors.append(anchor)
        walk.keys.append(anchor @ self.key_weight)

    def _step(self, walk: _Walk) -> None:
        walk.state = self.lstm(walk.read, walk.state)

    def _decide(self, walk: _Walk, position: int, decision: Decision) -> None:
        """One operation or one input."""
        if decision.kind == "operation":
            logits = walk.state[0] @ self.operation_weight.t()
            if self.operation_bias is not None:
                logits = logits + self.operation_bias
            logits = self._shaped(logits, self.config.operation_tanh_divisor)
            if self.operation_bias is not None and decision.part == 0:
                logits = logits + self.fixed_bias
            walk.read = self.embedding[walk.draws.choose(position, logits)]
        else:
            count = decision.choices
            logits = self._shaped(self._attend(walk, count)) - self._distance(count)
            chosen = walk.draws.choose(position, logits)
            rows = torch.arange(len(chosen), device=chosen.device)
            walk.read = torch.stack(walk.anchors[:count])[chosen, rows]
            if self.is_highway:
                walk.read = walk.read / (0.1 + count - chosen[:, None])

    def _skips(self, walk: _Walk, skips: Sequence[tuple[int, Decision]]) -> None:
        """All skips of a layer, from one output of the LSTM."""
        scores = self._attend(walk, len(skips))
        logits = self._shaped(torch.stack([-scores, scores], -1))
        on = [
            walk.draws.choose(position, logits[:, index])
            for index, (position, _) in enumerate(skips)
        ]
        share = torch.stack(on, -1).to(scores.dtype)
        anchors = torch.stack(walk.anchors[: len(skips)], 1)
        walk.read = (share[:, :, None] * anchors).sum(1) / (1.0 + share.sum(1, keepdim=True))
        target = logits.new_tensor([1.0 - self.config.skip_target, self.config.skip_target])
        logs = logits.log_softmax(-1)
        walk.divergences.append((logs.exp() * (logs - target.log())).sum((1, 2)))

    def _attend(self, walk: _Walk, count: int) -> Tensor:
        """The attention of the LSTM's output to each of the first anchors, `[B, count]`."""
        keys = torch.stack(walk.keys[:count], 1)
        query = walk.state[0] @ self.query_weight
        return torch.tanh(keys + query[:, None]) @ self.attention

    def _shaped(self, logits: Tensor, divisor: float = 1.0) -> Tensor:
        logits = logits / self.config.temperature
        if self.config.tanh is None:
            return logits
        return self.config.tanh / divisor * torch.tanh(logits)

    def _distance(self, count: int) -> Tensor:
        """What is taken from the logits of inputs: states that lie further back are less likely."""
        distance = torch.arange(count, 0, -1, device=self.start.device)
        return self.config.locality / 6.0 * distance**2


def _is_convolution(word: str) -> bool:
    return word.startswith(("separable", "convolution", "dilated"))
