"""The axes of figures: densities, sizes and values, whatever range they have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.wording import count

DENSITY_TICKS = (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
MOST_LABELS = 6  # of densities within a narrow range, and of decades
DECADES_TO_ZERO = 0.3  # of a logarithmic axis, from its smallest value to 0
BEYOND_ZERO = 0.2  # of the smallest value
BREAK = Path([(-2, -2), (0, 2), (0, -2), (2, 2)], [Path.MOVETO, Path.LINETO] * 2)  # two strokes


def density_axis(axes: Axes, densities: Iterable[float]) -> None:
    """Make x the density in percent: logarithmic, 100 % on the left, labels at round values, 0 behind a break."""
    shown = sorted({float(f"{100 * density:.3g}") for density in densities}, reverse=True)
    positive = [percent for percent in shown if percent > 0] or [100.0]
    low, high = positive[-1], max(shown[0], 100)
    ticks = _density_ticks(positive)
    if shown[-1] > 0:
        axes.set_xscale("log")
        axes.set_xlim(high * 1.12, low / 1.12)
    else:
        _break_before_zero(axes, low)
        axes.set_xlim(high * 1.12, -low * BEYOND_ZERO)
        ticks = [*ticks, 0.0]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("density (% of prunable weights kept)")


def _break_before_zero(axes: Axes, low: float) -> None:
    """Make x logarithmic down to `low`, and put 0, which has no logarithm, beyond a mark across the axis."""
    axes.set_xscale("symlog", linthresh=low, linscale=DECADES_TO_ZERO)
    axes.plot(
        [0.5 * low],
        [0],
        transform=axes.get_xaxis_transform(),
        linestyle="none",
        marker=BREAK,
        markersize=8,
        color="black",
        clip_on=False,
        zorder=5,
    )


def _density_ticks(shown: Sequence[float]) -> list[float]:
    """Round values, or the levels themselves where these lie within so narrow a range that few would be seen.

    Args:
        shown: densities in percent, each once, the largest first.
    """
    ticks = [tick for tick in DENSITY_TICKS if shown[-1] / 1.12 <= tick <= shown[0]]
    return ticks if len(ticks) >= 3 else list(shown[:: -(-len(shown) // MOST_LABELS)])


def size_axis(axes: Axes, sizes: Iterable[float], label: str) -> None:
    """Make x a logarithmic size with labels such as 20k or 1M, 0 behind a break."""
    shown = list(sizes)
    positive = [size for size in shown if size > 0] or [1.0]
    low, high = min(positive) / 1.15, max(positive) * 1.15
    within = [
        [
            value
            for power in range(13)
            for step in steps
            if low <= (value := step * 10.0**power) <= high
        ]
        for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))
    ]
    # As many labels as fit, and few where the range is wide.
    ticks = next((found for found in reversed(within) if len(found) <= 6), within[0])
    if min(shown) > 0:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    else:
        _break_before_zero(axes, min(positive))
        axes.set_xlim(-min(positive) * BEYOND_ZERO, high)
        ticks = [0.0, *ticks]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.set_xlabel(label)


def value_axis(axes: Axes, values: Iterable[float], label: str, *, may_be_log: bool) -> None:
    """Label y; where the values span more than a factor of four it may become logarithmic.

    Without a value there is no scale.
    """
    known = [value for value in values if not math.isnan(value)]
    shown = [value for value in known if value > 0]
    axes.set_ylabel(label)
    if not known:
        axes.set_yticks([])
    elif may_be_log and shown and max(shown) > 4 * min(shown):
        axes.set_yscale("log")
        low, high = min(shown) / 1.1, max(shown) * 1.1
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(FixedLocator(_round_values(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))


def _round_values(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade, or 1 of a few decades where there are many."""
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    few = len(decades) <= MOST_LABELS
    powers = decades if few else decades[:: -(-len(decades) // MOST_LABELS)]
    values = [step * 10.0**power for power in powers for step in ((1, 2, 5) if few else (1,))]
    return [value for value in values if low <= value <= high]
