"""Axes of densities, sizes and values."""

from __future__ import annotations

import pytest

from analysis.axes import density_axis, size_axis, value_axis
from analysis.theme import panels


def test_density_falls_from_left_to_right_with_round_labels() -> None:
    _, axes = panels(1)
    density_axis(axes[0], [1.0, 0.2, 0.009])
    left, right = axes[0].get_xlim()
    assert left > 100
    assert right < 0.9
    assert list(axes[0].get_xticks()) == [100, 50, 20, 10, 5, 2, 1]
    labels = [axes[0].xaxis.get_major_formatter()(tick, None) for tick in axes[0].get_xticks()]
    assert labels == ["100", "50", "20", "10", "5", "2", "1"]
    assert list(axes[0].get_xticks(minor=True)) == []


def test_densities_within_a_narrow_range_are_labelled_themselves() -> None:
    _, axes = panels(1)
    density_axis(axes[0], [1.0, 0.8, 0.64])
    assert list(axes[0].get_xticks()) == [100, 80, 64]


@pytest.mark.parametrize(
    ("sizes", "ticks"),
    [
        ([60e3, 160e3], [60e3, 80e3, 100e3, 150e3]),
        ([2400, 22_000], [5e3, 10e3, 20e3]),
        ([10, 5e6], [10, 100, 1e3, 10e3, 100e3, 1e6]),
    ],
)
def test_sizes_have_some_round_labels(sizes: list[float], ticks: list[float]) -> None:
    _, axes = panels(1)
    size_axis(axes[0], sizes, "parameters")
    assert list(axes[0].get_xticks()) == ticks


def test_a_size_of_0_stands_behind_a_break() -> None:
    _, axes = panels(1)
    size_axis(axes[0], [0, 60e3, 160e3], "parameters")
    assert list(axes[0].get_xticks()) == [0, 60e3, 80e3, 100e3, 150e3]
    size_axis(axes[0], [0, 0], "parameters")
    assert axes[0].get_xticks()[0] == 0


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.5, 30], [2, 5, 10, 20]),
        ([1e-30, 1e40], [1e-19, 1e-7, 1e5, 1e17, 1e29]),
        ([90.0, 1e300], [1e51, 1e101, 1e151, 1e201, 1e251]),
    ],
)
def test_a_logarithmic_value_has_a_few_round_labels(
    values: list[float], ticks: list[float]
) -> None:
    _, axes = panels(1)
    value_axis(axes[0], values, "perplexity", may_be_log=True)
    assert [float(f"{tick:.3g}") for tick in axes[0].get_yticks()] == pytest.approx(ticks)
