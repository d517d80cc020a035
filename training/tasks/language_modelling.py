"""Language modelling: truncated back-propagation through time and perplexity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.configs import TrainingConfig
from training.datasets.data import Options
from training.datasets.text import MOST_NATS, TextData
from training.datasets.vocabulary import END
from training.errors import LotteryError
from training.losses import cross_entropy
from training.metrics import PERPLEXITY
from training.network_tensors import copied
from training.noise import generator, torch_seeded
from training.replicates import Replicates
from training.specs import TextSpec
from training.tasks.initial_states import initial_state, initial_states, map_state
from training.tasks.outputs import check_words
from training.tasks.regularisation import penalty
from training.tasks.settings import TextTraining
from training.tasks.task import Batch, Carry, Evaluation, Network, Rewards, Task
from training.tasks.text_rewards import TextRewards
from training.tasks.windows import fixed_ends, varied_count, varied_ends

PLAIN = TextTraining()


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
        settings: penalties, and windows of varied lengths.
    """

    metric = PERPLEXITY
    data: TextData
    spec: TextSpec
    example_dimension = 1

    def __init__(
        self,
        data: TextData,
        batch_size: int,
        sequence: int,
        evaluation_columns: int = 10,
        settings: TextTraining = PLAIN,
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
        self.settings = settings
        # Of eight lengths captured, and others beside them, steps took 1.4 times as long.
        self.few_shapes = not settings.varied_windows
        self.device = data.train.device
        self.steps_per_epoch = (
            varied_count(rows, sequence, settings.window_cap, settings.window_deviation)
            if settings.varied_windows
            else len(fixed_ends(rows, sequence))
        )
        self._ends: dict[int, list[int]] = {}
        used = data.train[: rows * batch_size + 1]
        self._inputs = used[:-1].view(batch_size, rows).t().contiguous()
        self._targets = used[1:].view(batch_size, rows).t().contiguous()

    def batches(self, seeds: Sequence[int]) -> Callable[[int], Batch]:
        """Tokens and next tokens of a step's window, `[R, T, B]` each: the same text for every replicate."""

        def batch(step: int) -> Batch:
            rows = self._window(step)
            pair = (self._inputs[rows], self._targets[rows])
            return tuple(tokens.expand(len(seeds), *tokens.shape) for tokens in pair)

        return batch

    def rate_factor(self, step: int) -> float:
        """A varied window's length by `sequence` (Merity et al. 2018, section 4.1); 1 for windows of one length."""
        if not self.settings.varied_windows:
            return 1.0
        rows = self._window(step)
        return len(range(rows.start, rows.stop)) / self.sequence

    def _window(self, step: int) -> slice:
        """The rows that are read at a step."""
        epoch, window = divmod(step, self.steps_per_epoch)
        varied = self.settings.varied_windows
        key = epoch if varied else 0
        if key not in self._ends:
            self._ends.clear()
            rows, how = len(self._inputs), self.settings
            self._ends[key] = (
                varied_ends(rows, self.sequence, how.window_cap, epoch, how.window_deviation)
                if varied
                else fixed_ends(rows, self.sequence)
            )
        ends = self._ends[key]
        return slice(ends[window - 1] if window else 0, ends[window])

    def first_carry(self, replicates: Replicates, examples: int | None = None) -> Carry:
        """The zero state, `[R, B, H]` per tensor."""
        return initial_states(replicates, self.batch_size if examples is None else examples)

    def loss(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """What is differentiated, and the state after the window.

        That is the mean cross-entropy of the next tokens and the penalties, which only training knows: whoever
        evaluates reads the cross-entropy alone.
        """
        tokens, targets = batch
        output = network(tokens, carry)
        check_words(output, tokens, carry, self.spec.vocabulary, training=True)
        logits, state = output[:2]
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten()).mean()
        if self.settings.activation or self.settings.slowness:
            loss = loss + penalty(self.settings, output)
        return loss, map_state(torch.detach, state)

    def score(self, network: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        """Each token's cross-entropy `[T, B]`, and the state after the window."""
        tokens, targets = batch
        output = network(tokens, carry)
        check_words(output, tokens, carry, self.spec.vocabulary, training=False)
        losses = cross_entropy(output[0].flatten(0, 1), targets.flatten())
        return losses.view_as(targets), output[1]

    @torch.no_grad()
    def evaluate(self, replicates: Replicates, split: str) -> Evaluation:
        """Loss per token, perplexity per word and each token's loss: every token is predicted once.

        N tokens have N targets. The text is read in columns side by side, each with the state carried from its first
        token to its last: that of a column begins at zero, after the token before it, which is an end of line before
        the first of all. Perplexity is exp(sum of losses / words), where ends of line are words too: of a text of
        characters its exponent is the loss per character times the characters per word.
        """
        stream = self.data.splits()[split]
        end = stream.new_full((1,), self.data.words.index(END))
        columns = min(self.evaluation_columns, len(stream))
        rows = -(-len(stream) // columns)
        inputs = _columns(torch.cat([end, stream[:-1]]), rows, columns)
        targets = _columns(stream, rows, columns)
        state, losses = initial_states(replicates, columns), []
        for tokens, following in zip(
            inputs.split(self.sequence), targets.split(self.sequence), strict=True
        ):
            shared = (t.expand(len(replicates), *t.shape) for t in (tokens, following))
            loss, state = replicates(self.score, state, *shared)
            losses.append(loss)
        scores = torch.cat(losses, 1).transpose(1, 2).flatten(1)[:, : len(stream)].cpu()
        loss = scores.double().mean(1)
        exponent = loss * self.data.tokens_per_word(split)
        return Evaluation(loss=loss, metric=exponent.clamp(max=MOST_NATS).exp(), scores=scores)

    def run_example(self, network: nn.Module) -> int:
        """One window of one column, `[T, 1]`."""
        tokens = self._inputs[: self.sequence, :1]
        with torch_seeded(self.device, 0, 0):
            network(tokens, initial_state(network, 1))
        return tokens.numel()

    @torch.no_grad()
    def check_evaluated(self, network: nn.Module) -> None:
        """A window of more tokens than columns, or fewer; then with other tokens, which earlier logits can't know.

        The second time weights are moved a little, so that none which begin at zero hide what a network sees.
        """
        length = min(self.sequence, len(self._inputs))
        columns = 3 if length == 2 else 2
        tokens = self._inputs[:length, :1].repeat(1, columns)
        self._logits(network, tokens)
        moved, draw = copied(network), generator(0, "moved weights")
        for parameter in moved.parameters():
            noise = torch.randn(parameter.shape, generator=draw).to(parameter)
            parameter.add_(0.02 * noise)
        before = self._logits(moved, tokens)
        for position in {length // 2, length - 1} - {0}:
            other = tokens.clone()
            other[position] = (other[position] + 1) % self.spec.vocabulary
            after = self._logits(moved, other)[:position]
            if not torch.allclose(before[:position], after, rtol=1e-3, atol=1e-5, equal_nan=True):
                raise LotteryError(
                    f"The network sees the words that it is to predict: in a window of {length} tokens its "
                    f"logits before token {position + 1} change with that token; let it read from left to "
                    "right, with no bidirectional layer and with a causal mask in attention."
                )

    def _logits(self, network: nn.Module, tokens: Tensor) -> Tensor:
        state = initial_state(network, tokens.shape[1])
        with torch_seeded(self.device, 0, 0):
            output = network(tokens, state)
        check_words(output, tokens, state, self.spec.vocabulary, training=False)
        logits: Tensor = output[0]
        return logits

    def rewards(self, seed: int, constant: float, size: int | None = None) -> Rewards:
        """See `Task.rewards`: a constant by the perplexity."""
        return TextRewards(self.data, seed, constant, size or self.batch_size, self.sequence)


def language_modelling(
    data: TextData, options: Options, training: TrainingConfig
) -> LanguageModelling:
    """The task of a data set of text, in windows as its options ask for."""
    return LanguageModelling(data, training.batch_size, options["sequence"], settings=training.text)


def _columns(stream: Tensor, rows: int, columns: int) -> Tensor:
    """A stream `[N]` as columns `[rows, columns]`, the last one filled up with token 0."""
    filled = F.pad(stream, (0, rows * columns - len(stream)))
    return filled.view(columns, rows).t().contiguous()
