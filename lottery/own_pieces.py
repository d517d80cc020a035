"""Criteria and controls of one's own that a user named, looked up beside this project's; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Criterion
from nas.catalog.catalog import own_parts
from training.errors import LotteryError, chosen

if TYPE_CHECKING:
    from lottery.pruning.masks import Mask, Tensors
    from lottery.rivals import Draw

# From a ticket's mask, the whole network that it is taken from, and what may be drawn from, to a control's mask and
# the tensors that it starts from.
OwnControl = Callable[["Mask", "Tensors", "Draw"], "tuple[Mask, Tensors]"]


@dataclass(frozen=True, kw_only=True)
class OwnPieces:
    """What a user's own code decides beside the network, by the names `package.module:name` that they typed.

    Attributes:
        criteria: see `lottery.own_code.own_criterion`.
        controls: see `lottery.own_code.own_control`.
    """

    criteria: Mapping[str, Criterion] = field(default_factory=dict)
    controls: Mapping[str, OwnControl] = field(default_factory=dict)


NOTHING_OWN = OwnPieces()


def is_own(name: str) -> bool:
    """Whether a criterion's or a control's name is that of a user's own code."""
    return ":" in name


def criterion_named(name: str, own: OwnPieces) -> Criterion:
    """A criterion of this project, or one of the user's own that they named.

    Raises:
        LotteryError: there is none of that name, or the user did not name it.
    """
    if is_own(name):
        require_named("criterion", name, own.criteria)
        return own.criteria[name]
    return chosen("criterion", name, CRITERIA)


def require_named(kind: str, name: str, named: Mapping[str, object]) -> None:
    """Refuse code of the user's own that the command line does not name.

    Raises:
        LotteryError: it doesn't, or the name is malformed.
    """
    own_parts(name)
    if name not in named:
        raise LotteryError(
            f"The {kind} {name} is code of your own, which is imported only when the command line names it; "
            f"add --{kind} {name}."
        )
