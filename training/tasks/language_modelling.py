"""Language modelling: truncated back-propagation through time and perplexity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.configs import TextTraining
from training.datasets.text import MOST_NATS, TextData
from training.datasets.vocabulary import END
from training.errors import LotteryError
from training.losses import cross_entropy
from training.metrics import PERPLEXITY
from training.replicates import Replicates
from training.tasks.task import Batch, Carry, Evaluation, Network, Task
from training.tasks.windows import fixed_ends, varied_count, varied_ends

NOTHING_BESIDES = TextTraining()


class LanguageModelling(Task):
    """Predict the next word.

    A network maps (tokens `[T, B]`, state) to (logits `[T, B, V]`, state, ...) and gives zeros as the first state by
    `initial_state(B)`. To be regularised it gives (logits, state, dropped, raw, ...): its last output `[T, B, E]` after
    its dropout and before.

    Args:
        data: on the device where it is trained.
        batch_size: columns into which the text is cut.
        sequence: tokens per window; the state is carried from window to window and reset at each epoch.
        evaluation_columns: into how many columns validation and test text are cut.
        besides: penalties, and windows of varied lengths.
    """

    metric = PERPLEXITY
    example_dimension = 1

    def __init__(
        self,
        data: TextData,
        batch_size: int,
        sequence: int,
        evaluation_columns: int = 10,
        besides: TextTraining = NOTHING_BESIDES,
    ) -> None:
        rows = (len(data.train) - 1) // batch_size
        if rows < 1:
            raise LotteryError(
                f"training.batch_size = {batch_size} is more than the {len(data.train):,} training "
                f"tokens of {data.name}; choose fewer columns."
            )
        self.data = data
        self.spec = data.spec
        self.batch_size = batch_size
        self.sequence = sequence
        self.evaluation_columns = evaluation_columns
        self.besides = besides
        self.device = data.train.device
        self.steps_per_epoch = (
            varied_count(rows, sequence, besides.window_cap, besides.window_deviation)
            if besides.varied_windows
            else len(fixed_ends(rows, sequence))
        )
        self._ends: dict[int, list[int]] = {}
        used = data.train[: rows * batch_size + 1]
        self._inputs = used[:-1].view(batch_size, rows).t().contiguous()
        self._targets = used[1:].view(batch_size, rows).t().contiguous()

    def facts(self) -> dict[str, Any]:
        """What a run records of the data."""
        return self.data.facts()

    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """Tokens and next tokens of a step's window, `[R, T, B]` each: the same text for every replicate."""

        def batch(step: int) -> Batch:
            rows = self._window(step)
            pair = (self._inputs[rows], self._targets[rows])
            return tuple(tokens.expand(len(seeds), *tokens.shape) for tokens in pair)

        return batch

    def rate_factor(self, step: int) -> float:
        """A varied window's length by `sequence` (Merity et al. 2018, section 4.1); 1 for windows of one length."""
        if not self.besides.varied_windows:
            return 1.0
        rows = self._window(step)
        return len(range(rows.start, rows.stop)) / self.sequence

    def _window(self, step: int) -> slice:
        """The rows that are read at a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        varied = self.besides.varied_windows
        key = epoch if varied else 0
        if key not in self._ends:
            self._ends.clear()
            rows, how = len(self._inputs), self.besides
            self._ends[key] = (
                varied_ends(rows, self.sequence, how.window_cap, epoch, how.window_deviation)
                if varied
                else fixed_ends(rows, self.sequence)
            )
        ends = self._ends[key]
        return slice(ends[place - 1] if place else 0, ends[place])

    def first_carry(self, replicates: Replicates) -> Carry:
        """The zero state, `[R, B, H]` per tensor."""
        return _zero_state(replicates, self.batch_size)

    def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """What is differentiated, and the state after the window.

        That is the mean cross-entropy of the next tokens and the penalties, which only training knows: whoever
        evaluates reads the cross-entropy alone.
        """
        tokens, targets = batch
        output = network(tokens, carry)
        logits, state = output[:2]
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten()).mean()
        if self.besides.activation or self.besides.slowness:
            loss = loss + _penalty(self.besides, output)
        return loss, _map(torch.detach, state)

    @torch.no_grad()
    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """Loss per token, perplexity per word and each token's loss: every token is predicted once.

        N tokens have N targets. The text is read in columns side by side, each with the state carried from its first
        token to its last: that of a column begins at zero, after the token before it, which is an end of line before
        the first of all. Perplexity is exp(sum of losses / words), where ends of line are words too: of a text of
        characters its exponent is the loss per character times the characters per word.
        """
        stream = {"validation": self.data.validation, "test": self.data.test}[split]
        end = stream.new_tensor([self.data.words.index(END)])
        columns = min(self.evaluation_columns, len(stream))
        rows = -(-len(stream) // columns)
        inputs = _columns(torch.cat([end, stream[:-1]]), rows, columns)
        targets = _columns(stream, rows, columns)
        state, losses = _zero_state(replicates, columns), []
        for tokens, following in zip(
            inputs.split(self.sequence), targets.split(self.sequence), strict=True
        ):
            shared = (t.expand(len(replicates), *t.shape) for t in (tokens, following))
            loss, state = replicates(_score, state, *shared)
            losses.append(loss)
        scores = torch.cat(losses, 1).transpose(1, 2).flatten(1)[:, : len(stream)].cpu()
        loss = scores.double().mean(1)
        exponent = loss * self.data.tokens_per_word(split)
        return Evaluation(loss=loss, metric=exponent.clamp(max=MOST_NATS).exp(), scores=scores)

    def run_example(self, network: nn.Module) -> int:
        """One window of one column, `[T, 1]`."""
        tokens = self._inputs[: self.sequence, :1]
        network(tokens, _initial_state(network, 1))
        return tokens.numel()


def _penalty(besides: TextTraining, output: Any) -> Tensor:
    """Activation and temporal activation regularisation of a window (Merity et al. 2018, section 4.6).

    Means of squares over `[T, B, E]`, as awd-lstm-lm's main.py takes them, where the paper has norms.
    """
    if len(output) < 4:
        raise LotteryError(
            "training.text.activation and training.text.slowness need a network that gives its last "
            "output after its dropout and before, behind logits and state; set both to 0."
        )
    outputs = {"dropped": output[2].float(), "raw": output[3].float()}
    penalty: Tensor = outputs["raw"].new_zeros(())
    if besides.activation:
        penalty = penalty + besides.activation * outputs[besides.activation_of].square().mean()
    # A window of one token has no successive outputs.
    changing = outputs[besides.slowness_of]
    if besides.slowness and len(changing) > 1:
        changes = changing[1:] - changing[:-1]
        penalty = penalty + besides.slowness * changes.square().mean()
    return penalty


def _columns(stream: Tensor, rows: int, columns: int) -> Tensor:
    """A stream `[N]` as columns `[rows, columns]`, the last one filled up with token 0."""
    filled = F.pad(stream, (0, rows * columns - len(stream)))
    return filled.view(columns, rows).t().contiguous()


def _score(network: Network, state: Carry, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Carry]:
    """Each token's cross-entropy `[T, B]`, and the state after the window."""
    logits, state = network(tokens, state)[:2]
    losses = cross_entropy(logits.flatten(0, 1), targets.flatten())
    return losses.view_as(targets), state


def _initial_state(network: nn.Module, columns: int) -> Carry:
    try:
        first = cast("Callable[[int], Carry]", network.initial_state)
    except AttributeError:
        raise LotteryError(
            f"{type(network).__name__} has no initial_state(batch), which a network for text needs: give "
            "it that method, which returns the zero state of so many columns as a tuple of tensors."
        ) from None
    state = first(columns)
    if not isinstance(state, tuple):
        raise LotteryError(
            f"{type(network).__name__}.initial_state gives a {type(state).__name__}; return a tuple of tensors, "
            "and the like as the state after a window."
        )
    return state


def _zero_state(replicates: Replicates, columns: int) -> Carry:
    state = _initial_state(replicates.network, columns)
    return tuple(_map(lambda t: t.expand(len(replicates), *t.shape), item) for item in state)


def _map(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(_map(function, item) for item in state)
    return function(state)
