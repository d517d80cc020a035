"""Schedules, worked by hand: the density of each level, and what they refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lottery.checks import check_pruning
from lottery.pruning.config import PruningConfig
from lottery.pruning.schedules import SCHEDULES, density_at, source_level
from tests.tiny_runs import TINY
from training.errors import LotteryError
from training.toml_text import override

LISTED = PruningConfig(schedule="listed", densities=(0.5, 0.125, 0.125))


def test_the_geometric_one_keeps_the_same_share_of_what_is_left() -> None:
    config = PruningConfig(rate=0.2)
    found = [density_at(config, level)(0.2) for level in range(4)]
    assert found == pytest.approx([1, 0.8, 0.64, 0.512], rel=1e-15)
    # Weights at a rate of their own, and those that never go.
    assert density_at(config, 2)(0.1) == pytest.approx(0.81, rel=1e-15)
    assert density_at(config, 2)(0.0) == 1
    # Halfway between levels 1 and 2: 0.75 x sqrt(0.75).
    assert density_at(config, 2, 0.5)(0.25) == pytest.approx(0.75**1.5, rel=1e-14)


def test_the_listed_one_keeps_what_is_listed() -> None:
    assert [density_at(LISTED, level)(0.2) for level in range(4)] == [1, 0.5, 0.125, 0.125]
    # A quarter of the way from 0.5 to 0.125 on a log scale: 0.5 x (1/4)^(1/4).
    assert density_at(LISTED, 2, 0.25)(0.2) == pytest.approx(0.5 * 0.25**0.25, rel=1e-15)
    assert density_at(LISTED, 1, 0.5)(0.2) == pytest.approx(0.5**0.5, rel=1e-15)
    # Where the density stays.
    assert density_at(LISTED, 3, 0.75)(0.2) == 0.125
    # At the rate 0 weights stay whole, whatever is listed.
    assert density_at(LISTED, 3)(0.0) == 1


def test_one_shot_goes_from_the_dense_network_to_any_density() -> None:
    config = PruningConfig(schedule="one-shot", rate=0.2)
    assert [density_at(config, n)(0.2) for n in (0, 1, 3)] == pytest.approx([1, 0.8, 0.512])
    listed = dataclasses.replace(config, densities=(0.5, 0.125))
    assert [density_at(listed, n)(0.2) for n in (0, 1, 2)] == [1, 0.5, 0.125]
    assert [source_level(config, level) for level in (1, 2, 9)] == [0, 0, 0]
    # On the way to 0.125 it does not matter what else is listed.
    assert density_at(listed, 2, 0.5)(0.2) == pytest.approx(0.125**0.5, rel=1e-15)
    for name in ("geometric", "listed"):
        one = PruningConfig(schedule=name)
        assert [source_level(one, level) for level in (1, 2, 9)] == [0, 1, 8]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match="'geometrical'; did you mean geometric"):
        density_at(PruningConfig(schedule="geometrical"), 1)
    with pytest.raises(LotteryError, match="did you mean listed"):
        check_pruning(override(TINY, "pruning.schedule=liste"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"schedule": "listed", "densities": (0.5,)},
            "pruning.densities = [0.5] is out of range; it must be one for each of 2 levels.",
        ),
        (
            {"schedule": "listed"},
            "pruning.densities = [] is out of range; it must be one for each of 2 levels.",
        ),
        (
            {
                "schedule": "listed",
                "densities": (0.5, 0.25),
                "scope": "layerwise",
                "output_rate": 0.1,
            },
            "pruning.output_rate = 0.1 is out of range; it must be 0 or left out, as listed densities hold for all.",
        ),
        (
            {
                "schedule": "listed",
                "densities": (0.5, 0.25),
                "scope": "layerwise",
                "convolution_rate": 0.3,
            },
            "pruning.convolution_rate = 0.3 is out of range; it must be 0 or left out, as listed densities hold for "
            "all.",
        ),
        (
            {"schedule": "one-shot", "densities": (0.5,)},
            "pruning.densities = [0.5] is out of range; it must be one for each of 2 levels.",
        ),
        (
            {"densities": (0.5, 0.25)},
            "pruning.densities = [0.5, 0.25] is out of range; it must be left out unless schedule is listed or "
            "one-shot.",
        ),
    ],
)
def test_what_a_schedule_can_not_follow_is_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LotteryError) as caught:
        check_pruning(dataclasses.replace(TINY, pruning=PruningConfig(**config)))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("densities", [(0.5, 0.6), (1.5,), (0.5, 0.0), (-0.1,)])
def test_densities_fall_from_1_and_stay_above_0(densities: tuple[float, ...]) -> None:
    with pytest.raises(LotteryError) as caught:
        PruningConfig(schedule="listed", densities=densities)
    assert str(caught.value) == (
        f"densities = {list(densities)} is out of range; it must be above 0 and at most 1, none above the one before "
        "it."
    )


def test_more_densities_than_levels_and_rates_of_0_are_taken() -> None:
    whole = PruningConfig(schedule="listed", densities=(0.5, 0.25, 0.2), output_rate=0.0)
    check_pruning(dataclasses.replace(TINY, pruning=whole))


def test_each_is_said_in_one_line() -> None:
    assert all(one.summary.strip() and "\n" not in one.summary for one in SCHEDULES.values())
