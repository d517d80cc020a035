"""What a predictor learns of rewards, written out."""

from __future__ import annotations

import math

import pytest

from nas.search.nao_scale import scale_of


def performances(rewards: list[float], target: str = "reward") -> list[float]:
    """What a predictor learns of a whole pool."""
    scale = scale_of(rewards, target)
    return [scale.performance(reward) for reward in rewards]


def test_normalised_scores() -> None:
    assert performances([3.0, -1.0, 0.0]) == [1.0, 0.0, 0.25]
    assert performances([7.0, 7.0]) == [0.5, 0.5]
    assert scale_of([7.0, 7.0]).reward(0.9) == 7.0


# Rewards 80 / perplexity of the perplexities 100, 200 and 400.
REWARDS = [0.8, 0.4, 0.2]


@pytest.mark.parametrize(
    ("target", "middle"),
    [
        ("reward", 1 / 3),  # (0.4 - 0.2) / (0.8 - 0.2)
        ("loss", 1 / 2),  # reversed: (log 400 - log 200) / (log 400 - log 100)
        ("perplexity", 2 / 3),  # reversed: (400 - 200) / (400 - 100)
    ],
)
@pytest.mark.parametrize("constant", [80.0, 1.0])
def test_performance_of_a_language_model(target: str, middle: float, constant: float) -> None:
    rewards = [constant / 80.0 * reward for reward in REWARDS]
    assert performances(rewards, target) == pytest.approx([1.0, middle, 0.0])
    scale = scale_of(rewards, target)
    assert [scale.reward(value) for value in (1.0, middle, 0.0)] == pytest.approx(rewards)


def test_losses_are_normalised_as_in_the_release() -> None:
    losses = [4.61, 5.3, 6.2, 5.0]
    low, high = min(losses), max(losses)
    released = [(loss - low) / (high - low) for loss in losses]  # utils.py of NAO-WS/rnn
    ours = performances([80.0 / math.exp(loss) for loss in losses], "loss")
    assert ours == pytest.approx([1.0 - value for value in released])


@pytest.mark.parametrize("target", ["loss", "perplexity"])
def test_one_that_diverged_stands_with_the_worst(target: str) -> None:
    whole = performances(REWARDS, target)
    assert performances([*REWARDS, 0.0], target) == [*whole, whole[2]]
    assert performances([0.0, 0.0], target) == [0.5, 0.5]


def test_an_accuracy_of_nothing_is_one() -> None:
    assert performances([0.0, 1.0, 0.5]) == [0.0, 1.0, 0.5]
