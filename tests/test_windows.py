"""Windows of a text: every row once, lengths as drawn, and learning rates that go with them."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_tasks import config, some_text, stack, trained
from tests.toy_task import Toy, Weights
from training.configs import OptimizerConfig
from training.replicates import Replicates
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining
from training.tasks.windows import fixed_ends, stretched, varied_count, varied_ends

VARIED = TextTraining(varied_windows=True, window_cap=3)


def lengths(ends: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise([0, *ends])]


def varied_task(batch_size: int = 3, sequence: int = 7) -> LanguageModelling:
    return LanguageModelling(some_text(), batch_size, sequence, settings=VARIED)


@pytest.mark.parametrize(
    ("rows", "sequence", "ends"),
    [(30, 7, [7, 14, 21, 28, 30]), (14, 7, [7, 14]), (3, 7, [3]), (2, 1, [1, 2])],
)
def test_windows_of_one_length(rows: int, sequence: int, ends: list[int]) -> None:
    assert fixed_ends(rows, sequence) == ends


@pytest.mark.parametrize(
    ("given_lengths", "rows", "most", "ends"),
    [
        ([1.0, 1.0, 2.0], 8, 9, [2, 4, 8]),  # twice as long
        ([4.0, 8.0, 4.0], 8, 9, [2, 6, 8]),  # half as long
        ([1.0, 1.0, 2.0], 8, 3, [2, 5, 8]),  # the third may have three, so the second has one more
        ([1.0, 100.0, 1.0], 9, 7, [1, 8, 9]),  # each has one
        ([1.0, 1.0], 2, 1, [1, 2]),
    ],
)
def test_lengths_are_stretched_to_the_text(
    given_lengths: list[float], rows: int, most: int, ends: list[int]
) -> None:
    assert stretched(given_lengths, rows, most) == ends


@given(
    st.integers(1, 3000),
    st.integers(1, 90),
    st.integers(0, 15),
    st.integers(0, 1000),
    st.sampled_from([0.0, 5.0]),
)
def test_varied_windows_cover_the_text(
    rows: int, sequence: int, cap: int, epoch: int, deviation: float
) -> None:
    ends = varied_ends(rows, sequence, cap, epoch, deviation)
    assert len(ends) == varied_count(rows, sequence, cap, deviation)
    assert ends[-1] == rows
    assert all(1 <= length <= sequence + cap for length in lengths(ends))
    assert varied_ends(rows, sequence, cap, epoch, deviation) == ends


def test_lengths_are_those_of_the_release() -> None:
    found = torch.tensor(lengths(varied_ends(700_000, 70, 1000, 0, 5.0)), dtype=torch.float64)
    # 70 nineteen times in twenty and 35 else, less the half that cutting off decimals takes: 67.75.
    assert len(found) == varied_count(700_000, 70, 1000, 5.0) == 10_333
    assert float(found.mean()) == pytest.approx(68.25 - 0.5, abs=0.02)
    short = found < 52.5
    assert float(short.double().mean()) == pytest.approx(0.05, abs=0.006)
    assert float(found[short].mean()) == pytest.approx(34.5, abs=0.8)
    assert float(found[~short].std()) == pytest.approx(5.0, abs=0.15)


def test_without_deviation_windows_are_those_of_nao_ws() -> None:
    # rnn/model_search.py: 35 rows nineteen times in twenty and int(17.5) else: 34.1 on average.
    assert varied_count(34_000, 35, 20, 0.0) == 998
    found = lengths(varied_ends(34_000, 35, 20, 0, 0.0))
    # 35 or 17, but for what stretches them to the text.
    assert set(found) <= {16, 17, 18, 34, 35, 36}
    assert 0.035 < sum(length < 20 for length in found) / len(found) < 0.065
    # With all of one length nothing is stretched.
    assert set(lengths(varied_ends(35, 35, 0, 1, 0.0))) <= {35, 17, 18}


@pytest.mark.parametrize(
    ("rows", "sequence", "cap", "count"),
    [
        (46_479, 70, 10, 687),  # the Penn Treebank in 20 columns; 67.7 expected
        (700, 70, 0, 11),  # 66.3 expected: half of the windows are cut to 70
        (100, 5, 0, 20),  # at least 5 and at most 5
        (100, 3, 0, 34),  # at most 3
    ],
)
def test_the_number_of_windows_follows_from_their_expected_length(
    rows: int, sequence: int, cap: int, count: int
) -> None:
    assert varied_count(rows, sequence, cap, 5.0) == count


def test_every_token_is_seen_once_per_epoch_whatever_its_windows() -> None:
    task = varied_task()
    batch = task.batches([0, 1])
    starts = []
    for epoch in range(4):
        steps = range(epoch * task.steps_per_epoch, (epoch + 1) * task.steps_per_epoch)
        parts = [batch(step) for step in steps]
        for column in range(3):
            inputs = torch.cat([tokens[1][:, column] for tokens, _ in parts])
            targets = torch.cat([following[1][:, column] for _, following in parts])
            assert torch.equal(inputs, task.data.train[30 * column : 30 * column + 30])
            assert torch.equal(targets, task.data.train[30 * column + 1 : 30 * column + 31])
        assert all(torch.equal(tokens[0], tokens[1]) for tokens, _ in parts)
        starts.append(tuple(tokens.shape[1] for tokens, _ in parts))
    assert len(set(starts)) > 1
    assert max(map(max, starts)) <= 10
    # Any step may be asked for at any time.
    assert torch.equal(batch(0)[0], varied_task().batches([0, 1])(0)[0])


def test_rates_go_with_the_lengths_of_windows() -> None:
    task = varied_task()
    batch = task.batches([0])
    for step in range(3 * task.steps_per_epoch):
        assert task.rate_factor(step) == batch(step)[0].shape[1] / 7
    fixed = LanguageModelling(some_text(), 3, 7)
    assert [fixed.rate_factor(step) for step in range(5)] == [1.0] * 5


def test_the_loop_multiplies_the_learning_rate_of_each_step() -> None:
    class Rated(Toy):
        """Doubles the rate of the second step."""

        def rate_factor(self, step: int) -> float:
            """2 at step 1."""
            return 2.0 if step == 1 else 1.0

    start = Replicates([Weights(0.0, 0.0)], [0], "stacked")
    how = config(3, 3, OptimizerConfig(name="sgd", learning_rate=1.0))
    state = trained(start, Rated(), how)
    # The gradient is (3, 4), at the rates 1, 2 and 1.
    assert state.replicates.tensors()["weight"].tolist() == [[-12.0, -16.0]]


def test_a_network_is_trained_on_windows_of_any_length() -> None:
    ends = [
        trained(stack("awd-lstm", seeds, "looped"), varied_task(), config(12, 4))
        for seeds in ((0, 1), (1,))
    ]
    assert ends[0].validations[-1].loss[1] == pytest.approx(
        ends[1].validations[-1].loss[0], rel=1e-5
    )
