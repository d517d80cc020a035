"""Controls: what a ticket is compared with, as a rule for its mask and one for its weights; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lottery.experiments import Experiment
from lottery.own_pieces import NOTHING_OWN, OwnPieces, is_own, require_named
from training.errors import LotteryError, chosen

MaskRule = Literal["ticket", "shuffled", "random", "inverted", "dense"]
WeightRule = Literal["ticket", "new", "new-same-sign", "signed-constant"]


@dataclass(frozen=True, kw_only=True)
class Control:
    """A rival of the ticket; `lottery.rivals` has what the rules do.

    Attributes:
        summary: in one line.
        mask: how its mask comes from the ticket's.
        weights: how the weights that it starts from come from the ticket's.
    """

    summary: str
    mask: MaskRule = "ticket"
    weights: WeightRule = "ticket"

    @property
    def draws_weights(self) -> bool:
        """Whether it has new initial weights."""
        return self.weights.startswith("new")

    @property
    def needs_pruned_weights(self) -> bool:
        """Whether it keeps weights that the ticket lost, and so needs values for them."""
        return self.mask != "ticket" and self.weights == "ticket"


CONTROLS: dict[str, Control] = {
    # Frankle & Carbin 2019, section 2.
    "reinitialised": Control(summary="same mask, new initial weights", weights="new"),
    # Zhou et al. 2019, section 4.
    "reinitialised-same-sign": Control(
        summary="same mask, new weights with the ticket's signs", weights="new-same-sign"
    ),
    # Zhou et al. 2019, section 4.
    "signed-constant": Control(
        summary="same mask and signs, equal magnitudes per layer", weights="signed-constant"
    ),
    # Frankle et al. 2021, arXiv 2009.08576, section 5.
    "shuffled-mask": Control(summary="same weights, each layer's mask shuffled", mask="shuffled"),
    "random-mask": Control(summary="same weights, as many kept anywhere", mask="random"),
    # Morcos et al. 2019, arXiv 1906.02773, section 3.
    "random-ticket": Control(summary="random mask and new weights", mask="random", weights="new"),
    "inverted-mask": Control(summary="exactly the weights that the ticket lost", mask="inverted"),
    "dense": Control(summary="the whole network, at the same budget of steps", mask="dense"),
}


def check_control(experiment: Experiment, name: str, own: OwnPieces = NOTHING_OWN) -> None:
    """Refuse a control that there is not, or that needs weights which an experiment does not have.

    Args:
        experiment: that it is for.
        name: of the control.
        own: the user's own controls that the command line names.

    Raises:
        LotteryError: one of these.
    """
    if is_own(name):
        require_named("control", name, own.controls)
        return
    control = chosen("control", name, CONTROLS)
    if experiment.rewinding.weights == "keep" and control.needs_pruned_weights:
        raise LotteryError(
            f"The control {name} needs values for weights that were pruned, which rewinding.weights = "
            "keep does not have; use reinitialised, or rewinding.weights = start."
        )
