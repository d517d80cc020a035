"""Where pruning went, drawn: the density of each layer and of each gate."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from analysis.figures import Drawing
from analysis.structure import density_per_gate, density_per_layer
from analysis.tables import Study
from analysis.theme import panel_title, panels, paper
from analysis.wording import matrix
from training.errors import LotteryError

ROW_HEIGHT = 0.16  # inches of a layer
COLOURS = "viridis"
# The square root keeps small densities apart and, unlike a logarithm, allows 0.
NORM = PowerNorm(0.5, vmin=0, vmax=100)
# The luminance at which black and white text have the same contrast, (L + 0.05)² = 1.05 · 0.05 (WCAG 2.2).
EQUAL_CONTRAST = 0.179


def layer_densities(layers: pd.DataFrame) -> Figure:
    """The density of each layer (rows) at each level (columns) of the tickets: a panel per run.

    Args:
        layers: as `Study.layers`.

    Raises:
        LotteryError: no layer was recorded.
    """
    if layers.empty:
        raise LotteryError("The records list no layers; choose another figure.")
    means = density_per_layer(layers)
    return _heatmaps(means.assign(label=means["name"].map(matrix)), means, "layer", 28)


def gate_densities(gates: pd.DataFrame, layers: pd.DataFrame) -> Figure:
    """The density of each gate of each recurrent matrix (rows) at each level (columns) of the tickets.

    Runs of networks without gates are left out.

    Args:
        gates: as `Study.gates`.
        layers: as `Study.layers`; it gives the density of the whole network.

    Raises:
        LotteryError: no gate was recorded.
    """
    if gates.empty:
        raise LotteryError(
            "The records list no gates, which only recurrent layers have; choose another figure."
        )
    means = density_per_gate(gates)
    labelled = means.assign(label=means["name"].map(matrix) + ": " + means["gate"])
    return _heatmaps(labelled, density_per_layer(layers), "gate", 40)


def _heatmaps(means: pd.DataFrame, layers: pd.DataFrame, of: str, most: int) -> Figure:
    """Densities by label (rows) and level (columns): a panel per run.

    Args:
        means: with a column `label`.
        layers: as from `density_per_layer`; the columns are named by the density of the whole network.
        of: what is labelled.
        most: characters of a label.
    """
    runs = [of_run for _, of_run in means.groupby("run", sort=False)]
    heights = [0.9 + ROW_HEIGHT * of_run["label"].nunique() for of_run in runs]
    with paper():
        figure, axes = panels(len(runs), heights=heights)
        for ax, of_run in zip(axes, runs, strict=True):
            names = list(of_run["label"].unique())
            grid = of_run.pivot_table(index="label", columns="level", values="density", sort=False)
            grid = 100 * grid.loc[names]
            whole = layers[layers["run"] == of_run["run"].iloc[0]]
            total = whole.groupby("level")[["kept", "total"]].sum()
            shares = total["kept"] / total["total"]
            sns.heatmap(
                grid,
                ax=ax,
                norm=NORM,
                cmap=COLOURS,
                annot=grid.map(_digits) if grid.shape[1] <= 24 else False,
                fmt="",
                annot_kws={"size": 5.5},
                linewidths=0.5,
                xticklabels=[_digits(100 * shares[level]) for level in grid.columns],
                yticklabels=[_short(name, most) for name in names],
                cbar_kws={
                    "label": f"kept in the {of} (%)",
                    "pad": 0.01,
                    "ticks": [0, 5, 20, 50, 100],
                },
            )
            _contrast(ax, grid)
            ax.tick_params(length=0, rotation=0)
            ax.set_xlabel("density of the network (%)")
            ax.set_ylabel("")
            ax.set_title(panel_title(str(of_run["run"].iloc[0])))
    return figure


def _contrast(ax: Axes, grid: pd.DataFrame) -> None:
    """Black digits on light cells, white ones on dark cells; no digits stand on many levels."""
    values = grid.to_numpy(dtype=float).ravel()
    colours = mpl.colormaps[COLOURS](NORM(values[~np.isnan(values)]))
    for text, colour in zip(ax.texts, colours, strict=False):
        text.set_color("black" if _luminance(colour) > EQUAL_CONTRAST else "white")


def _luminance(colour: npt.NDArray[np.float64]) -> float:
    """The relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = colour[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def layers_drawing(study: Study) -> Drawing:
    """The figure `density-per-layer`."""
    return Drawing(data=density_per_layer(study.layers), draw=lambda: layer_densities(study.layers))


def gates_drawing(study: Study) -> Drawing:
    """The figure `density-per-gate`."""
    return Drawing(
        data=density_per_gate(study.gates),
        draw=lambda: gate_densities(study.gates, study.layers),
    )
