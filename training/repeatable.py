"""Operations that give the same bits again on a device that has faster ones, which add in any order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.deterministic
from torch import Tensor

from training.convolutions import Rerouted
from training.errors import LotteryError

# The memory that cuBLAS works in, 8 times 4096 KiB: of a size that is set its products repeat, and torch asks for it
# (https://docs.nvidia.com/cuda/cublas/#results-reproducibility). It is that of the library's own default on Hopper.
WORKSPACE, _SIZE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
# Its switch is a property of a module, which no type checker knows.
_MEMORY: Any = torch.utils.deterministic


@contextmanager
def repeating(device: torch.device) -> Iterator[None]:
    """Inside, what is computed on a device repeats bit for bit; then torch's settings are as before.

    On CUDA the gradients of an embedding, and sums by index, are otherwise added up in any order, and cuDNN chooses its
    algorithms by the clock where that is asked for. Of an operation that can't repeat torch raises a RuntimeError;
    `torch.use_deterministic_algorithms` lists them. A CPU's operations repeat anyway, and nothing is set for them.

    The size of cuBLAS's memory stays set: it is read once, at a process's first product on CUDA.
    """
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault(WORKSPACE, _SIZE)
    mode, convolutions = torch.get_deterministic_debug_mode(), torch.backends.cudnn
    filled = _MEMORY.fill_uninitialized_memory
    before = convolutions.deterministic, convolutions.benchmark
    # Unlike torch.use_deterministic_algorithms this does not load the compiler, to set it too.
    torch.set_deterministic_debug_mode("error")
    # Nothing here reads what it has not written.
    _MEMORY.fill_uninitialized_memory = False
    convolutions.deterministic, convolutions.benchmark = True, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        _MEMORY.fill_uninitialized_memory = filled
        convolutions.deterministic, convolutions.benchmark = before


def check_products_repeat(device: torch.device) -> None:
    """Refuse a process in which torch multiplied on CUDA before the size of cuBLAS's memory was set.

    Raises:
        LotteryError: products on the device could not be repeated.
    """
    if device.type != "cuda":
        return
    with repeating(device):
        one = torch.ones(2, 2, device=device)
        try:
            one @ one
        except RuntimeError as error:
            if WORKSPACE not in str(error):
                raise
            raise LotteryError(
                "This process multiplied matrices on CUDA before it was set that products repeat; set "
                f"{WORKSPACE}={_SIZE} in the environment, or carry this out before them."
            ) from error


def rerouting(device: torch.device) -> AbstractContextManager[object]:
    """A context for forward passes on a device: calls whose derivative could not repeat are made in another way."""
    return nullcontext() if device.type == "cpu" else Rerouted(_OTHER_WAYS)


def adaptive_average(images: Tensor, output_size: Any) -> Tensor:
    """What `torch.nn.functional.adaptive_avg_pool2d` gives: means over the windows' rows, then over their columns.

    Args:
        images: `[..., H, W]`.
        output_size: of the result, one for both sides or two, of which None keeps a side as it is.
    """
    sizes = [output_size] * 2 if isinstance(output_size, int) else output_size
    for dim, size in zip((-2, -1), sizes, strict=True):
        length = images.shape[dim]
        count = length if size is None else size
        windows = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
        means = [images.narrow(dim, a, b - a).mean(dim, keepdim=True) for a, b in windows]
        images = torch.cat(means, dim)
    return images


_OTHER_WAYS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.adaptive_avg_pool2d: adaptive_average
}
