"""What "winning" means: matching, winning and superior levels of a run, each with its test.

Replicates are paired by seed. A level is *matching* when its tickets are not inferior to the dense
network of level 0 by more than the metric's margin; *winning* when it is matching and its tickets
beat the same masks from new initial weights (`reinitialised`); *superior* when they beat the dense
network. All tests are one-sided at 0.05, adjusted after Holm over the levels of the run. "no" means
that the opposite is significant; all else is "undecided". Replicates that diverged rank worst, and
no "yes" goes to the side that lost more; a level at which all tickets did (three or more) is a "no".
"""

from __future__ import annotations

import math

import pandas as pd

from analysis.judging import ALPHA, MINIMUM_N, Comparison, Verdict, holm, judge
from analysis.rows import results_at
from analysis.significance import paired
from lottery.identity import TICKET

REINITIALISED = "reinitialised"
VERDICTS = (
    *("run", "network", "data", "metric", "unit", "level", "density", "mean", "dense_mean"),
    *("n", "replicates", "diverged", "dense_diverged"),
    *("difference", "low", "high", "effect", "margin", "p_matching", "matching"),
    *("n_reinitialised", "reinitialised", "reinitialised_diverged"),
    *("gain", "gain_low", "gain_high", "p_gain", "winning"),
    *("p_superior", "superior"),
)


def judge_levels(
    table: pd.DataFrame, *, at: str = "best", split: str = "test", alpha: float = ALPHA
) -> pd.DataFrame:
    """Whether each level above 0 of each run is matching, winning and superior; columns `VERDICTS`.

    `difference` is the advantage over the dense network and `gain` that over `reinitialised`, in
    the metric's unit and positive when better, over the `n` and `n_reinitialised` seeds of which neither side
    diverged; the p-values are adjusted.

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
    matches, exceeds, gained = (_judged(found, alpha) for found in (close, above, gains))
    judged = []
    for i, level in enumerate(levels):
        here = tickets[tickets["level"] == level]
        (p_close, matching), (p_above, superior), (p_gain, better) = (
            verdicts[i] for verdicts in (matches, exceeds, gained)
        )
        judged.append(
            {
                **{key: rows[key].iloc[0] for key in ("run", "network", "data", "metric", "unit")},
                **{"level": level, "density": float(here["density"].mean())},
                **{"mean": _mean(ours[i]), "dense_mean": _mean(dense)},
                **{"n": close[i].n, "replicates": len(ours[i]), "diverged": _lost(ours[i])},
                **{"dense_diverged": _lost(dense), "difference": close[i].difference},
                **{"low": close[i].low, "high": close[i].high, "effect": close[i].effect},
                **{"margin": margin, "p_matching": p_close, "matching": matching},
                **{"n_reinitialised": gains[i].n, "reinitialised": gains[i].theirs},
                **{"reinitialised_diverged": gains[i].theirs_lost, "gain": gains[i].difference},
                **{"gain_low": gains[i].low, "gain_high": gains[i].high, "p_gain": p_gain},
                "winning": _both(matching, better),
                **{"p_superior": p_above, "superior": superior},
            }
        )
    return judged


def _judged(levels: list[Comparison], alpha: float) -> list[tuple[float, Verdict]]:
    """The adjusted p-value and the verdict of each level."""
    p = holm([found.p for found in levels])
    opposite = holm([found.p_opposite for found in levels])
    return [
        (own, "no" if _all_lost(found) else judge(found, own, other, alpha))
        for found, own, other in zip(levels, p, opposite, strict=True)
    ]


def _all_lost(found: Comparison) -> bool:
    """Whether all of ours diverged, enough of them to say so, and not all of theirs."""
    return found.ours_lost == found.ours >= MINIMUM_N and found.theirs_lost < found.theirs


def _both(matching: Verdict, better: Verdict) -> Verdict:
    if "no" in (matching, better):
        return "no"
    return "yes" if matching == better == "yes" else "undecided"


def _by_seed(rows: pd.DataFrame, arm: str, level: int) -> dict[int, float]:
    """Seed -> value, NaN of a replicate that diverged."""
    found = rows[(rows["arm"] == arm) & (rows["level"] == level)]
    values = found["value"].mask(found["diverged"].astype(bool))
    return dict(zip(map(int, found["seed"]), map(float, values), strict=True))


def _margin(rows: pd.DataFrame, reference: dict[int, float]) -> float:
    margin = float(rows["margin"].iloc[0])
    return margin * _mean(reference) if rows["margin_is_relative"].iloc[0] else margin


def _mean(values: dict[int, float]) -> float:
    known = [value for value in values.values() if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _lost(values: dict[int, float]) -> int:
    return sum(map(math.isnan, values.values()))


def _sparsest(verdicts: pd.DataFrame) -> pd.DataFrame:
    by_density = verdicts.sort_values("density", kind="stable")
    return by_density.drop_duplicates("run").sort_index().reset_index(drop=True)
