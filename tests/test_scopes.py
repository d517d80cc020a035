"""Scopes by hand: which weights are ranked together, and how many of each group stay."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery.checks import check_pruning
from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Group, LayerKinds
from lottery.pruning.scopes import SCOPES, groups_at, kept_at, never_pruned
from tests.tiny_runs import TINY
from training.errors import LotteryError

# 20, 36 and 10 weights.
SHAPES = {"conv": (4, 5), "hidden": (6, 6), "output": (2, 5)}
KINDS = LayerKinds(output=frozenset({"output"}), convolutions=frozenset({"conv"}))


def test_globally_there_is_one_group() -> None:
    config = PruningConfig(rate=0.5)
    assert groups_at(SHAPES, 0, config, KINDS) == [
        Group(names=("conv", "hidden", "output"), keep=66, is_pruned=True)
    ]
    assert [group.keep for group in groups_at(SHAPES, 1, config, KINDS)] == [33]
    # 16.5 is rounded to the even 16, and 8.25 to 8.
    assert [kept_at(SHAPES, level, config, KINDS) for level in range(4)] == [66, 33, 16, 8]


def test_globally_an_output_layer_may_be_a_group_that_stays() -> None:
    config = PruningConfig(rate=0.5, output_rate=0.0)
    assert groups_at(SHAPES, 2, config, KINDS) == [
        Group(names=("conv", "hidden"), keep=14, is_pruned=True),
        Group(names=("output",), keep=10, is_pruned=False),
    ]
    # A network that is nothing else, and one that has none among what is pruned.
    alone = {"output": SHAPES["output"]}
    assert groups_at(alone, 2, config, KINDS) == [
        Group(names=("output",), keep=10, is_pruned=False)
    ]
    assert [group.names for group in groups_at(SHAPES, 1, config, LayerKinds())] == [
        ("conv", "hidden", "output")
    ]


def test_layerwise_each_parameter_is_a_group_at_the_rate_of_its_kind() -> None:
    config = PruningConfig(scope="layerwise", rate=0.5, output_rate=0.0, convolution_rate=0.1)
    assert groups_at(SHAPES, 1, config, KINDS) == [
        Group(names=("conv",), keep=18, is_pruned=True),
        Group(names=("hidden",), keep=18, is_pruned=True),
        Group(names=("output",), keep=10, is_pruned=False),
    ]
    # 20 x 0.81 = 16.2, 36 x 0.25 = 9.
    assert [group.keep for group in groups_at(SHAPES, 2, config, KINDS)] == [16, 9, 10]


def test_an_output_layer_that_is_a_convolution_has_the_outputs_rate() -> None:
    config = PruningConfig(scope="layerwise", rate=0.5, output_rate=0.1, convolution_rate=0.2)
    both = LayerKinds(output=frozenset({"conv"}), convolutions=frozenset({"conv"}))
    assert [group.keep for group in groups_at(SHAPES, 1, config, both)] == [18, 18, 5]
    # Without a rate of its own it has that of all.
    plain = dataclasses.replace(config, output_rate=None)
    assert [group.keep for group in groups_at(SHAPES, 1, plain, both)] == [10, 18, 5]


def test_uniformly_all_but_the_first_have_one_density() -> None:
    config = PruningConfig(scope="uniform", rate=0.5)
    assert groups_at(SHAPES, 1, config, KINDS) == [
        Group(names=("conv",), keep=20, is_pruned=False),
        Group(names=("hidden",), keep=18, is_pruned=True),
        Group(names=("output",), keep=5, is_pruned=True),
    ]
    assert [group.keep for group in groups_at(SHAPES, 2, config, KINDS)] == [20, 9, 2]


def test_small_layers_keep_more_by_erdos_renyi() -> None:
    """Sums over products of dimensions are 9/20, 12/36 and 7/10: 9, 12 and 7 weights of every 28."""
    config = PruningConfig(scope="erk", rate=0.75)
    # At a quarter 16.5 of 66 stay: 16.5 x 9/28 = 5.3, 7.07 and 4.1.
    assert [group.keep for group in groups_at(SHAPES, 1, config, KINDS)] == [5, 7, 4]
    # At a half the output would keep 8.25 of 10; at 0.8 it would keep 13.2, so it stays whole and 42.8 are left for
    # the others, 9/21 and 12/21 of them: 18.34 and 24.46.
    half, most = (dataclasses.replace(config, rate=rate) for rate in (0.5, 0.2))
    assert [group.keep for group in groups_at(SHAPES, 1, half, KINDS)] == [11, 14, 8]
    assert [group.keep for group in groups_at(SHAPES, 1, most, KINDS)] == [18, 24, 10]
    assert [kept_at(SHAPES, level, most, KINDS) for level in (0, 1)] == [66, 52]


@given(st.integers(0, 60), st.sampled_from(["uniform", "erk"]))
def test_a_layer_never_keeps_more_at_a_later_level(level: int, scope: str) -> None:
    config = PruningConfig(scope=scope, rate=0.1)
    before, after = (groups_at(SHAPES, level + more, config, KINDS) for more in (0, 1))
    assert all(a.keep >= b.keep for a, b in zip(before, after, strict=True))
    assert sum(group.keep for group in after) <= 66


# Two kernels and a linear layer: 20, 36 and 10 weights.
DEEP = LayerKinds(output=frozenset({"output"}), convolutions=frozenset({"conv", "hidden"}))


def test_the_smart_ratio_falls_with_depth() -> None:
    """Ratios 3^2 + 3 = 12 and 2^2 + 2 = 6 of the first and second of three layers; the linear one keeps 30 %."""
    config = PruningConfig(scope="smart-ratio", rate=0.75)
    # 16.5 - 3 = 13.5 = k (12 x 20 + 6 x 36), so k = 0.02961: shares 0.355 and 0.178.
    assert [group.keep for group in groups_at(SHAPES, 1, config, DEEP)] == [7, 6, 3]
    # At a half 30 = k 456: 0.789 and 0.395; at 0.7 43.2 = k 456: the first would keep 1.137 of its weights and gives
    # the 2.7 that are too many to the second: 36 x 0.568 + 2.7 = 23.2.
    half, most = (dataclasses.replace(config, rate=rate) for rate in (0.5, 0.3))
    assert [group.keep for group in groups_at(SHAPES, 1, half, DEEP)] == [16, 14, 3]
    assert [group.keep for group in groups_at(SHAPES, 1, most, DEEP)] == [20, 23, 3]


def test_the_deep_smart_ratio_falls_faster() -> None:
    """12 and 6 / 4: 13.5 = k (240 + 54), so 0.551 and 0.0689."""
    config = PruningConfig(scope="smart-ratio-deep", rate=0.75)
    assert [group.keep for group in groups_at(SHAPES, 1, config, DEEP)] == [11, 2, 3]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.96])
def test_a_smart_ratio_refuses_what_linear_layers_do_not_leave_room_for(rate: float) -> None:
    """3 of 66 weights are the linear layer's, and 59 are all."""
    config = PruningConfig(scope="smart-ratio", rate=rate)
    with pytest.raises(LotteryError, match=r"above 0\.04545 and at most 0\.8939; choose"):
        groups_at(SHAPES, 1, config, DEEP)


@pytest.mark.parametrize("scope", ["uniform", "erk", "smart-ratio", "smart-ratio-deep"])
@pytest.mark.parametrize("name", ["output_rate", "convolution_rate"])
def test_rates_of_their_own_are_for_layerwise_pruning(scope: str, name: str) -> None:
    config: dict[str, Any] = {name: 0.1}
    experiment = dataclasses.replace(TINY, pruning=PruningConfig(scope=scope, **config))
    with pytest.raises(LotteryError, match=f"{name} = 0.1 is .*unless scope is layerwise"):
        check_pruning(experiment)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_listed_densities_hold_for_what_is_pruned(scope: str) -> None:
    listed = PruningConfig(scope=scope, schedule="listed", densities=(0.5, 0.25), output_rate=0.0)
    first, second = (groups_at(SHAPES, level, listed, KINDS) for level in (1, 2))
    assert sum(group.keep for group in first) == 28 + 10
    assert sum(group.keep for group in second) == 14 + 10
    assert never_pruned(SHAPES, listed, KINDS) == {"output"}


def test_a_round_on_the_way_to_a_level_keeps_more_than_the_level() -> None:
    config = PruningConfig(rate=0.75)
    # 66 x 0.25 = 16.5, and after the first of two rounds 66 x 0.25^0.5 = 33.
    assert [groups_at(SHAPES, 1, config, KINDS, way)[0].keep for way in (0.5, 1)] == [33, 16]


def test_counts_come_from_the_dense_network() -> None:
    def kept(total: int, rate: float, level: int) -> int:
        return kept_at({"w": (total,)}, level, PruningConfig(rate=rate), LayerKinds())

    # 10 x 0.8^n = 10, 8, 6.4, 5.12, 4.096, 3.2768, 2.62: rounding each level's own count would give 8, 6, 5, 4, 3, 2.
    assert [kept(10, 0.2, level) for level in range(7)] == [10, 8, 6, 5, 4, 3, 3]
    # Frankle & Carbin 2019, figure 2: 266,200 weights; after 7 levels 21.0 % are left.
    assert kept(266_200, 0.2, 7) == 55_826
    assert kept(620, 0.0, 9) == 620


def test_counts_of_a_level_round_once_for_what_is_ranked_together() -> None:
    shapes = {"a": (3,), "b": (3,)}
    # Together 6 x 0.75 = 4.5, so 4; apart 2.25, so 2, twice; at level 2 together 3.375, so 3, and apart 1.69, so 2.
    layerwise = PruningConfig(scope="layerwise", rate=0.25)
    together = PruningConfig(rate=0.25)
    assert [kept_at(shapes, level, together, LayerKinds()) for level in (1, 2)] == [4, 3]
    assert [kept_at(shapes, level, layerwise, LayerKinds()) for level in (1, 2)] == [4, 4]


def test_what_is_never_pruned_has_the_rate_0() -> None:
    shapes, whole = {"output": (2, 5), "last": (3,)}, frozenset({"output"})
    kinds = LayerKinds(output=whole)
    layerwise = PruningConfig(scope="layerwise", output_rate=0)
    assert never_pruned(shapes, PruningConfig(), kinds) == frozenset()
    assert never_pruned(shapes, PruningConfig(output_rate=0), kinds) == whole
    assert never_pruned(shapes, layerwise, kinds) == whole
    some = dataclasses.replace(layerwise, output_rate=0.1)
    assert never_pruned(shapes, some, kinds) == frozenset()
    # At a rate that rounds to nothing it may still be pruned later.
    slow = dataclasses.replace(layerwise, output_rate=0.01)
    assert next(group.keep for group in groups_at(shapes, 1, slow, kinds)) == 10
    assert never_pruned(shapes, slow, kinds) == frozenset()
    assert never_pruned(shapes, PruningConfig(rate=0.0), kinds) == {"output", "last"}


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"output_rate": 0.1}, "output_rate = 0.1 is out of range; it must be 0, which leaves"),
        ({"convolution_rate": 0.0}, "convolution_rate = 0.0 .* left out unless scope is layerwise"),
    ],
)
def test_globally_only_the_output_layer_can_be_apart_and_only_whole(
    rates: dict[str, Any], words: str
) -> None:
    config = PruningConfig(scope="global", rate=0.2, **rates)
    with pytest.raises(LotteryError, match=words):
        check_pruning(dataclasses.replace(TINY, pruning=config))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match="'globl'; did you mean global"):
        groups_at(SHAPES, 1, PruningConfig(scope="globl"), KINDS)


def test_each_is_said_in_one_line() -> None:
    assert all(one.summary.strip() and "\n" not in one.summary for one in SCOPES.values())
