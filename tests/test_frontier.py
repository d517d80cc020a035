"""Networks against each other at matched sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.budgets import matched_budgets
from analysis.frontier import at_budget, comparison, contests, frontier, pareto
from analysis.tables import read_table
from tests.fake_runs import OTHER, PRUNABLE, Curve, write_run
from training.errors import LotteryError

WOBBLE = (0.00, 0.03, -0.02, 0.05, 0.01)


def flat(value: float) -> Curve:
    return lambda arm, level, seed: value - 0.1 * level + WOBBLE[seed]


@pytest.fixture
def duel(tmp_path: Path) -> pd.DataFrame:
    """A searched network of twice the size that is 0.5 points better at each level."""
    small = write_run(tmp_path / "lenet", flat(98.0), levels=4, arms=("ticket",))
    large = write_run(
        tmp_path / "enas",
        flat(98.5),
        network="enas-micro",
        origin="searched",
        levels=4,
        arms=("ticket",),
        scale=2,
    )
    return read_table([small, large])


def test_pareto_of_five_points() -> None:
    sizes, values = [1, 2, 3, 4, 5], [90, 95, 94, 95, 97]
    assert pareto(sizes, values, higher_is_better=True) == [True, True, False, False, True]
    # smaller is better: the first point beats all others
    assert pareto(sizes, values, higher_is_better=False) == [True, False, False, False, False]


def test_pareto_keeps_twins_and_passes_over_missing_values() -> None:
    twins = pareto([1, 1, 1], [90, 90, math.nan], higher_is_better=True)
    assert twins == [True, True, False]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_every_point_off_the_front_is_dominated_by_one_on_it(points: list[tuple[int, int]]) -> None:
    sizes, values = [s for s, _ in points], [v for _, v in points]
    front = pareto(sizes, values, higher_is_better=True)
    best = [point for point, on in zip(points, front, strict=True) if on]
    for (size, value), on in zip(points, front, strict=True):
        assert on or any(s <= size and v >= value for s, v in best)


def test_matched_budgets_are_dense_sizes_and_shares_of_the_largest(duel: pd.DataFrame) -> None:
    large, small = 2 * PRUNABLE + OTHER, PRUNABLE + OTHER
    # half of the large network is the small one but for 205 parameters
    expected = [large, small, round(large / 4), round(large / 8)]
    assert matched_budgets(frontier(duel)) == expected


def test_the_level_at_a_budget_is_chosen_on_validation(duel: pd.DataFrame) -> None:
    table = duel.copy()
    picked = (table["split"] == "validation") & (table["network"] == "lenet-300-100")
    table.loc[picked & (table["level"] == 3), "value"] += 5
    chosen = at_budget(frontier(table), budgets=[10**6])
    # lenet's test metric is best at level 0, its validation metric at level 3
    assert dict(zip(chosen["network"], chosen["level"], strict=True)) == {
        "lenet-300-100": 3,
        "enas-micro": 0,
    }


def test_a_network_too_large_for_a_budget_is_left_out(duel: pd.DataFrame) -> None:
    rows = comparison(duel)
    # the smallest searched level has 0.8^4 x 2 = 0.82 of the small network's weights
    at_eighth = rows[rows["budget"] == round((2 * PRUNABLE + OTHER) / 8)]
    assert at_eighth.empty
    assert rows[rows["budget"] == PRUNABLE + OTHER]["network"].tolist() == [
        "enas-micro",
        "lenet-300-100",
    ]


def test_a_contest_names_the_better_network(duel: pd.DataFrame) -> None:
    first = contests(duel).iloc[0]
    assert (first["first"], first["second"], first["better"]) == (
        "enas-micro",
        "lenet-300-100",
        "enas-micro",
    )
    assert first["difference"] == pytest.approx(0.5)
    assert first["low"] < 0.5 < first["high"]
    assert (first["first_n"], first["second_n"]) == (5, 5)


def test_two_seeds_decide_no_contest(duel: pd.DataFrame) -> None:
    fought = contests(duel[duel["seed"] < 2])
    assert fought["p"].isna().all()
    assert set(fought["better"]) == {""}


def lose(table: pd.DataFrame, network: str, seeds: Sequence[int], levels: Sequence[int]) -> None:
    """Make some replicates of a network diverge."""
    lost = (table["network"] == network) & table["seed"].isin(seeds) & table["level"].isin(levels)
    table.loc[lost, "diverged"] = True


@pytest.mark.parametrize(
    ("lost", "better", "counts"),
    [
        # seeds that lenet and enas-micro lost at every level; enas-micro is ahead by 0.5
        ((), "enas-micro", (5, 0, 5, 0)),
        # 3 of 5: the two that are left are not what it does, and it lost more
        (((), (0, 1, 2)), "", (5, 0, 2, 3)),
        (((0,), (1,)), "", (4, 1, 4, 1)),
        (((0, 1, 2), ()), "enas-micro", (5, 0, 2, 3)),
        ((range(5), ()), "enas-micro", (5, 0, 0, 5)),
        (((), range(5)), "lenet-300-100", (5, 0, 0, 5)),
        ((range(5), range(5)), "", (0, 5, 0, 5)),
        (((), (1,)), "", (4, 1, 5, 0)),
    ],
)
def test_contests_rank_lost_networks_worst(
    duel: pd.DataFrame,
    lost: tuple[Sequence[int], ...],
    better: str,
    counts: tuple[int, ...],
) -> None:
    table = duel.copy()
    for network, seeds in zip(("lenet-300-100", "enas-micro"), lost, strict=False):
        lose(table, network, seeds, range(5))
    first = contests(table).iloc[0]
    assert first["better"] == better
    assert (
        *(first["first_n"], first["first_diverged"]),
        *(first["second_n"], first["second_diverged"]),
    ) == counts
    rows = comparison(table)
    sizes = rows[rows["budget"] == rows["budget"].max()]
    assert (sizes["n"] + sizes["diverged"]).tolist() == [5, 5]  # none is left out


@pytest.mark.parametrize(("lost", "better"), [((1, 1), "b"), ((2, 1), ""), ((1, 2), "b")])
def test_a_contest_is_not_won_by_the_side_that_lost_more(
    tmp_path: Path, lost: tuple[int, int], better: str
) -> None:
    """By ranks b is ahead, p < 1e-3, unless more of it diverged."""

    def value(gone: int, own: float, arm: str, level: int, seed: int) -> float | None:
        return None if seed < gone else own + 0.1 * seed

    runs = [
        write_run(
            tmp_path / network,
            partial(value, gone, own),
            network=network,
            seeds=range(20),
            levels=0,
        )
        for network, gone, own in zip("ba", lost, (95.0, 90.0), strict=True)
    ]
    fought = contests(read_table(runs)).iloc[0]
    assert fought["p"] < 1e-3
    assert fought["better"] == better


def test_the_p_value_of_a_contest_with_lost_networks_is_of_ranks(duel: pd.DataFrame) -> None:
    table = duel.copy()
    lose(table, "lenet-300-100", (0, 1), range(5))
    # All 5 above all 5: 1 of the 252 ways to choose 5 of 10, two-sided, by Holm's 2 budgets.
    assert contests(table)["p"].tolist() == pytest.approx([2 * 2 / 252] * 2)


def test_a_level_that_lost_half_is_chosen_last_and_never_on_the_front(duel: pd.DataFrame) -> None:
    table = duel.copy()
    picked = (table["network"] == "lenet-300-100") & (table["level"] == 3)
    table.loc[picked, "value"] += 5
    lose(table, "lenet-300-100", (0, 1), [3])
    assert at_budget(frontier(table), budgets=[10**6]).set_index("network")["level"].to_dict() == {
        "lenet-300-100": 3,
        "enas-micro": 0,
    }
    lose(table, "lenet-300-100", (2,), [3])  # 3 of 5
    levels = frontier(table)
    assert at_budget(levels, budgets=[10**6]).set_index("network")["level"].to_dict() == {
        "lenet-300-100": 0,
        "enas-micro": 0,
    }
    assert not levels[(levels["network"] == "lenet-300-100") & (levels["level"] == 3)][
        "on_front"
    ].any()


def test_one_network_has_no_contest(duel: pd.DataFrame) -> None:
    assert contests(duel[duel["network"] == "enas-micro"]).empty


def test_runs_of_one_network_are_told_apart(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, levels=0) for name in ("a", "b")]
    assert set(frontier(read_table(runs))["label"]) == {"lenet-300-100 (a)", "lenet-300-100 (b)"}


def test_unknown_budget_names_the_known_ones(duel: pd.DataFrame) -> None:
    with pytest.raises(LotteryError, match="no budget 'latency'"):
        at_budget(frontier(duel), "latency")
