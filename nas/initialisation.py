"""Initial weights, as the papers of the hand-designed networks draw them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Initialisation = Literal["glorot", "he"]

_DRAW: dict[Initialisation, Callable[[Tensor], Tensor]] = {
    "glorot": nn.init.xavier_normal_,
    "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}


def initialise(network: nn.Module, how: Initialisation) -> None:
    """Draw the weights of linear and convolutional layers, and put their biases to 0, in place.

    Args:
        network: changed in place.
        how: "glorot", Gaussian with variance 2 / (inputs + outputs) (Glorot & Bengio 2010, equation 16, whose
            variance it has), or "he", Gaussian with variance 2 / inputs (He et al. 2015, equation 10).
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            _DRAW[how](module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
