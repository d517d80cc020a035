"""What a network gives, checked in every dimension; a language model that sees the next word."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.checks import check
from lottery.experiments import NetworkConfig
from nas.catalog.outside_networks import Factory
from tests.own_runs import OWN, OWN_TEXT, own_session, refusal
from tests.tiny_runs import text
from tests.tiny_tasks import image_task, text_task
from training.errors import LotteryError
from training.specs import Spec, TextSpec
from training.tasks.catalog import load_task
from training.tasks.language_modelling import LanguageModelling
from training.tasks.outputs import check_words, classifiers, in_words
from training.tasks.task import Task

Named = namedtuple("Named", ["logits", "hidden"])


# Images


def test_logits_are_of_every_image_and_class() -> None:
    images, logits = torch.zeros(5, 1, 2, 2), torch.zeros(5, 3)
    assert classifiers(logits, images, 3, training=False) == (logits,)
    # Anything may follow in evaluation mode, and classifiers while it trains.
    assert classifiers((logits, "features"), images, 3, training=False) == (logits,)
    assert classifiers((logits, logits), images, 3, training=True) == (logits, logits)


@pytest.mark.parametrize(
    "output",
    [
        torch.zeros(3, 5),
        torch.zeros(5, 4),
        torch.zeros(5),
        torch.zeros(5, 3, 1),
        torch.zeros(1, 5, 3),
        torch.zeros(15),
        torch.zeros(5, 3, dtype=torch.int64),
        None,
        (),
        [torch.zeros(5, 3)],
        {"logits": torch.zeros(5, 3)},
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_logits(output: object, training: bool) -> None:
    with pytest.raises(LotteryError, match=r"for 5 images, but the task needs logits \[B, 3\]"):
        classifiers(output, torch.zeros(5, 1, 2, 2), 3, training=training)


def test_the_sentence_names_what_was_given() -> None:
    x = torch.zeros(2, 3)
    assert in_words({"logits": x, "loss": None}) == (
        "a dict of 2 (logits: a tensor [2, 3], loss: a NoneType)"
    )
    assert in_words(Named(x, [x.long()])) == (
        "a Named of 2 (a tensor [2, 3], a list of 1 (a tensor [2, 3] of torch.int64))"
    )
    assert in_words([1] * 9) == "a list of 9 (a int, a int, a int, a int, ...)"


class Squeezed(nn.Module):
    """One image alone loses its dimension."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        logits: Tensor = self.last(x.flatten(1)).squeeze()
        return logits


def test_one_image_alone_is_tried() -> None:
    """The last piece of a split can be one image."""
    assert "gives a tensor [10] in evaluation mode for 1 images" in refusal(Squeezed)


# Text


@pytest.mark.parametrize(
    "shape", [(3, 7, 5), (21, 5), (7, 3, 4), (7, 3), (1, 7, 3, 5), (7, 3, 5, 1)]
)
@pytest.mark.parametrize("training", [True, False])
def test_logits_are_of_every_token(shape: tuple[int, ...], training: bool) -> None:
    tokens, state = torch.zeros(7, 3, dtype=torch.int64), (torch.zeros(1, 3, 4),)
    check_words((torch.zeros(7, 3, 5), state), tokens, state, 5, training=training)
    with pytest.raises(
        LotteryError, match=r"tokens \[T, B\] = \[7, 3\], but the task needs logits \[T, B, 5\]"
    ):
        check_words((torch.zeros(shape), state), tokens, state, 5, training=training)


@pytest.mark.parametrize(
    "state",
    [
        torch.zeros(1, 3, 4),
        [torch.zeros(1, 3, 4)],
        (torch.zeros(1, 1, 4),),
        (torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)),
        ((torch.zeros(1, 3, 4),),),
        (None,),
        None,
    ],
)
def test_the_state_is_like_the_one_before(state: object) -> None:
    tokens = torch.zeros(7, 3, dtype=torch.int64)
    with pytest.raises(LotteryError, match="as the state after a window, but it was given a tuple"):
        check_words(
            (torch.zeros(7, 3, 5), state), tokens, (torch.zeros(1, 3, 4),), 5, training=True
        )


class Words(nn.Module):
    """An embedding, something over time that a method does, and a decoder.

    Args:
        spec: of the text.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        assert isinstance(spec, TextSpec)
        self.table = nn.Embedding(spec.vocabulary, 8)
        self.last = nn.Linear(8, spec.vocabulary)
        self.prepare()

    def prepare(self) -> None:
        """Whatever it needs."""

    def initial_state(self, batch: int) -> tuple[Tensor]:
        """Of a recurrent layer of the size of this."""
        return (torch.zeros(1, batch, 8),)

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`[T, B, 8]` and a state to the same."""
        return x, state

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        """From words and a state to logits and the next."""
        out, after = self.over_time(self.table(tokens), state[0])
        return self.last(out), (after,)


class BatchFirst(Words):
    """Takes the first dimension for the batch, and turns its logits in vain."""

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        """Logits `[B, T, V]`."""
        logits, after = super().forward(tokens, state)
        return logits.transpose(0, 1), after


def test_logits_in_another_order_are_refused_by_unequal_sizes() -> None:
    told = refusal(BatchFirst, OWN_TEXT, task=text())
    assert "The network gives a tuple of 2 (a tensor [2, 6, 10]" in told
    assert "in evaluation mode for tokens [T, B] = [6, 2], but the task needs logits" in told


class BatchFirstWhileTraining(Words):
    """The same, while it trains."""

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        """Logits `[B, T, V]`, or as they should be."""
        logits, after = super().forward(tokens, state)
        return logits.transpose(0, 1) if self.training else logits, after


def of_two_tokens() -> LanguageModelling:
    """Windows that are as long as the trial's columns are many elsewhere."""
    data = text()
    assert isinstance(data, LanguageModelling)
    return LanguageModelling(data.data, 4, 2, evaluation_columns=3)


def test_windows_of_two_tokens_tell_the_orders_apart_too() -> None:
    told = refusal(BatchFirst, OWN_TEXT, task=of_two_tokens())
    assert "a tensor [3, 2, 10], a tuple" in told
    check(own_session(Recurrent, OWN_TEXT, task=of_two_tokens()))


def test_logits_in_another_order_while_it_trains() -> None:
    told = refusal(BatchFirstWhileTraining, OWN_TEXT, task=text())
    assert "(a tensor [4, 6, 10], a tuple of 1 (a tensor [1, 4, 8])) while it trains" in told


@pytest.mark.parametrize("task", [image_task(), text_task()], ids=["images", "text"])
def test_all_that_is_trained_and_scored_is_checked(task: Task) -> None:
    """Also a number of examples that the trial does not have."""

    def turned(given: Tensor, state: object = None) -> object:
        if isinstance(task, LanguageModelling):
            return torch.zeros(given.shape[1], len(given), task.spec.vocabulary), state
        return torch.zeros(3, len(given))

    state = (torch.zeros(1, 3, 4),) if isinstance(task, LanguageModelling) else ()
    batch = [tensor[0] for tensor in task.batches([0])(0)]
    for step, when in ((task.loss, "while it trains"), (task.score, "in evaluation mode")):
        with pytest.raises(LotteryError, match=f"^The network gives a .* {when} for "):
            step(turned, state, *batch)


class Recurrent(Words):
    """Reads from left to right."""

    def prepare(self) -> None:
        """One layer."""
        self.core = nn.GRU(8, 8)

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The layer."""
        out, after = self.core(x, state)
        return out, after


class Bidirectional(Words):
    """Reads both ways."""

    def prepare(self) -> None:
        """Half as wide, twice."""
        self.core = nn.GRU(8, 4, bidirectional=True)

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The layer, from nothing."""
        return self.core(x)[0], state


class Attentive(Words):
    """Attention, whose output begins at zero, as many begin their residual branches."""

    causal = False

    def prepare(self) -> None:
        """One layer."""
        self.attention = nn.MultiheadAttention(8, 2)
        nn.init.zeros_(self.attention.out_proj.weight)

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Beside the words themselves."""
        mask = torch.triu(torch.ones(len(x), len(x), dtype=torch.bool), 1) if self.causal else None
        return x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0], state


class Causal(Attentive):
    """With a mask."""

    causal = True


class Peeking(Words):
    """Each word's logits are those of the next word, but for the last."""

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One to the left."""
        return F.pad(x[1:], (0, 0, 0, 0, 0, 1)), state


class Averaging(Words):
    """Each word is seen beside the mean of its window."""

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Less the mean."""
        return x - x.mean(0), state


class ButForTheLast(Words):
    """The same, but no word sees the last one."""

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Less the mean of the others."""
        return x - x[:-1].mean(0), state


class InThrees(Words):
    """Sees the mean of three words, of which the middle of a window of six begins the second."""

    def over_time(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Less the mean."""
        threes = x.unflatten(0, (-1, 3)) if len(x) % 3 == 0 else x[:, None]
        return (threes - threes.mean(1, keepdim=True)).flatten(0, 1), state


@pytest.mark.parametrize(
    "factory", [Bidirectional, Attentive, Peeking, Averaging, ButForTheLast, InThrees]
)
def test_a_language_model_that_sees_what_it_predicts(factory: Factory) -> None:
    told = refusal(factory, OWN_TEXT, task=text())
    assert told.startswith("The network sees the words that it is to predict: in a window of 6 ")


@pytest.mark.parametrize("factory", [Recurrent, Causal, Words])
def test_a_language_model_that_reads_from_left_to_right(factory: Factory) -> None:
    check(own_session(factory, OWN_TEXT, task=text()))


class OneWay(nn.Module):
    """Its state is no tuple."""

    def __init__(self, spec: Spec, after: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.words = Words(spec)
        self.after = after

    def initial_state(self, batch: int) -> tuple[Tensor]:
        """Of the words."""
        return self.words.initial_state(batch)

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, object]:
        """From words and a state to logits and something else."""
        logits, (after,) = self.words(tokens, state)
        return logits, self.after(after)


def test_a_state_that_can_not_be_carried_on() -> None:
    told = refusal(lambda spec: OneWay(spec, lambda x: x), OWN_TEXT, task=text())
    assert "a tensor [1, 2, 8] as the state after a window, but it was given a tuple of 1" in told
    told = refusal(lambda spec: OneWay(spec, lambda x: (x[:, :1],)), OWN_TEXT, task=text())
    assert "gives a tuple of 1 (a tensor [1, 1, 8]) as the state after a window" in told


# Normalisation over one image


def by_channel(spec: Spec) -> nn.Module:
    """Over the pixels of each channel too: one image is enough."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 10))


def normalising(spec: Spec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.BatchNorm1d(9), nn.Linear(9, 10))


# At 1 x 1 after three reductions of 8 x 8.
CELLS = NetworkConfig(name="enas-micro", size={"channels": 2, "normal_cells": 1, "reductions": 3})


@pytest.mark.parametrize(("batch", "accumulation"), [(1, 1), (4, 4)])
@pytest.mark.parametrize("network", [OWN.network, CELLS])
def test_batch_normalisation_over_one_image(
    batch: int, accumulation: int, network: NetworkConfig
) -> None:
    training = dataclasses.replace(OWN.training, batch_size=batch, accumulation=accumulation)
    experiment = dataclasses.replace(OWN, training=training, network=network)
    task = load_task(OWN.data, training, None, torch.device("cpu"))
    told = refusal(normalising, experiment, task=task)
    assert told.startswith(
        f"{network.name} normalises over a batch, which here is one image alone;"
    )


def test_normalisation_over_each_image_needs_no_other() -> None:
    training = dataclasses.replace(OWN.training, batch_size=1)
    task = load_task(OWN.data, training, None, torch.device("cpu"))
    network = NetworkConfig(name="resnet", size={"depth": 8, "width": 2})
    for config in (network, OWN.network):
        experiment = dataclasses.replace(OWN, training=training, network=config)
        check(own_session(by_channel, experiment, task=task))
