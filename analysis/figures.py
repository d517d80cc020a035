"""Every kind of figure of runs by name. What draws is imported when something is drawn, so that help is instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.tables import Study

S = TypeVar("S")

FORMATS: dict[str, dict[str, str | None]] = {  # format -> metadata that would hold the date
    "svg": {"Date": None},
    "png": {},
    "pdf": {"CreationDate": None},
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of a study that is about to be drawn.

    Attributes:
        data: the rows that are drawn; empty when the study has none.
        draw: makes the figure.
    """

    data: pd.DataFrame
    draw: Callable[[], Figure]


@dataclass(frozen=True, kw_only=True)
class FigureKind(Generic[S]):
    """One kind of figure.

    Attributes:
        summary: what it is about, in a few words.
        caption: what it shows, for reports.
        module: that what draws it is in; imported only then, as it needs heavy libraries.
        function: the name of a function there from a study to a `Drawing`.
    """

    summary: str
    caption: str
    module: str
    function: str

    def drawing(self, study: S) -> Drawing:
        """The figure of a study, about to be drawn."""
        make: Callable[[S], Drawing] = getattr(import_module(self.module), self.function)
        return make(study)


FIGURES: dict[str, FigureKind[Study]] = {
    "metric-vs-density": FigureKind(
        summary="accuracy or perplexity per arm",
        caption="Test metric at the early-stop step over density: mean of the seeds, 95 % interval "
        "(band), single seeds (points); dense mean (dashed) and its margin (grey).",
        module="analysis.density_plots",
        function="metric_drawing",
    ),
    "early-stop-vs-density": FigureKind(
        summary="how soon each arm is at its best",
        caption="Early-stop step (least validation loss) over density: mean, 95 % interval (band), "
        "single seeds (points). Lower is faster.",
        module="analysis.density_plots",
        function="early_stop_drawing",
    ),
    "learning-curves": FigureKind(
        summary="validation metric while training",
        caption="Validation metric during training of the dense network, a middle and the last level: "
        "mean and 95 % interval (band); tickets solid, controls dashed.",
        module="analysis.curve_plots",
        function="curves_drawing",
    ),
    "density-per-layer": FigureKind(
        summary="where pruning went",
        caption="Density of each layer of the tickets, level by level, mean of the seeds.",
        module="analysis.structure_plots",
        function="layers_drawing",
    ),
    "density-per-gate": FigureKind(
        summary="the same within recurrent layers, gate by gate",
        caption="Density of each gate of the tickets' recurrent matrices, level by level, mean of the "
        "seeds.",
        module="analysis.structure_plots",
        function="gates_drawing",
    ),
    "searched-vs-pruned": FigureKind(
        summary="metric against parameters, with the Pareto front",
        caption="Test metric over remaining parameters: mean and 95 % interval of each level; large "
        "markers are the dense networks, the grey steps the Pareto front.",
        module="analysis.frontier_plots",
        function="frontier_drawing",
    ),
    "readings-vs-density": FigureKind(
        summary="what `lottery measure` read off trained networks",
        caption="Readings of trained networks over density, a panel per measurement and metric: mean of the "
        "seeds, 95 % interval (band), single seeds (points).",
        module="analysis.reading_plots",
        function="readings_drawing",
    ),
    "readings-along-x": FigureKind(
        summary="what `lottery measure` read along curves, such as between two networks",
        caption="Readings along curves, such as the error on the line between two trained networks: mean of the "
        "seeds, 95 % interval (band), for the first, a middle and the last level.",
        module="analysis.reading_plots",
        function="curves_drawing",
    ),
    "forgotten-examples": FigureKind(
        summary="images or words that pruned networks lose, after `lottery measure forgotten`",
        caption="Test images that most dense networks get right and most tickets wrong, with index and label, or the "
        "words whose loss rises most, for the first, a middle and the last level.",
        module="analysis.forgotten_plots",
        function="examples_drawing",
    ),
}
