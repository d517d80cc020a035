"""The architectures of NAO's pool, and what became of what was promised of them; torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.search.space import Choices


@dataclass(frozen=True, kw_only=True)
class Member:
    """An architecture of the pool.

    Attributes:
        choices: its row.
        round: in which it came up; 0 for the first pool.
        score: of its latest evaluation; None before the first.
        parent: the architecture that it was made from; None where it was drawn at random.
        step_size: with which; None where it was drawn at random.
        promised: how much better than its parent the moved embedding was predicted to be, in units of the score.
        predicted_gain: how much better than its parent it was itself predicted to be.
        predicted: its own predicted score.
    """

    choices: Choices
    round: int
    score: float | None = None
    parent: Choices | None = None
    step_size: int | None = None
    promised: float | None = None
    predicted_gain: float | None = None
    predicted: float | None = None


def step_figures(pool: Iterable[Member], newborn: Iterable[Choices]) -> dict[str, float]:
    """Per step size, how much better than their parents new architectures were promised, predicted and found to be.

    Args:
        pool: scored; a pair is left out where the parent is no longer in it.
        newborn: the architectures that were scored for the first time.

    Returns:
        Means, such as `step_2_real` for a step size of 2, and `step_2_count`.
    """
    members = {member.choices: member for member in pool}
    groups: dict[int, list[tuple[float, float, float]]] = {}
    for row in newborn:
        child = members[row]
        parent = members.get(child.parent) if child.parent is not None else None
        if parent is None or parent.score is None or child.score is None:
            continue
        gain = (child.promised or 0.0, child.predicted_gain or 0.0, child.score - parent.score)
        groups.setdefault(child.step_size or 0, []).append(gain)
    figures: dict[str, float] = {}
    for step_size, gains in sorted(groups.items()):
        for index, name in enumerate(("promised", "predicted", "real")):
            figures[f"step_{step_size}_{name}"] = sum(one[index] for one in gains) / len(gains)
        figures[f"step_{step_size}_count"] = float(len(gains))
    return figures


def standing(member: Member) -> float:
    """Its score, or what was predicted; -inf where there is neither."""
    expected = member.score if member.score is not None else member.predicted
    return -math.inf if expected is None else expected


def details_of(member: Member) -> dict[str, float]:
    """What a candidate tells of a member."""
    named = {
        "score": member.score,
        "predicted": member.predicted,
        "step_size": member.step_size,
    }
    return {name: float(value) for name, value in named.items() if value is not None}


def read_member(row: Mapping[str, Any]) -> Member:
    """The member of a row of a checkpoint.

    Raises:
        KeyError, TypeError: it is none.
    """
    parent = row["parent"]
    whole = {**row, "choices": tuple(row["choices"])}
    return Member(**{**whole, "parent": None if parent is None else tuple(parent)})
