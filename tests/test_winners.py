"""Matching, winning and superior levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from analysis.tables import read_table
from analysis.winners import judge_levels, smallest_matching, smallest_winning
from tests.fake_runs import Curve, write_run
from training.metrics import ACCURACY, PERPLEXITY, Metric

WOBBLE = (0.00, 0.03, -0.02, 0.05, 0.01)


def judge(
    path: Path, curve: Curve, seeds: int = 5, metric: Metric = ACCURACY, levels: int = 2
) -> pd.DataFrame:
    run = write_run(path / "run", curve, seeds=range(seeds), levels=levels, metric=metric)
    return judge_levels(read_table([run])).set_index("level")


def words(judged: pd.DataFrame, level: int) -> list[str]:
    return [str(judged[word][level]) for word in ("matching", "winning", "superior")]


def advantage(ticket: dict[int, float], control: float, scale: float = 1.0) -> Curve:
    """98 when dense; tickets and controls differ from it by a given amount and a little noise."""

    def curve(arm: str, level: int, seed: int) -> float:
        shift = 0.0 if level == 0 else ticket[level] if arm == "ticket" else control
        wobble = WOBBLE[seed if arm == "ticket" else -1 - seed]
        return 98 + 0.1 * seed + scale * (shift + (wobble if level else 0))

    return curve


def test_a_winning_and_a_losing_level(tmp_path: Path) -> None:
    judged = judge(tmp_path, advantage({1: 0.3, 2: -1.0}, control=-0.5))
    assert words(judged, 1) == ["yes", "yes", "yes"]
    assert words(judged, 2) == ["no", "no", "no"]
    # mean of the wobble is 0.014
    assert judged.loc[1, "difference"] == pytest.approx(0.314)
    assert judged.loc[1, "gain"] == pytest.approx(0.8)
    assert judged.loc[1, "n"] == 5


def test_inside_the_margin_is_matching_but_not_superior(tmp_path: Path) -> None:
    judged = judge(tmp_path, advantage({1: -0.1, 2: -0.19}, control=-0.5))
    assert words(judged, 1) == ["yes", "yes", "no"]
    assert judged.loc[2, "matching"] == "undecided"


def test_the_margin_of_perplexity_is_a_share(tmp_path: Path) -> None:
    # perplexity: 1 % of the dense mean 98.2 is 0.982; here 0.614 worse
    judged = judge(tmp_path, advantage({1: 0.6, 2: 3.0}, control=5.0), metric=PERPLEXITY)
    assert judged.loc[1, "margin"] == pytest.approx(0.982)
    assert judged.loc[1, "difference"] == pytest.approx(-0.614)
    assert judged["matching"].tolist() == ["yes", "no"]
    assert judged["winning"].tolist() == ["yes", "no"]


def test_two_seeds_decide_nothing(tmp_path: Path) -> None:
    judged = judge(tmp_path, advantage({1: 3.0, 2: -3.0}, control=-5), seeds=2)
    assert (
        judged[["matching", "winning", "superior"]].to_numpy().ravel().tolist() == ["undecided"] * 6
    )


def test_a_level_that_lost_a_ticket_is_never_a_yes(tmp_path: Path) -> None:
    whole = advantage({1: 1.0, 2: 1.0}, control=-1)
    judged = judge(tmp_path, lambda a, lv, s: None if (lv, s) == (2, 0) else whole(a, lv, s))
    assert judged["matching"].tolist() == ["yes", "undecided"]
    assert judged["diverged"].tolist() == [0, 1]
    assert judged["n"].tolist() == [5, 4]


def test_a_level_that_lost_all_tickets_does_not_match(tmp_path: Path) -> None:
    whole = advantage({1: 1.0, 2: 1.0}, control=-1)
    judged = judge(tmp_path, lambda a, lv, s: None if lv == 2 else whole(a, lv, s))
    assert judged["matching"].tolist() == ["yes", "no"]


@pytest.mark.parametrize(
    ("dense", "ticket", "control", "expected"),
    [
        # lost seeds of 7; matching with its p, winning with that of the gain, superior with its own
        ((), (), (), ("yes", 0.0, "yes", 0.0, "yes", 0.0)),
        ((), (0,), (), ("undecided", 8 / 128, "undecided", 8 / 128, "undecided", 8 / 128)),
        ((), (), (0,), ("yes", 0.0, "yes", 1 / 128, "yes", 0.0)),
        ((0,), (), (), ("yes", 1 / 128, "yes", 0.0, "yes", 1 / 128)),
        (
            (),
            (0, 1, 2, 3),
            (),
            ("undecided", 99 / 128, "undecided", 99 / 128, "undecided", 99 / 128),
        ),
        ((), (), (0, 1, 2, 3), ("yes", 0.0, "yes", 1 / 128, "yes", 0.0)),
        ((), range(7), (), ("no", 1.0, "no", 1.0, "no", 1.0)),
        ((), (), range(7), ("yes", 0.0, "yes", 1 / 128, "yes", 0.0)),
        (range(7), (), (), ("yes", 1 / 128, "yes", 0.0, "yes", 1 / 128)),
        (range(7), range(7), range(7), ("undecided", None, "undecided", None, "undecided", None)),
        ((), range(7), range(7), ("no", 1.0, "no", None, "no", 1.0)),
        ((0,), (0,), (0,), ("yes", 1 / 64, "yes", 1 / 64, "yes", 1 / 64)),
        ((0,), (0,), (1,), ("yes", 1 / 64, "undecided", 8 / 128, "yes", 1 / 64)),
        (
            (0, 1),
            (2, 3),
            (4, 5),
            ("undecided", 29 / 128, "undecided", 29 / 128, "undecided", 29 / 128),
        ),
    ],
)
def test_lost_replicates_rank_worst(
    tmp_path: Path,
    dense: Sequence[int],
    ticket: Sequence[int],
    control: Sequence[int],
    expected: tuple[str | float | None, ...],
) -> None:
    lost = {"dense": dense, "ticket": ticket, "reinitialised": control}

    def curve(arm: str, level: int, seed: int) -> float | None:
        side = arm if level else "dense"
        shift = {"ticket": 1.0, "dense": 0.0}.get(side, -1.0)
        noise = 0.1 * (seed * (3 if side == "ticket" else 2) % 7)
        return None if seed in lost.get(side, ()) else 90 + shift + noise

    judged = judge(tmp_path, curve, seeds=7, levels=1).loc[1]
    found = (
        *(judged["matching"], judged["p_matching"], judged["winning"], judged["p_gain"]),
        *(judged["superior"], judged["p_superior"]),
    )
    for got, right in zip(found, expected, strict=True):
        if isinstance(right, str):
            assert got == right
        else:
            assert got == pytest.approx(math.nan if right is None else right, abs=1e-4, nan_ok=True)
    counts = ("replicates", "diverged", "dense_diverged", "reinitialised_diverged")
    assert [judged[key] for key in counts] == [7, len(ticket), len(dense), len(control)]
    assert judged["n"] == 7 - len({*ticket, *dense})
    assert judged["n_reinitialised"] == 7 - len({*ticket, *control})


@pytest.mark.parametrize("lost", [(), ("ticket",), ("reinitialised",), ("ticket", "reinitialised")])
def test_one_replicate_decides_nothing_whoever_lost_it(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    judged = judge(
        tmp_path,
        lambda arm, level, seed: None if level and arm in lost else 90.0 + level,
        seeds=1,
        levels=1,
    )
    assert words(judged, 1) == ["undecided"] * 3


def test_forty_seeds_do_not_win_for_the_side_that_lost_more(tmp_path: Path) -> None:
    # 34 of 40 pairs are the ticket's, p < 1e-5, but it lost 6 and the control and the dense network 5
    def curve(arm: str, level: int, seed: int) -> float | None:
        lost = seed < 6 if level and arm == "ticket" else 10 <= seed < 15
        return None if lost else 90 + 0.01 * (seed % 7) + (level if arm == "ticket" else 0)

    judged = judge(tmp_path, curve, seeds=40, levels=1)
    assert words(judged, 1) == ["undecided"] * 3
    assert judged.loc[1, ["p_matching", "p_gain", "p_superior"]].max() < 1e-4


def test_without_the_control_winning_is_undecided(tmp_path: Path) -> None:
    curve = advantage({1: 1.0}, control=0)
    run = write_run(tmp_path / "run", curve, arms=("ticket",), levels=1)
    judged = judge_levels(read_table([run])).iloc[0]
    assert (judged["matching"], judged["winning"]) == ("yes", "undecided")
    assert judged["n_reinitialised"] == 0


def test_the_sparsest_levels(tmp_path: Path) -> None:
    curve = advantage({1: 0.5, 2: 0.1, 3: -3.0}, control=-0.2)
    verdicts = judge(tmp_path, curve, levels=3).reset_index()
    assert smallest_matching(verdicts)["level"].tolist() == [2]
    assert smallest_winning(verdicts)["level"].tolist() == [2]
    assert smallest_matching(verdicts[verdicts["level"] == 3]).empty


def test_a_dense_run_has_nothing_to_judge(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", levels=0)
    assert judge_levels(read_table([run])).empty
