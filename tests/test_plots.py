"""Figures, by the data they draw and by their labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.axes import BREAK
from analysis.curve_plots import learning_curves
from analysis.density_plots import metric_vs_density
from analysis.figures import FIGURES
from analysis.frontier import frontier
from analysis.rendering import save_figure
from analysis.rows import results_at
from analysis.structure_plots import gate_densities, layer_densities
from analysis.tables import Study, read_study
from tests.fake_runs import perplexity_curve, write_run
from tests.file_faults import counted, full_at
from training.errors import LotteryError
from training.metrics import ACCURACY, PERPLEXITY, Metric


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("runs")
    images = write_run(root / "lenet-mnist", levels=3, seeds=(0, 1, 2), readings=True)
    text = write_run(
        root / "enas-ptb",
        perplexity_curve,
        network="enas-recurrent",
        origin="searched",
        data="ptb",
        metric=PERPLEXITY,
        arms=("ticket", "reinitialised"),
        levels=2,
        seeds=(0, 1, 2),
        readings=True,
    )
    return read_study([images, text])


def line_through(axes: Axes, count: int) -> list[np.ndarray]:
    """The y values of each line of so many points."""
    lines = (np.asarray(line.get_ydata(), dtype=float) for line in axes.lines)
    return [line for line in lines if line.size == count]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_kind_of_figure_draws_and_labels(name: str, study: Study) -> None:
    figure = FIGURES[name].drawing(study).draw()
    panels = [axes for axes in figure.axes if axes.get_title()]
    # One of three arms and one of two.
    assert len(panels) == {"density-per-gate": 1, "readings-along-x": 3 + 2}.get(name, 2)
    # Images have no axes.
    assert all(axes.get_xlabel() or not axes.axison for axes in panels)
    assert figure.get_figwidth() == 6.5
    assert not FIGURES[name].drawing(study).data.empty
    assert plt.get_fignums() == []


def test_the_metric_is_the_mean_of_the_seeds(study: Study) -> None:
    axes = metric_vs_density(study.table).axes
    rows = results_at(study.table)
    tickets = rows[(rows["run"] == "lenet-mnist") & (rows["arm"] == "ticket")]
    means = tickets.groupby("level")["value"].mean()
    drawn = line_through(axes[0], 4)
    # lines run from the sparsest level to the dense network
    assert any(np.allclose(line[::-1], means) or np.allclose(line, means) for line in drawn)
    assert axes[0].get_ylabel() == "test accuracy (%)"
    assert axes[1].get_ylabel() == "test perplexity"
    assert axes[0].get_xlabel() == "density (% of prunable weights kept)"


def test_a_far_baseline_is_named_and_not_drawn(study: Study) -> None:
    figure = metric_vs_density(study.table, baselines=study.baselines)
    assert figure.axes[1].get_title() == "enas-ptb\nunigram perplexity: 740.2 (off scale)"
    assert figure.axes[1].get_ylim()[1] < 740


def test_a_near_baseline_is_drawn(study: Study) -> None:
    near = study.baselines.assign(value=104.0)
    axes = metric_vs_density(study.table, baselines=near).axes[1]
    assert axes.get_title() == "enas-ptb"
    assert any(np.allclose(line, 104.0) for line in line_through(axes, 2))


def test_baselines_of_another_metric_stand_on_no_axis(study: Study) -> None:
    bits = study.baselines.assign(metric="bits per character", value=104.0)
    axes = metric_vs_density(study.table, baselines=bits).axes[1]
    assert axes.get_title() == "enas-ptb"
    assert not any(np.allclose(line, 104.0) for line in line_through(axes, 2))


def test_published_figures_are_hollow_and_named(study: Study) -> None:
    published = pd.DataFrame(
        {"arm": ["ticket"], "density": [0.211], "value": [98.35], "source": ["a paper"]}
    )
    figure = (
        FIGURES["metric-vs-density"].drawing(dataclasses.replace(study, published=published)).draw()
    )
    assert "ticket, published: a paper" in legend_texts(figure)
    marks = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [float(np.asarray(mark.get_xdata())[0]) for mark in marks] == [pytest.approx(21.1)]


def test_learning_curves_show_first_middle_and_last_level(study: Study) -> None:
    of_run = study.histories[study.histories["run"] == "lenet-mnist"]
    texts = legend_texts(learning_curves(of_run))
    assert [text for text in texts if text.startswith("ticket")] == [
        "ticket at 100 %",
        "ticket at 64 %",
        "ticket at 51.2 %",
    ]
    assert legend_texts(learning_curves(of_run, levels=[1], arms=["ticket"])) == ["ticket at 80 %"]


def test_learning_curves_of_nothing_are_an_error(study: Study) -> None:
    with pytest.raises(
        LotteryError, match="No evaluation of ticket or reinitialised at levels 9 was recorded"
    ):
        learning_curves(study.histories, levels=[9])


def test_layer_densities_are_in_the_networks_order(study: Study) -> None:
    axes = layer_densities(study.layers).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["fc1.weight", "fc2.weight", "output.weight"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "80", "64", "51"]


def test_gate_densities_stand_below_one_another(study: Study) -> None:
    axes = gate_densities(study.gates, study.layers).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["fc1.weight: candidate", "fc1.weight: gate"]
    # of the whole network, not of the layers with gates alone
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "80", "64"]
    assert [text.get_text() for text in axes.texts] == ["100", "100", "100", "100", "78", "60"]


def test_no_gates_can_not_be_drawn(study: Study) -> None:
    with pytest.raises(LotteryError, match="list no gates, which only recurrent layers have"):
        gate_densities(study.gates.iloc[:0], study.layers)


def test_layers_that_differ_only_far_to_the_left_are_not_one(study: Study) -> None:
    names = study.layers["name"] + ".inner" * 6
    axes = layer_densities(study.layers.assign(name=names)).axes[0]
    assert len({label.get_text() for label in axes.get_yticklabels()}) == 1
    assert len(axes.get_yticklabels()) == 3


def test_the_front_is_drawn_per_data_set(study: Study) -> None:
    figure = FIGURES["searched-vs-pruned"].drawing(study).draw()
    assert [axes.get_title() for axes in figure.axes] == ["mnist", "ptb"]
    assert "enas-recurrent (searched)" in legend_texts(figure)
    levels = frontier(study.table)
    front = levels[(levels["data"] == "mnist") & levels["on_front"]].sort_values("parameters")
    widest = max(figure.axes[0].lines, key=lambda line: line.get_linewidth())
    assert np.allclose(np.asarray(widest.get_ydata(), dtype=float), front["mean"])


def test_a_figure_is_saved_with_its_data_and_the_same_each_time(
    study: Study, tmp_path: Path
) -> None:
    kind = FIGURES["early-stop-vs-density"]
    folders = (tmp_path / "first", tmp_path / "second")
    for folder in folders:
        path = folder / "early"
        written = save_figure(
            kind.drawing(study).draw(), kind.drawing(study).data, path, ["svg", "png", "pdf"]
        )
        assert [file.name for file in written] == [
            "early.svg",
            "early.png",
            "early.pdf",
            "early.csv",
        ]
    for name in ("early.svg", "early.png", "early.pdf", "early.csv"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    data = pd.read_csv(folders[0] / "early.csv")
    assert len(data) == len(results_at(study.table))


def test_an_unknown_format_and_a_blocked_folder_are_clear(study: Study, tmp_path: Path) -> None:
    kind = FIGURES["early-stop-vs-density"]
    figure, data = kind.drawing(study).draw(), kind.drawing(study).data
    with pytest.raises(LotteryError, match="no figure format 'svgg'; did you mean svg"):
        save_figure(figure, data, tmp_path / "x", ["svgg"])
    (tmp_path / "file").write_text("")
    with pytest.raises(LotteryError, match="choose another --out"):
        save_figure(figure, data, tmp_path / "file" / "x")


def test_a_full_disk_leaves_whole_figures_or_none(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FIGURES["early-stop-vs-density"]
    figure, data = kind.drawing(study).draw(), kind.drawing(study).data
    whole = [
        path.read_bytes() for path in save_figure(figure, data, tmp_path / "x", ["png", "svg"])
    ]
    for number in range(1, 6):
        out = tmp_path / str(number)
        with counted(monkeypatch) as faults:
            faults.before = full_at(number)
            with pytest.raises(LotteryError, match="The disk is full"):
                save_figure(figure, data, out / "x", ["png", "svg"])
        assert all(path.read_bytes() in whole for path in out.iterdir())
        assert len(list(out.iterdir())) == (number - 1) // 2


def nothing_left(level: int) -> float:
    """Densities of a run that ends with everything pruned."""
    return (1.0, 0.5, 0.2, 0.0)[level]


# Of runs on which nothing was measured.
MEASURED = {"readings-vs-density", "readings-along-x", "forgotten-examples"}
ODD: dict[str, dict[str, Any]] = {
    "one replicate of one level": {"levels": 0, "seeds": (0,)},
    "one replicate": {"levels": 2, "seeds": (0,)},
    "everything pruned": {"levels": 3, "density": nothing_left},
    "everything pruned at once": {"levels": 1, "density": lambda level: 0.0},
    "one replicate, everything pruned": {"levels": 3, "density": nothing_left, "seeds": (0,)},
    "a replicate lost": {"levels": 1, "curve": lambda a, lv, s: None if s else 9.0 + lv},
    "the last level lost": {"levels": 2, "curve": lambda a, lv, s: None if lv == 2 else 98.0 + s},
    "the dense network lost": {"levels": 1, "curve": lambda a, lv, s: 98.0 + s if lv else None},
    "everything lost": {"levels": 1, "curve": lambda a, lv, s: None},
    "everything lost and pruned": {
        "levels": 1,
        "curve": lambda a, lv, s: None,
        "density": lambda level: 1.0 - level,
    },
    "all the same": {"levels": 1, "curve": lambda a, lv, s: 0.0},
    "huge": {"levels": 1, "curve": lambda a, lv, s: 1e300 * (1 + lv)},
}


@pytest.mark.parametrize(
    ("case", "metric"),
    [*((case, PERPLEXITY) for case in ODD), ("everything pruned", ACCURACY)],
)
def test_odd_runs_are_drawn_or_have_nothing_to_draw(
    tmp_path: Path, case: str, metric: Metric
) -> None:
    run = write_run(tmp_path / "a", **{"seeds": (0, 1), "metric": metric, **ODD[case]})
    odd = read_study([run])
    drawn = {name for name, kind in FIGURES.items() if not kind.drawing(odd).data.empty}
    of_metric = {"metric-vs-density", "early-stop-vs-density", "learning-curves"}
    lost = case.startswith("everything lost")
    left_out = {*MEASURED, *(of_metric if lost else ())}
    if metric is ACCURACY:  # only the text has gates
        left_out = left_out | {"density-per-gate"}
    assert set(FIGURES) - drawn == left_out
    # The others show masks alone.
    for name in drawn if "density" in ODD[case] or "curve" not in ODD[case] else drawn & of_metric:
        save_figure(FIGURES[name].drawing(odd).draw(), odd.table, tmp_path / name)
        assert "nan" not in (tmp_path / f"{name}.svg").read_text()
    for name in left_out & of_metric:
        with pytest.raises(LotteryError, match="Every network of a diverged"):
            FIGURES[name].drawing(odd).draw()


def test_density_0_stands_behind_a_break(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", levels=3, density=nothing_left, seeds=(0, 1))
    for name in ("metric-vs-density", "early-stop-vs-density"):
        axes = FIGURES[name].drawing(read_study([run])).draw().axes[0]
        assert list(axes.get_xticks()) == [100, 50, 20, 0]
        assert axes.get_xlim()[1] < 0
        place = [axes.transData.transform((x, 1))[0] for x in (100, 50, 20, 10, 0)]
        assert place == sorted(place)
        assert sum(line.get_marker() is BREAK for line in axes.lines) == 1
        tickets = line_through(axes, 4)
        assert tickets


def test_panels_say_how_many_diverged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", lambda a, lv, s: None if lv and s == 0 else 98.0, levels=2)
    lost = read_study([run])
    titles = {
        name: FIGURES[name].drawing(lost).draw().axes[0].get_title()
        for name in FIGURES
        if name not in {"density-per-gate", *MEASURED}
    }
    note = "{} networks diverged; means are of the others"
    assert titles == {
        "metric-vs-density": f"a\n{note.format('6 of 35')}",
        "early-stop-vs-density": f"a\n{note.format('6 of 35')}",
        "learning-curves": f"a\n{note.format('4 of 25')}",
        "searched-vs-pruned": f"mnist\n{note.format('2 of 15')}",
        "density-per-layer": "a",
    }


def test_a_run_whose_controls_all_diverged_can_be_drawn(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "a",
        lambda arm, level, seed: 98.0 if arm == "ticket" else None,
        metric=PERPLEXITY,
        levels=1,
        readings=True,
    )
    lost = read_study([run])
    for kind in FIGURES.values():
        save_figure(kind.drawing(lost).draw(), kind.drawing(lost).data, tmp_path / "out")
