"""Language modelling: columns, windows, carried state and perplexity, against plain loops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.recurrent.language_model import LanguageModel
from tests.tiny_tasks import network, some_text, stack
from training.datasets.text import text_data
from training.datasets.vocabulary import Cutting
from training.metrics import PERPLEXITY
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling


def predicted_once(task: LanguageModelling, model: LanguageModel, split: str) -> list[float]:
    """Each token's loss by a loop over columns and tokens, one at a time."""
    stream = {"validation": task.data.validation, "test": task.data.test}[split].tolist()
    columns = min(task.evaluation_columns, len(stream))
    height = -(-len(stream) // columns)
    losses = []
    before = task.data.words.index("<eos>")
    for first in range(0, len(stream), height):
        state = model.initial_state(1)
        for token in stream[first : first + height]:
            logits, state = model(torch.tensor([[before]]), state)[:2]
            losses.append(float(F.cross_entropy(logits[0], torch.tensor([token]))))
            before = token
    return losses


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("columns", [1, 3, 5, 100])
@pytest.mark.parametrize("sequence", [1, 7, 50])
def test_every_token_is_predicted_once_with_carried_state(
    split: str, columns: int, sequence: int
) -> None:
    task = LanguageModelling(some_text(), 3, sequence, columns)
    replicates = stack("awd-lstm", (0, 1))
    replicates.eval()
    scored = task.evaluate(replicates, split)
    model = network("awd-lstm", 1).eval()
    assert isinstance(model, LanguageModel)
    with torch.no_grad():
        losses = torch.tensor(predicted_once(task, model, split))
    assert task.metric is PERPLEXITY
    assert scored.scores.shape == (2, len(losses))
    torch.testing.assert_close(scored.scores[1], losses, rtol=1e-4, atol=1e-5)
    mean = losses.double().mean()
    assert float(scored.loss[1]) == pytest.approx(float(mean), rel=1e-5)
    assert float(scored.metric[1]) == pytest.approx(float(mean.exp()), rel=1e-5)


class Uniform(nn.Module):
    """Knows nothing: every word is as likely."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        """Nothing is remembered."""
        return (torch.zeros(batch, 1),)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Equal logits."""
        return self.bias.expand(*tokens.shape, -1), state


def test_a_network_that_knows_nothing_has_the_vocabulary_as_its_perplexity(
    text_task: LanguageModelling,
) -> None:
    words = len(text_task.data.words)
    replicates = Replicates([Uniform(words)], [0], "stacked")
    scored = text_task.evaluate(replicates, "test")
    assert float(scored.metric[0]) == pytest.approx(words)


def windows(task: LanguageModelling, steps: range) -> Iterator[tuple[Tensor, Tensor]]:
    batch = task.batches([0])
    for step in steps:
        tokens, targets = batch(step)
        yield tokens[0], targets[0]


def test_the_columns_read_the_text_in_order(text_task: LanguageModelling) -> None:
    # 92 tokens: 3 columns of (92 - 1) // 3 = 30, in windows of 7, 7, 7, 7 and 2.
    assert text_task.steps_per_epoch == 5
    parts = list(windows(text_task, range(5)))
    assert [tuple(tokens.shape) for tokens, _ in parts] == [(7, 3)] * 4 + [(2, 3)]
    stream = text_task.data.train
    for column in range(3):
        inputs = torch.cat([tokens[:, column] for tokens, _ in parts])
        targets = torch.cat([following[:, column] for _, following in parts])
        assert torch.equal(inputs, stream[30 * column : 30 * column + 30])
        assert torch.equal(targets, stream[30 * column + 1 : 30 * column + 31])


def test_every_epoch_and_every_replicate_reads_the_same_text(text_task: LanguageModelling) -> None:
    for (a, _), (b, _) in zip(
        windows(text_task, range(5)), windows(text_task, range(5, 10)), strict=True
    ):
        assert torch.equal(a, b)
    tokens, _ = text_task.batches([0, 1])(2)
    assert torch.equal(tokens[0], tokens[1])


def test_the_state_is_carried_and_cut_off_from_the_gradient(text_task: LanguageModelling) -> None:
    replicates = stack("enas-lm", (0, 1))
    replicates.eval()
    carry = text_task.first_carry(replicates)
    assert [tuple(t.shape) for t in carry] == [(2, 3, 5)]
    assert not carry[0].any()
    losses, after = replicates(text_task.loss, carry, *text_task.batches([0, 1])(0))
    assert losses.requires_grad
    assert bool(after[0].any())
    assert not after[0].requires_grad
    again, _ = replicates(text_task.loss, after, *text_task.batches([0, 1])(0))
    assert not torch.equal(again, losses)


def test_the_loss_of_text_is_the_mean_over_the_window(text_task: LanguageModelling) -> None:
    model = network("awd-lstm", 0).eval()
    assert isinstance(model, LanguageModel)
    tokens, targets = (part[0] for part in text_task.batches([0])(0))
    loss, _ = text_task.loss(model, model.initial_state(3), tokens, targets)
    logits = model(tokens, model.initial_state(3)).logits
    torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), targets.flatten()))


def characters(validation: str, test: str) -> LanguageModelling:
    """A task of characters; ab, bc and the end of line are known."""
    splits = {"train": ["ab bc", "ab"], "validation": [validation], "test": [test]}
    data = text_data("letters", splits, 1, Cutting(characters=True))
    return LanguageModelling(data, 2, 3, evaluation_columns=2)


def test_perplexity_of_characters_is_that_of_their_words() -> None:
    task = characters("ab cb", "abc")
    # <unk>, <eos>, a, b, c and the blank.
    assert task.data.spec.vocabulary == 6
    replicates = Replicates([Uniform(6)], [0], "stacked")
    validation, test = (task.evaluate(replicates, split) for split in ("validation", "test"))
    # "ab cb" and its end are 6 characters of 3 words, "abc" and its end 4 of 2.
    assert validation.scores.shape == (1, 6)
    assert float(validation.loss[0]) == pytest.approx(float(torch.tensor(6.0).log()))
    assert float(validation.metric[0]) == pytest.approx(6 ** (6 / 3))
    assert float(test.metric[0]) == pytest.approx(6 ** (4 / 2))


def test_a_perplexity_beyond_every_number_is_a_very_large_one() -> None:
    task = characters("ab", "ab")
    certain = Uniform(6)
    with torch.no_grad():
        certain.bias[0] = 1000.0
    scored = task.evaluate(Replicates([certain], [0], "stacked"), "test")
    assert float(scored.loss[0]) == pytest.approx(1000)
    assert 1e300 < float(scored.metric[0]) < float("inf")
