"""The phrases and the answer at equal parameters that comparisons of two samples of architectures share."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.answers import Answer, losses
from analysis.judging import MINIMUM_N, Comparison, judge
from analysis.significance import at_equal_size
from analysis.summaries import Values
from analysis.wording import count, interval, number, p_value


def at_equal_parameters(
    question: str,
    what: str,
    ours: Values,
    theirs: Values,
    our_sizes: Values,
    their_sizes: Values,
    *,
    higher_is_better: bool = True,
) -> list[Answer]:
    """The same comparison at equal parameters; none where all have as many, or one side is too small.

    It is undecided where the sizes of the sides do not overlap: that would trust the line between them.
    """
    if len({*our_sizes, *their_sizes}) == 1 or min(ours.size, theirs.size) < MINIMUM_N:
        return []
    found = at_equal_size(ours, theirs, our_sizes, their_sizes, higher_is_better=higher_is_better)
    apart = our_sizes.min() > their_sizes.max() or our_sizes.max() < their_sizes.min()
    beyond = "; the sizes do not overlap, so this only extrapolates" if apart else ""
    return [
        Answer(
            question=question,
            answer=f"Its architectures have {count(our_sizes.mean())} parameters on average, the others "
            f"{count(their_sizes.mean())}. Adjusted for the logarithm of the number, its own "
            f"are {gain(found)} {what} ({tested_by(found)}){beyond}.",
            verdict="undecided" if apart else judge(found, found.p, found.p_opposite),
        )
    ]


def gain(found: Comparison) -> str:
    """An advantage with its interval."""
    return f"{number(found.difference)} {interval(found.low, found.high)}"


def tested_by(found: Comparison) -> str:
    """What diverged, and the p-value after the name of its test, where there was one."""
    tested = p_value(found.p) if math.isnan(found.p) else f"{found.test} {p_value(found.p)}"
    return "; ".join(filter(None, [losses(found, "its own", "the others"), tested]))


def values_of(column: pd.Series[float]) -> Values:
    """A column as numbers."""
    return np.asarray(column, dtype=np.float64)
