"""Settings of training that belong to one task, and their checks; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.errors import require

# Of each auxiliary classifier's loss in image classification, as in ENAS, NAO and DARTS.
AUXILIARY_WEIGHT = 0.4


def check_auxiliary_weight(weight: float) -> None:
    """Refuse a weight below 0.

    Raises:
        LotteryError: it is one.
    """
    require(weight >= 0, "auxiliary_weight", weight, "0 or more")


@dataclass(frozen=True, kw_only=True)
class TextTraining:
    """What a language model is trained with in addition to cross-entropy (Merity et al. 2018, sections 4.1 and 4.6).

    Attributes:
        activation: weight of the mean square of the last core's output.
        activation_of: that output after its dropout (awd-lstm-lm, main.py) or before (Ordered-Neurons, main.py;
            enas_lm, src/fixed_lib.py).
        slowness: weight of the mean squared difference of successive outputs.
        slowness_of: those outputs before the dropout (awd-lstm-lm and Ordered-Neurons, main.py; DARTS and NAO,
            rnn/train.py) or after it (melodyguan/enas, ptb_enas_child.py).
        varied_windows: whether windows vary in length around `data.options.sequence`, and learning rates with them.
        window_cap: how many tokens a varied window may have beyond that (awd-lstm-lm, finetune.py).
        window_deviation: of a varied window's length, in tokens: 5 in awd-lstm-lm; 0 in the search of NAO-WS, where
            nineteen windows in twenty have the full length and the others half of it.
    """

    activation: float = 0.0
    activation_of: Literal["dropped", "raw"] = "dropped"
    slowness: float = 0.0
    slowness_of: Literal["dropped", "raw"] = "raw"
    varied_windows: bool = False
    window_cap: int = 10
    window_deviation: float = 5.0

    def __post_init__(self) -> None:
        require(self.activation >= 0, "activation", self.activation, "0 or more")
        require(self.slowness >= 0, "slowness", self.slowness, "0 or more")
        require(self.window_cap >= 0, "window_cap", self.window_cap, "0 or more")
        deviation = self.window_deviation
        require(deviation >= 0, "window_deviation", deviation, "0 or more")
