"""Initial weights of networks for images, as each source draws them.

Of a weight with n inputs and m outputs, which for a convolution count the pixels of its kernel:

| word | weights | biases | scales of batch norm |
|---|---|---|---|
| glorot | Gaussian, variance 2 / (n + m) | 0 | 1 |
| he | Gaussian, variance 2 / n | 0 | 1 |
| enas | Gaussian, standard deviation sqrt(2 / N), cut at twice that | 0 | 1 |
| nao | Gaussian, variance 2 / n | uniform within 1 / sqrt(n) | 1 |
| darts | uniform within 1 / sqrt(N) | uniform within 1 / sqrt(n) | uniform in [0, 1) |

N is n but for depthwise convolutions, of which the frameworks of ENAS and DARTS count the inputs of all groups: with C
channels and k x k pixels N is C k k, and n is k k. The shifts of batch norm are 0.

- glorot: Glorot & Bengio 2010, equation 16; Frankle & Carbin 2019, figure 2, whose release also cuts at twice the
  standard deviation and keeps the variance (google-research/lottery-ticket-hypothesis, foundations/model_fc.py).
- he: He et al. 2015, equation 10. facebookresearch/open_lth (models/initializers.py) leaves biases as PyTorch draws
  them and, unless told otherwise, draws the scales of batch norm uniformly.
- enas: `create_weight` of common_ops.py in melodyguan/enas, which is `he_normal`. The TensorFlow of its time did not
  correct for the cut, so that the variance is 0.774 * 2 / N (tensorflow/tensorflow, issue 16344).
- nao: `init_parameters` of NAO_V1/model.py in renqianluo/NAO_pytorch, which leaves the rest as PyTorch draws it: until
  1.1 with scales uniform in [0, 1), today with ones, as here. It asks for 1.0 or newer.
- darts: PyTorch 0.3.1, which the README of quark0/darts asks for and whose defaults it leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from training.errors import chosen

Initialisation = Literal["glorot", "he", "enas", "nao", "darts"]
Layer = nn.Linear | nn.Conv2d


def initialise(network: nn.Module, how: Initialisation) -> None:
    """Draw the weights of linear and convolutional layers, their biases and the scales of batch norm, in place.

    Args:
        network: changed in place.
        how: a word of the table above.
    """
    start = chosen("initialisation", how, _STARTS)
    for module in network.modules():
        if isinstance(module, Layer):
            start.weights(module)
            if module.bias is not None and start.uniform_biases:
                bound = 1.0 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound)
            elif module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and start.uniform_scales:
            nn.init.uniform_(module.weight)


def _glorot(layer: Layer) -> None:
    nn.init.xavier_normal_(layer.weight)


def _he(layer: Layer) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def _he_cut(layer: Layer) -> None:
    deviation = math.sqrt(2.0 / _all_inputs(layer))
    nn.init.trunc_normal_(layer.weight, 0.0, deviation, -2.0 * deviation, 2.0 * deviation)


def _uniform(layer: Layer) -> None:
    bound = 1.0 / math.sqrt(_all_inputs(layer))
    nn.init.uniform_(layer.weight, -bound, bound)


@dataclass(frozen=True)
class _Start:
    """A row of the table at the head of this module."""

    weights: Callable[[Layer], None]
    uniform_biases: bool = False
    uniform_scales: bool = False


_STARTS = {
    "glorot": _Start(_glorot),
    "he": _Start(_he),
    "enas": _Start(_he_cut),
    "nao": _Start(_he, uniform_biases=True),
    "darts": _Start(_uniform, uniform_biases=True, uniform_scales=True),
}


def _all_inputs(layer: Layer) -> int:
    """Inputs of a weight, those of all groups counted."""
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    return layer.weight[0].numel() * groups
