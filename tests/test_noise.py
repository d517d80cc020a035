"""Random draws as a function of seed, step and site: uniform, independent, repeatable."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.noise import (
    bernoulli,
    generator,
    integers,
    keys,
    mix,
    random_bits,
    site_number,
)

N = 1 << 16
CPU = torch.device("cpu")


def int32(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int32)


def key(seed: int = 0, site: str = "dropout", step: int = 0) -> Tensor:
    return keys(int32(seed), int32(site_number(site)), torch.tensor(step, dtype=torch.int32))[0, 0]


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, of draws as numbers."""
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])


def bits_of(draws: Tensor) -> Tensor:
    """`[32, N]`: each bit of each draw."""
    return (draws[None] >> torch.arange(32, dtype=torch.int32)[:, None]) & 1


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=50, unique=True))
def test_the_mixer_keeps_different_numbers_different(values: list[int]) -> None:
    assert len(set(mix(int32(*values)).tolist())) == len(values)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31 - 1])
def test_draws_are_uniform(seed: int) -> None:
    draws = random_bits(key(seed), (N,))
    # 256 bins by the top byte: chi-square of 255 degrees of freedom, 340 is beyond 0.9997.
    counts = torch.bincount((draws >> 24) + 128, minlength=256).double()
    assert float(((counts - N / 256) ** 2 / (N / 256)).sum()) < 340
    low = torch.bincount(draws & 255, minlength=256).double()
    assert float(((low - N / 256) ** 2 / (N / 256)).sum()) < 340
    # Mean 0 and variance 1/12 of the range, within five standard errors.
    unit = draws.double() / 2**32
    assert abs(float(unit.mean())) < 5 * math.sqrt(1 / 12 / N)
    assert abs(float(unit.var()) - 1 / 12) < 5 * math.sqrt(1 / 180 / N)
    # Each of the 32 bits is set half of the time.
    assert float((bits_of(draws).double().mean(1) - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(N)


@pytest.mark.parametrize("probability", [0.0, 0.02, 0.3, 0.5, 0.9, 0.999])
def test_bernoulli_has_its_probability(probability: float) -> None:
    drawn = bernoulli(key(), (N,), probability)
    assert drawn.dtype == torch.bool
    error = math.sqrt(probability * (1 - probability) / N)
    assert abs(float(drawn.double().mean()) - probability) <= 5 * error


def test_a_sure_event_happens() -> None:
    assert bool(bernoulli(key(), (N,), 1.0).all())
    assert bool(bernoulli(key(), (N,), 1.0 - 1e-12).all())


@pytest.mark.parametrize(
    "other",
    [
        key(site="dropout2"),
        key(site="layers.0.dropout"),
        key(step=1),
        key(step=2**20),
        key(seed=1),
        key(seed=-1),
        key(seed=2**16),
    ],
    ids=["site", "longer site", "step", "late step", "seed", "negative seed", "far seed"],
)
def test_draws_of_other_sites_steps_and_seeds_are_independent(other: Tensor) -> None:
    mine, others = random_bits(key(), (N,)), random_bits(other, (N,))
    bound = 5 / math.sqrt(N)
    assert abs(correlation(mine, others)) < bound
    # Not shifts of one another either, and bit by bit independent.
    for shift in (1, 2, 7, 256):
        assert abs(correlation(mine[shift:], others[:-shift])) < bound
    agreeing = (bits_of(mine) == bits_of(others)).double().mean(1)
    assert float((agreeing - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(N)


def test_sites_of_one_step_differ_and_seed_and_step_do_not_trade_places() -> None:
    table = keys(int32(0, 1, 2), int32(0, 1, 2), torch.tensor(3, dtype=torch.int32))
    assert table.shape == (3, 3, 2)
    pairs = [tuple(pair) for pair in table.flatten(0, 1).tolist()]
    pairs += [tuple(key(seed, step=step).tolist()) for seed in range(5) for step in range(5)]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("distance", [1, 2, 3, 8, 64, 1024])
def test_neighbouring_positions_are_independent(distance: int) -> None:
    draws = random_bits(key(5), (N,))
    bound = 5 / math.sqrt(N)
    assert abs(correlation(draws[distance:], draws[:-distance])) < bound
    agreeing = (bits_of(draws[distance:]) == bits_of(draws[:-distance])).double().mean(1)
    assert float((agreeing - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(N)


def test_a_draw_depends_on_its_position_only() -> None:
    assert torch.equal(random_bits(key(), (6, 4)).flatten(), random_bits(key(), (2, 12)).flatten())
    assert torch.equal(random_bits(key(), (5,)), random_bits(key(), (9,))[:5])
    assert random_bits(key(), ()).shape == ()


def test_draws_are_pinned() -> None:
    """A change here changes every result that was ever recorded."""
    assert site_number("dropout") == 688540699
    assert site_number("cores.0.dropconnect.noise") == 1537747573
    assert key(3, step=7).tolist() == [518855004, -1233909080]
    assert random_bits(key(3, step=7), (4,)).tolist() == [
        -307569114,
        2042346156,
        579974544,
        789384925,
    ]


def test_integers_are_uniform_below_their_bound() -> None:
    drawn = integers(key(), (N,), 5)
    assert drawn.dtype == torch.int64
    counts = torch.bincount(drawn, minlength=5)
    assert len(counts) == 5
    # Chi-square of 4 degrees of freedom: 22 is beyond 0.9997.
    assert float(((counts - N / 5) ** 2 / (N / 5)).sum()) < 22


@pytest.mark.cuda
def test_draws_on_cuda_equal_those_on_the_cpu() -> None:
    cuda = torch.device("cuda")
    here = keys(int32(0, 7), int32(5, -5), torch.tensor(11, dtype=torch.int32))
    there = keys(
        int32(0, 7).to(cuda), int32(5, -5).to(cuda), torch.tensor(11, dtype=torch.int32).to(cuda)
    )
    assert torch.equal(here, there.cpu())
    assert torch.equal(random_bits(here[1, 0], (N,)), random_bits(there[1, 0], (N,)).cpu())
    assert torch.equal(bernoulli(here[1, 1], (N,), 0.3), bernoulli(there[1, 1], (N,), 0.3).cpu())


def test_generators_repeat_and_differ_by_purpose_and_number() -> None:
    def draw(seed: int, purpose: str, *numbers: int) -> tuple[float, ...]:
        return tuple(torch.rand(4, generator=generator(seed, purpose, *numbers)).tolist())

    assert draw(1, "order", 2) == draw(1, "order", 2)
    drawn = {
        draw(1, "order", 2),
        draw(1, "order", 3),
        draw(1, "order"),
        draw(1, "weights", 2),
        draw(2, "order", 2),
    }
    assert len(drawn) == 5


def test_generators_leave_the_global_one_alone() -> None:
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator(0, "order"))
    assert torch.equal(torch.random.get_rng_state(), before)
