"""What networks of different size are matched by, and at which sizes; it imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.errors import chosen

if TYPE_CHECKING:
    import pandas as pd

# Name -> what it is a number of.
BUDGETS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "bytes": "bytes",
}
FRACTIONS = (1 / 2, 1 / 4, 1 / 8)
NEAR = 0.02  # budgets closer than this are one budget


def matched_budgets(levels: pd.DataFrame, budget: str = "parameters") -> list[int]:
    """The sizes at which networks are compared, the largest first.

    They are the dense size of every network, and 1/2, 1/4 and 1/8 of the largest unless a dense
    size is within 2 % of that.

    Args:
        levels: as from `frontier`, of one data set.
        budget: a name in `BUDGETS`.

    Raises:
        LotteryError: there is no such budget.
    """
    chosen("budget", budget, BUDGETS)
    dense = {round(size) for size in levels[levels["level"] == 0][budget]}
    shares = {round(max(dense) * fraction) for fraction in FRACTIONS} if dense else set()
    new = {s for s in shares if all(abs(s - size) > NEAR * size for size in dense)}
    return sorted(dense | new, reverse=True)
