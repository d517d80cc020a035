"""Autocast on the emulated device, as CUDA has it: some operations in bf16, some in fp32, all others as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

_aten = torch.ops.aten

# As CUDA's autocast has them (aten/src/ATen/autocast_mode.h): what is taken in bf16, and what in fp32.
_IN_BF16 = (
    *("_convolution", "conv1d", "conv2d", "conv3d", "convolution"),
    *("addbmm", "addmm", "addmv", "baddbmm", "bmm", "linear", "matmul", "mm", "mv"),
    *("scaled_dot_product_attention", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
)
_IN_FP32 = (
    *("acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "sinh"),
    *("tan", "reciprocal", "rsqrt", "pow", "softplus", "norm", "dist", "cdist", "renorm"),
    *("layer_norm", "group_norm", "logsumexp", "cosine_similarity", "nll_loss", "mse_loss"),
    *("l1_loss", "smooth_l1_loss", "kl_div", "binary_cross_entropy_with_logits"),
    *("softmax", "log_softmax", "sum", "prod", "cumsum", "cumprod"),
)


def autocast() -> Iterator[torch.library.Library]:
    """What has torch do so, as long as it is kept."""
    key = "AutocastPrivateUse1"
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, key)
    yield rest
    library = torch.library.Library("aten", "IMPL", key)
    for names, dtype, others in (
        (_IN_BF16, torch.bfloat16, (torch.float32, torch.float16)),
        (_IN_FP32, torch.float32, (torch.bfloat16, torch.float16)),
    ):
        for packet in (getattr(_aten, name) for name in names):
            for overload in packet.overloads():
                if "out" not in overload:
                    func = getattr(packet, overload)
                    library.impl(func, _converting(func, dtype, others))
    yield library


def _converting(func: Any, dtype: torch.dtype, others: Sequence[torch.dtype]) -> Callable[..., Any]:
    """An operation on tensors of a type, of those on the device that are of others."""
    known: Any = torch._C.DispatchKey
    keys = torch._C.DispatchKeySet(known.AutocastPrivateUse1)

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.dtype in others else tensor

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys):
            own, named = tree_map_only(Tensor, convert, (args, kwargs))
            return func(*own, **named)

    return kernel
