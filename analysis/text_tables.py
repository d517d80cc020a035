"""Tables of results as text, for terminals and reports."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from analysis.answers import losses
from analysis.budgets import BUDGETS
from analysis.frontier import comparison
from analysis.rows import LOSS, average_copies, results_at
from analysis.structure import density_per_gate
from analysis.summaries import summarise_levels
from analysis.tables import Study
from analysis.verdicts import decide_control
from analysis.winners import REINITIALISED, compare_arms, judge_levels, smallest_matching
from analysis.wording import (
    MISSING,
    count,
    counted,
    difference,
    interval,
    matrix,
    number,
    p_value,
    percent,
    with_unit,
)
from lottery.identity import TICKET

# The title of a column, as papers on text of characters have it.
BITS = "bits per character"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        head: column titles.
        rows: cells, as many as titles.
    """

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def select(self, *head: str) -> Table:
        """The columns with the given titles, in their order."""
        columns = [self.head.index(title) for title in head]
        return Table(head=head, rows=[tuple(row[i] for i in columns) for row in self.rows])


def results_table(table: pd.DataFrame, of_characters: Collection[str] = ()) -> Table:
    """One row per run: what it found.

    Args:
        table: as from `tables.read_table`.
        of_characters: the runs whose tokens are characters: their bits per character stand beside the perplexity.
    """
    rows = results_at(table)
    matching = smallest_matching(judge_levels(table)).set_index("run")["density"].to_dict()
    found: list[tuple[str, ...]] = []
    for run, of_run in rows.groupby("run", sort=False):
        levels = summarise_levels(of_run)
        dense = levels[(levels["arm"] == TICKET) & (levels["level"] == 0)]
        first = of_run.iloc[0]
        cells = (MISSING, MISSING, MISSING)
        if not dense.empty:
            d = dense.iloc[0]
            value = f"{with_unit(d['mean'], d['unit'])} {interval(d['low'], d['high'])}"
            if run in of_characters:
                bits = _bits_per_token(table[table["run"] == run])[0, TICKET]
                value += f", {number(bits)} {BITS}"
            cells = (count(d["parameters"]), value, counted(d["n"], d["diverged"]))
        sparsest = percent(matching[run]) if run in matching else "none shown"
        names = tuple(str(first[key]) for key in ("run", "network", "origin", "data"))
        found.append((*names, *cells, sparsest, _against_reinitialised(of_run)))
    head = ("run", "network", "origin", "data", "parameters", "dense test metric", "n")
    last = ("matching down to", "ticket against reinitialised, sparsest level")
    return Table(head=(*head, *last), rows=found)


def metric_title(table: pd.DataFrame) -> str:
    """The title of a column of test results: `test accuracy`, or `test metric` where rows differ in it."""
    metrics = results_at(table)["metric"].unique()
    return f"test {metrics[0]}" if len(metrics) == 1 else "test metric"


def run_line(study: Study, run: str) -> str:
    """What a run's table is about: network, data set, whose masks, and for text the baselines of the test split."""
    first = study.table[study.table["run"] == run].iloc[0]
    known = study.baselines
    known = known[(known["run"] == run) & (known["split"] == "test")]
    told = [
        f"{name} {metric} of the test split: {number(value)}"
        for name, metric, value in known[["name", "metric", "value"]].itertuples(index=False)
    ]
    experiment = study.descriptions[run]["experiment"]
    precision = experiment.get("training", {}).get("precision", "fp32")
    how = [] if precision == "fp32" else [f"trained in {precision}"]
    transfer = experiment.get("transfer", {})
    if transfer.get("run"):
        what = "masks and weights" if transfer.get("weights") == "source" else "masks"
        how.append(f"{what} of {transfer['run']}")
    return "; ".join([f"{first['network']} on {first['data']}", *how, *told])


def is_of_characters(study: Study, run: str) -> bool:
    """Whether a run's tokens are characters, of which a perplexity per word can be astronomical."""
    cut: str | None = study.descriptions[run]["data"].get("cut into")
    return cut == "characters"


def levels_table(table: pd.DataFrame, run: str, characters: bool = False) -> Table:
    """One row per arm and level of a run, with the verdicts of its tickets.

    Args:
        table: as from `tables.read_table`.
        run: its name.
        characters: whether its tokens are characters: a column of bits per character is added.
    """
    of_run = table[table["run"] == run]
    bits = _bits_per_token(of_run) if characters else {}
    levels = summarise_levels(results_at(of_run))
    verdicts = judge_levels(of_run).set_index("level")
    found = []
    for _, row in levels.iterrows():
        judged = row["arm"] == TICKET and row["level"] > 0
        words = [
            str(verdicts.loc[row["level"], word]) if judged else MISSING
            for word in ("matching", "winning", "superior")
        ]
        found.append(
            (
                *(str(row["level"]), percent(row["density"]), row["arm"]),
                *(count(row[size]) for size in ("parameters", "multiply_adds", "bytes")),
                with_unit(row["mean"], row["unit"]),
                *((number(bits[row["level"], row["arm"]]),) if characters else ()),
                *(interval(row["low"], row["high"]), counted(row["n"], row["diverged"])),
                *words,
                _strongest(*words),
            )
        )
    metrics = (metric_title(of_run), *((BITS,) if characters else ()))
    head = ("level", "density", "arm", "parameters", "multiply-adds", "bytes", *metrics)
    last = ("95 % interval", "n", "matching", "winning", "superior", "verdict")
    return Table(head=(*head, *last), rows=found)


def _bits_per_token(of_run: pd.DataFrame) -> dict[tuple[int, str], float]:
    """The mean test loss of each level's arms at the early-stop step, in bits; NaN where every network diverged."""
    at = (of_run["at"] == "best") & (of_run["split"] == "test") & (of_run["metric"] == LOSS)
    bits = {}
    for (_, arm), rows in average_copies(of_run[at]).groupby(["level", "arm"]):
        sound = rows["value"][~rows["diverged"].astype(bool)]
        bits[int(rows["level"].iloc[0]), str(arm)] = float(sound.mean()) / math.log(2)
    return bits


def gates_table(gates: pd.DataFrame, run: str) -> Table:
    """One row per recurrent matrix of a run: the mean density of each gate of its tickets at the last level.

    Args:
        gates: as `Study.gates`.
        run: its name.
    """
    means = density_per_gate(gates[gates["run"] == run])
    last = means[means["level"] == means["level"].max()]
    names = tuple(last["gate"].unique())
    found = []
    for (level, name), of_matrix in last.groupby(["level", "name"], sort=False):
        density = dict(zip(of_matrix["gate"], of_matrix["density"], strict=True))
        cells = (percent(density[gate]) if gate in density else MISSING for gate in names)
        found.append((matrix(str(name)), str(level), *cells))
    return Table(head=("matrix", "level", *names), rows=found)


def _strongest(matching: str, winning: str, superior: str) -> str:
    """The most that was shown of a level, in one word."""
    shown = {"winning": winning, "superior": superior, "matching": matching}
    for word, verdict in shown.items():
        if verdict == "yes":
            return word
    return "not matching" if matching == "no" else matching


def _against_reinitialised(of_run: pd.DataFrame) -> str:
    control = of_run[of_run["arm"] == REINITIALISED]
    if control.empty:
        return "not run"
    level = int(control["level"].max())
    verdict, _ = decide_control(of_run, level, REINITIALISED)
    found = compare_arms(of_run, level, TICKET, REINITIALISED)
    told = losses(found, TICKET, REINITIALISED)
    lost = f" ({told})" if told else ""
    return (
        f"{difference(found.difference, of_run['unit'].iloc[0])} "
        f"{interval(found.low, found.high)}, {p_value(found.p)}, n = {found.n}{lost}: {verdict}"
    )


def comparison_table(table: pd.DataFrame, budget: str = "parameters") -> Table:
    """The networks at matched budgets, as text.

    Args:
        table: as from `tables.read_table`.
        budget: a name in `BUDGETS`.
    """
    found = [
        (
            *(row["data"], count(row["budget"]), row["network"], row["origin"]),
            f"{percent(row['density'])}{' with embeddings' if row['embeddings'] else ''}",
            *(count(row[size]) for size in BUDGETS),
            f"{with_unit(row['mean'], row['unit'])} {interval(row['low'], row['high'])}",
            *(counted(row["n"], row["diverged"]), "yes" if row["on_front"] else "no"),
        )
        for _, row in comparison(table, budget=budget).iterrows()
    ]
    head = ("data", "budget", "network", "origin", "density")
    title = metric_title(table)
    return Table(head=(*head, *BUDGETS.values(), title, "n", "on front"), rows=found)
