"""What computes a time step: a recurrent layer's plain cell, or on a card one of Triton's kernels."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil

import torch
from torch import Tensor

from nas.recurrent.loop import Cell

# Turing, of 2018: what Triton and the newest builds of torch support.
_CAPABILITY = (7, 5)


def cell_for(state: Tensor, matrix: Tensor, cell: Cell) -> Cell:
    """The cell, or what computes the same to rounding in fewer and larger operations.

    Args:
        state: a tensor of the layer's state, `[..., B, H]`.
        matrix: a recurrent one, in the precision of products.
        cell: the plain one.
    """
    if not runs_triton(state):
        return cell
    from nas.recurrent.triton_cells import triton_cell

    return triton_cell(cell, matrix.dtype)


def runs_triton(state: Tensor) -> bool:
    """Whether Triton's kernels compute steps of such a state: in fp32, on a card, where Triton is at hand."""
    return state.device.type == "cuda" and state.dtype == torch.float32 and _can_launch()


@functools.cache
def _can_launch() -> bool:
    """Whether Triton is installed, supports the card, and finds the C compiler that it builds what launches with."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    return (
        importlib.util.find_spec("triton") is not None
        and any(map(shutil.which, names))
        and torch.cuda.get_device_capability() >= _CAPABILITY
    )
