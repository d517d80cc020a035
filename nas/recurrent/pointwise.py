"""Activations by name, in place, with their derivatives from their own values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_aten = torch.ops.aten


class Activation(NamedTuple):
    """A function of one number, and its derivative.

    Attributes:
        apply: changes a tensor into its values, in place.
        back: from the gradient of the values and the values, changes that gradient, in place, into the argument's.
    """

    apply: Callable[[Tensor], object]
    back: Callable[[Tensor, Tensor], object]


def tanh_back(grad: Tensor, value: Tensor) -> None:
    """Multiply, in place, by the derivative of tanh where it has that value."""
    _aten.tanh_backward.grad_input(grad, value, grad_input=grad)


def sigmoid_back(grad: Tensor, value: Tensor) -> None:
    """Multiply, in place, by the derivative of the logistic function where it has that value."""
    _aten.sigmoid_backward.grad_input(grad, value, grad_input=grad)


def _relu_back(grad: Tensor, value: Tensor) -> None:
    _aten.threshold_backward.grad_input(grad, value, 0, grad_input=grad)


ACTIVATIONS = {
    "tanh": Activation(torch.tanh_, tanh_back),
    "relu": Activation(torch.relu_, _relu_back),
    "sigmoid": Activation(torch.sigmoid_, sigmoid_back),
    "identity": Activation(lambda x: None, lambda grad, value: None),
}
