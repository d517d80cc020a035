"""Strided 1x1 convolutions of few channels on a CPU, by a way that does not destroy memory.

On a processor with AVX2 and without AVX-512 the gradient of such a convolution's kernel, with channels last, writes
beyond its memory (oneDNN in torch 2.14.1): for 2 to 6 channels the process dies within a few hundred steps. Reading
first the pixels that the stride leaves gives the same convolution without a stride.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# A vector of AVX2: from so many channels on nothing was found amiss.
ENOUGH_CHANNELS = 8


def convolve(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """What `torch.nn.functional.conv2d` gives."""
    steps = _pair(stride)
    if _is_concerned(weight) and steps != (1, 1) and padding in (0, (0, 0), [0, 0], "valid"):
        images, stride = images[..., :: steps[0], :: steps[1]], 1
    return F.conv2d(images, weight, bias, stride, padding, dilation, groups)


def convolving(network: nn.Module) -> Callable[[], AbstractContextManager[object]]:
    """What to enter around a network's forward passes: nothing, unless it has a kernel that is concerned."""
    concerned = any(_is_concerned(parameter) for parameter in network.parameters())
    return partial(Rerouted, {F.conv2d: convolve}) if concerned else nullcontext


class Rerouted(TorchFunctionMode):
    """While this is entered, the calls in a table are those of what stands there."""

    def __init__(self, table: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        TorchFunctionMode.__init__(self)
        self.table = table

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Reroute a call that stands in the table."""
        return self.table.get(func, func)(*args, **(kwargs or {}))


def _is_concerned(weight: Tensor) -> bool:
    return (
        weight.dim() == 4
        and weight.device.type == "cpu"
        and 1 < weight.shape[1] < ENOUGH_CHANNELS
        and weight.shape[2:] == (1, 1)
    )


def _pair(value: Any) -> tuple[int, int]:
    """A stride for each direction."""
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return first, (rest or [first])[0]
