"""The state in which a language model begins to read, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from training.errors import LotteryError
from training.replicates import Replicates
from training.tasks.task import Carry


def initial_state(network: nn.Module, columns: int) -> Carry:
    """A network's state before the first token of so many columns: a tree of tensors `[columns, ...]`, all 0.

    Raises:
        LotteryError: the network has none, or gives something else.
    """
    try:
        first = cast("Callable[[int], Carry]", network.initial_state)
    except AttributeError:
        raise LotteryError(
            f"{type(network).__name__} has no initial_state(batch), which a network for text needs: give "
            "it that method, which returns the zero state of so many columns as a tuple of tensors."
        ) from None
    with torch.enable_grad():
        state = first(columns)
    if not isinstance(state, tuple):
        raise LotteryError(
            f"{type(network).__name__}.initial_state gives a {type(state).__name__}; return a tuple of tensors, "
            "and the like as the state after a window."
        )
    _check_zeros(state, type(network).__name__)
    return state


def _check_zeros(state: Carry, name: str) -> None:
    leaves = [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]
    faults = {
        "is trained": any(leaf.requires_grad for leaf in leaves),
        # One question, as each waits for the device.
        "is not all zeros": bool(leaves) and bool(torch.stack([t.any() for t in leaves]).any()),
    }
    for fault in (text for text, found in faults.items() if found):
        raise LotteryError(
            f"{name}.initial_state gives a state that {fault}, and replicates would share it; return zeros, and "
            "let forward add what shall be learned, for instance where the state is 0."
        )


def initial_states(replicates: Replicates, columns: int) -> Carry:
    """The same for every replicate, each tensor `[R, columns, ...]`."""
    state = initial_state(replicates.network, columns)
    return tuple(map_state(lambda t: t.expand(len(replicates), *t.shape), item) for item in state)


def map_state(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """A state, in tuples of any depth, with a function applied to each tensor."""
    if isinstance(state, tuple):
        return tuple(map_state(function, item) for item in state)
    return function(state)
