"""Rewards: shares of images, a constant by the perplexity, and no trace left in the shared weights."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.evaluate import SharedScorer
from nas.search.shared_training import shared_training
from tests.tiny_searches import CELL, TEXT, task_of
from tests.tiny_tasks import image_task, text_task
from tests.toy_task import Toy
from training.errors import LotteryError
from training.tasks.task import Network, Rewards
from training.tasks.text_rewards import perplexity_reward


def test_images_that_are_right() -> None:
    task = image_task()
    rewards = task.rewards(0, 80.0)
    labels = task.data.validation.labels

    def always_zero(images: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0, 0.0]]).expand(len(images), 3)

    share = float((labels == 0).float().mean())
    assert rewards.whole(always_zero) == pytest.approx(share)
    # 9 images in minibatches of 6: one in each order, then another order begins.
    seen = [rewards.minibatch(always_zero, 0, number) for number in range(20)]
    assert len(set(seen)) > 1
    assert all(round(6 * reward, 6).is_integer() for reward in seen)
    assert rewards.minibatch(always_zero, 0, 3) == seen[3]


def test_images_of_one_minibatch_differ() -> None:
    task = image_task()
    seen: list[Tensor] = []

    def network(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(len(images), 3)

    task.rewards(0, 80.0).whole(network)
    assert [len(images) for images in seen] == [5, 4]
    together = torch.cat(seen).flatten(1)
    assert len(together.unique(dim=0)) == 9


@pytest.mark.parametrize(("size", "sizes"), [(None, 6), (2, 2), (9, 9), (500, 9)])
def test_a_minibatch_has_its_own_size(size: int | None, sizes: int) -> None:
    task, seen = image_task(), []

    def network(images: Tensor) -> Tensor:
        seen.append(len(images))
        return torch.zeros(len(images), 3)

    rewards = task.rewards(0, 80.0, size)
    for number in range(5):
        rewards.minibatch(network, 0, number)
    assert seen == [sizes] * 5
    seen.clear()
    rewards.whole(network)
    assert (len(seen), sum(seen)) == (-(-9 // sizes), 9)


def test_a_text_is_scored_in_its_own_columns() -> None:
    task, shapes = text_task(), set()

    def network(tokens: Tensor, state: object) -> tuple[Tensor, object]:
        shapes.add(tuple(tokens.shape))
        return torch.zeros(*tokens.shape, len(task.data.words)), state

    for columns in (None, 1, 2):
        task.rewards(0, 80.0, columns).minibatch(network, 0, 0)
    assert shapes == {(7, 3), (7, 1), (7, 2)}


def test_an_image_network_that_is_not_finite_gets_nothing() -> None:
    rewards = image_task().rewards(0, 80.0)
    assert rewards.whole(lambda images: torch.full((len(images), 3), math.nan)) == 0.0


def test_perplexity_of_even_guesses() -> None:
    task = text_task()
    words = len(task.data.words)
    rewards = task.rewards(0, 80.0)

    def network(tokens: Tensor, state: object) -> tuple[Tensor, object]:
        return torch.zeros(*tokens.shape, words), state

    assert rewards.whole(network) == pytest.approx(80.0 / words)
    assert rewards.minibatch(network, 0, 0) == pytest.approx(80.0 / words)


def test_a_window_of_text_begins_at_a_zero_state() -> None:
    task = text_task()
    rewards = task.rewards(0, 80.0)
    states, windows = [], []

    def network(tokens: Tensor, state: object) -> tuple[Tensor, object]:
        states.append(state)
        windows.append(tokens)
        return torch.zeros(*tokens.shape, len(task.data.words)), "after"

    for number in range(6):
        rewards.minibatch(network, 0, number)
    assert states == [None] * 6
    assert {tuple(window.shape) for window in windows} == {(7, 3)}
    states.clear()
    rewards.whole(network)
    assert states == [None]


def test_a_text_of_more_rows_has_several_windows() -> None:
    task = text_task()
    task.sequence = 3
    rewards = task.rewards(0, 80.0)
    seen = []

    def network(tokens: Tensor, state: object) -> tuple[Tensor, object]:
        seen.append((tokens, state))
        return torch.zeros(*tokens.shape, len(task.data.words)), len(seen)

    for number in range(20):
        rewards.minibatch(network, 0, number)
    # A window of 3 of 7 rows begins at one of 5 places.
    assert len({tuple(tokens[:, 0].tolist()) for tokens, _ in seen}) == 5
    seen.clear()
    rewards.whole(network)
    # 24 tokens have 23 targets: 3 columns of 7.
    assert [state for _, state in seen] == [None, 1, 2]
    read = torch.cat([tokens for tokens, _ in seen]).t().flatten()
    assert torch.equal(read, task.data.validation[:21])


def test_rewards_of_perplexities() -> None:
    assert perplexity_reward(math.log(160.0), 80.0) == pytest.approx(0.5)
    assert perplexity_reward(math.inf, 80.0) == 0.0
    assert perplexity_reward(1e9, 80.0) >= 0.0


@pytest.mark.parametrize("config", [CELL, TEXT])
def test_scoring_leaves_the_shared_weights_as_they_are(config: SearchConfig) -> None:
    task = task_of(config)
    training = shared_training(config.resolved(task.steps_per_epoch), task)
    assert training is not None
    scorer = SharedScorer(training, task.rewards(0, 80.0))
    choices = tuple(0 for _ in training.space.decisions())
    training.take_step([choices])
    before = {name: tensor.clone() for name, tensor in training.shared.state_dict().items()}
    one = scorer.minibatch(choices, 0, 0), scorer.whole(choices)
    assert one == (scorer.minibatch(choices, 0, 0), scorer.whole(choices))
    assert all(reward > 0 for reward in one)
    after = training.shared.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    training.take_step([choices])
    assert training.shared.training


def test_rewards_may_be_taken_with_dropout() -> None:
    task = task_of(CELL)
    config = dataclasses.replace(CELL, network={**CELL.network, "dropout": 0.5})
    training = shared_training(config.resolved(task.steps_per_epoch), task)
    assert training is not None
    choices, rewards = tuple(0 for _ in training.space.decisions()), Logits()
    plain = SharedScorer(training, rewards)
    dropping = SharedScorer(training, rewards, dropout=True)
    without = dropping.minibatch(choices, 0, 0)
    assert plain.reward(choices, 0, 0) == plain.minibatch(choices, 0, 0) == without
    first = dropping.reward(choices, 0, 0)
    training.take_step([choices])
    training.shared.load_state_dict(shared_again(config))
    # A function of the weights, the order and the number alone.
    assert dropping.reward(choices, 0, 0) == first
    others = [dropping.reward(choices, 0, 1), dropping.reward(choices, 1, 0)]
    assert len({without, first, *others}) == 4
    # Half of the features are dropped and the others doubled: the mean of many is as without.
    many = [dropping.reward(choices, 2, number) for number in range(60)]
    spread = torch.tensor(many, dtype=torch.float64)
    assert float(spread.mean()) == pytest.approx(without, abs=4 * float(spread.std()) / 60**0.5)


class Logits(Rewards):
    """The first logit of one image, as the reward."""

    def minibatch(self, network: Network, order: int, number: int) -> float:
        """The same image for every order and number."""
        output = network(torch.linspace(-1, 1, 72).sin().view(2, 1, 6, 6))
        return float((output[0] if isinstance(output, tuple) else output)[0, 0])

    def whole(self, network: Network) -> float:
        """The same."""
        return self.minibatch(network, 0, 0)


def shared_again(config: SearchConfig) -> dict[str, Tensor]:
    """The initial weights."""
    task = task_of(config)
    training = shared_training(config.resolved(task.steps_per_epoch), task)
    assert training is not None
    return training.shared.state_dict()


def test_other_tasks_are_refused() -> None:
    with pytest.raises(LotteryError, match="images to classify or text to predict"):
        Toy().rewards(0, 80.0)


def test_text_for_images_is_refused() -> None:
    config = dataclasses.replace(CELL, network={})
    with pytest.raises(LotteryError, match="is not for text"):
        shared_training(config.resolved(5), text_task())
