"""What "winning" means: matching, winning and superior levels of a run, each with its test.

Replicates are paired by seed. A level is *matching* when its tickets are not inferior to the dense
network of level 0 by more than the metric's margin; *winning* when it is matching and its tickets
beat the same masks from new initial weights (`reinitialised`); *superior* when they beat the dense
network. All tests are one-sided at 0.05, adjusted after Holm over the levels of the run. "no" means
that the opposite is significant; all else is "undecided". A level at which a ticket diverged is
never a "yes"; one at which all did (three or more) is a "no".
"""

from __future__ import annotations

import pandas as pd

from analysis.significance import ALPHA, MINIMUM_N, Comparison, Verdict, decide, holm, paired
from analysis.tables import results_at
from lottery.records import TICKET

REINITIALISED = "reinitialised"
VERDICTS = (
    *("run", "network", "data", "metric", "unit", "level", "density", "mean", "dense_mean"),
    *("n", "diverged", "difference", "low", "high", "effect", "margin", "p_matching", "matching"),
    *("n_reinitialised", "gain", "gain_low", "gain_high", "p_gain", "winning"),
    *("p_superior", "superior"),
)


def judge_levels(
    table: pd.DataFrame, *, at: str = "best", split: str = "test", alpha: float = ALPHA
) -> pd.DataFrame:
    """Whether each level above 0 of each run is matching, winning and superior; columns `VERDICTS`.

    `difference` is the advantage over the dense network and `gain` that over `reinitialised`, in
    the metric's unit and positive when better; the p-values are adjusted.

    Args:
        table: as from `tables.read_table`.
        at: "best" or "end".
        split: "test" or "validation".
        alpha: the level of the tests.

    Raises:
        LotteryError: nothing was read off there.
    """
    rows = results_at(table, at=at, split=split)
    judged = [_judge_run(of_run, alpha) for _, of_run in rows.groupby("run", sort=False)]
    return pd.DataFrame([row for run in judged for row in run], columns=list(VERDICTS))


def smallest_matching(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Per run the sparsest level that is matching; runs without one are left out."""
    return _sparsest(verdicts[verdicts["matching"] == "yes"])


def smallest_winning(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Per run the sparsest level that is winning; runs without one are left out."""
    return _sparsest(verdicts[verdicts["winning"] == "yes"])


def compare_arms(
    rows: pd.DataFrame, level: int, ours: str, theirs: str, *, within_margin: bool = False
) -> Comparison:
    """One arm against another at a level of one run, paired by seed.

    Args:
        rows: one run's rows, as from `tables.results_at`.
        level: of both arms.
        ours: an arm.
        theirs: an arm.
        within_margin: test non-inferiority instead of superiority.
    """
    theirs_by_seed = _by_seed(rows, theirs, level)
    return paired(
        _by_seed(rows, ours, level),
        theirs_by_seed,
        higher_is_better=bool(rows["higher_is_better"].iloc[0]),
        margin=_margin(rows, theirs_by_seed) if within_margin else 0.0,
    )


def _judge_run(rows: pd.DataFrame, alpha: float) -> list[dict[str, object]]:
    higher = bool(rows["higher_is_better"].iloc[0])
    dense = _by_seed(rows, TICKET, 0)
    margin = _margin(rows, dense)
    tickets = rows[(rows["arm"] == TICKET) & (rows["level"] > 0)]
    levels = sorted(int(level) for level in tickets["level"].unique())
    ours = [_by_seed(rows, TICKET, level) for level in levels]
    close = [paired(o, dense, higher_is_better=higher, margin=margin) for o in ours]
    above = [paired(o, dense, higher_is_better=higher) for o in ours]
    gains = [compare_arms(rows, level, TICKET, REINITIALISED) for level in levels]
    p_close, p_above, p_gain = _adjusted(close), _adjusted(above), _adjusted(gains)
    judged = []
    for i, level in enumerate(levels):
        here = tickets[tickets["level"] == level]
        lost = len(here) - len(ours[i])
        matching, superior, better = (
            _unless_diverged(decide(*p[i], alpha), lost, len(here))
            for p in (p_close, p_above, p_gain)
        )
        judged.append(
            {
                **{key: rows[key].iloc[0] for key in ("run", "network", "data", "metric", "unit")},
                **{"level": level, "density": float(here["density"].mean())},
                **{"mean": _mean(ours[i]), "dense_mean": _mean(dense)},
                **{"n": close[i].n, "diverged": lost, "difference": close[i].difference},
                **{"low": close[i].low, "high": close[i].high, "effect": close[i].effect},
                **{"margin": margin, "p_matching": p_close[i][0], "matching": matching},
                **{"n_reinitialised": gains[i].n, "gain": gains[i].difference},
                **{"gain_low": gains[i].low, "gain_high": gains[i].high, "p_gain": p_gain[i][0]},
                "winning": _both(matching, better),
                **{"p_superior": p_above[i][0], "superior": superior},
            }
        )
    return judged


def _adjusted(comparisons: list[Comparison]) -> list[tuple[float, float]]:
    """The adjusted p-values of the tests and of their opposites, one pair per level."""
    return list(
        zip(
            holm([comparison.p for comparison in comparisons]),
            holm([comparison.p_opposite for comparison in comparisons]),
            strict=True,
        )
    )


def _both(matching: Verdict, better: Verdict) -> Verdict:
    if "no" in (matching, better):
        return "no"
    return "yes" if matching == better == "yes" else "undecided"


def _unless_diverged(verdict: Verdict, lost: int, replicates: int) -> Verdict:
    if lost == replicates >= MINIMUM_N:
        return "no"
    return "undecided" if lost and verdict == "yes" else verdict


def _by_seed(rows: pd.DataFrame, arm: str, level: int) -> dict[int, float]:
    """Seed -> value of the replicates that did not diverge."""
    found = rows[(rows["arm"] == arm) & (rows["level"] == level) & ~rows["diverged"].astype(bool)]
    found = found.dropna(subset=["value"])
    return {
        int(s): float(v) for s, v in found[["seed", "value"]].itertuples(index=False, name=None)
    }


def _margin(rows: pd.DataFrame, reference: dict[int, float]) -> float:
    margin = float(rows["margin"].iloc[0])
    return margin * _mean(reference) if rows["margin_is_relative"].iloc[0] else margin


def _mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values) if values else float("nan")


def _sparsest(verdicts: pd.DataFrame) -> pd.DataFrame:
    by_density = verdicts.sort_values("density", kind="stable")
    return by_density.drop_duplicates("run").sort_index().reset_index(drop=True)
