"""Penalties on what a language model gives, added to its loss while it trains."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from training.errors import LotteryError
from training.tasks.settings import TextTraining


def penalty(settings: TextTraining, output: Any) -> Tensor:
    """Activation and temporal activation regularisation of a window (Merity et al. 2018, section 4.6).

    Means of squares over `[T, B, E]`, as awd-lstm-lm's main.py takes them, where the paper has norms.
    """
    if len(output) < 4:
        raise LotteryError(
            "training.text.activation and training.text.slowness need a network that gives its last "
            "output after its dropout and before, behind logits and state; set both to 0."
        )
    outputs = {"dropped": output[2].float(), "raw": output[3].float()}
    total: Tensor = outputs["raw"].new_zeros(())
    if settings.activation:
        total = total + settings.activation * outputs[settings.activation_of].square().mean()
    # A window of one token has no successive outputs.
    changing = outputs[settings.slowness_of]
    if settings.slowness and len(changing) > 1:
        changes = changing[1:] - changing[:-1]
        total = total + settings.slowness * changes.square().mean()
    return total
