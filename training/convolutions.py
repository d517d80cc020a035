"""1x1 convolutions by other ways than torch's: on a CPU one that does not destroy memory, on CUDA batched products.

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
# Where 1x1 convolutions of a stack are batched products. Reasoned, not measured.
DEVICES_OF_PRODUCTS = ("cuda",)
_NO_PADDING = (0, (0, 0), [0, 0], "valid")


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
    if _is_concerned(weight) and steps != (1, 1) and padding in _NO_PADDING:
        images, stride = images[..., :: steps[0], :: steps[1]], 1
    return F.conv2d(images, weight, bias, stride, padding, dilation, groups)


def are_products(images: Tensor, weight: Tensor, padding: Any, groups: int) -> bool:
    """Whether a stack's convolutions are computed by `convolve_by_products`: 1x1 ones over all channels, on CUDA.

    Grouped convolutions, as which all others are computed, have slow kernels there for few channels a group.

    Args:
        images: of one replicate or of all.
        weight: the kernels `[..., out, in, height, width]`.
        padding: as `torch.nn.functional.conv2d` takes it.
        groups: of one replicate.
    """
    is_plain = groups == 1 and padding in (*_NO_PADDING, "same")
    here = images.device.type in DEVICES_OF_PRODUCTS
    return here and is_plain and weight.shape[-2:] == (1, 1)


def convolve_by_products(
    images: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1
) -> Tensor:
    """1x1 convolutions of R replicates as one batched product for each of B images.

    Args:
        images: `[B, R, in, H, W]`.
        weight: `[R, out, in, 1, 1]`.
        bias: `[R, out]`.
        stride: one, or one for each direction.

    Returns:
        `[B, R, out, ceil(H / stride), ceil(W / stride)]`, in the precision of products.
    """
    down, right = _pair(stride)
    images = images[..., ::down, ::right]
    products = weight.flatten(2) @ images.flatten(-2)
    if bias is not None:
        products = products + bias[..., None].to(products.dtype)
    convolved: Tensor = products.unflatten(-1, images.shape[-2:])
    return convolved


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
