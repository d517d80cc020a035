"""What an optimizer remembers, as named tensors and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """What it remembers of each parameter, by `index/name`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": tensor
        for index, remembered in state.items()
        for name, tensor in remembered.items()
        if tensor is not None
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put an optimizer over the same parameters where the one stood that gave the tensors.

    Raises:
        IndexError, KeyError, ValueError, RuntimeError: they are another optimizer's.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = _laid_out(tensor, parameters[int(index)])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """What is remembered, in its parameter's order in memory, in which fused optimizers walk both."""
    return torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor


def start_momentum(optimizer: Optimizer) -> None:
    """Have SGD remember zeros of every parameter from the start.

    Its first step is the same; but torch's fused SGD can't take some parameters with a momentum and some that never had
    a gradient, as those of shared weights.
    """
    if not isinstance(optimizer, SGD):
        return
    for group in optimizer.param_groups:
        if group["momentum"]:
            for parameter in group["params"]:
                zeros = torch.zeros_like(parameter)
                optimizer.state[parameter]["momentum_buffer"] = zeros
