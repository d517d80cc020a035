"""A device that is not the CPU, on any machine: what it computes is computed on the CPU, but neither meets the other.

It is torch's backend for devices of others, `PrivateUse1`, in Python. As on CUDA, a mixture of devices is an error,
autocast takes products in bf16 and sums in fp32, and a batch norm refuses parameters of two types. Counted are its
operations, and what has the host wait for it: values that are read, sizes that follow from values, and copies from and
to the CPU. It knows nothing of streams, kernels or speed.

The name of the device lasts for the process: whoever begins it has the process to themselves, see
`tests/test_emulated_device.py`.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

NAME = "emulated"
DEVICE = torch.device("privateuseone", 0)
_CPU = torch.device("cpu")
_ROOT = Path(__file__).parents[1]
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

# Operations that CUDA carries out in any order, unless torch is told that they have to repeat, and those that it has in
# no other way then (`torch.use_deterministic_algorithms`).
_REPEATING_IF_TOLD = {
    *("embedding_dense_backward", "index_add", "index_add_", "index_copy", "index_copy_"),
    *("index_put", "index_put_", "_index_put_impl_", "scatter_add", "scatter_add_", "cumsum"),
    *("scatter", "scatter_", "scatter_reduce", "scatter_reduce_", "convolution_backward"),
    *("replication_pad1d_backward", "replication_pad2d_backward", "repeat_interleave"),
}
_NEVER_REPEATING = {
    *("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "avg_pool3d_backward"),
    *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "max_unpool2d"),
    *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward"),
    *("reflection_pad1d_backward", "reflection_pad2d_backward", "nll_loss2d_forward"),
    *("_ctc_loss_backward", "put_", "histc", "median", "grid_sampler_2d_backward"),
}
# What has the host wait, besides copies between devices.
_READING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_INDEXING = (_aten.index, _aten.index_put, _aten.index_put_)
_COPIES = (_aten.copy_.default, _aten._to_copy.default, _aten._foreach_copy_.default)
_BATCH_NORMS = (_aten.native_batch_norm.default, _aten.native_batch_norm_backward.default)


class EmulatedTensor(Tensor):
    """A tensor on `DEVICE`, with its values in one of the CPU's."""

    values: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(cls, values: Tensor) -> EmulatedTensor:
        """A tensor in the memory of a plain one."""
        made: EmulatedTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )
        made.values = values
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Carry an operation out."""
        return _ENTERED[-1].carry_out(func, args, kwargs or {})

    @property
    def data(self) -> Tensor:
        """The same values, apart from autograd."""
        return self.detach()

    @data.setter
    def data(self, other: EmulatedTensor) -> None:
        Tensor.data.__set__(self, other)  # type: ignore[attr-defined]
        self.values = other.values

    def untyped_storage(self) -> torch.UntypedStorage:
        """Where the values are."""
        return self.values.untyped_storage()

    def tolist(self) -> Any:
        """The values as numbers."""
        return self.cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> EmulatedTensor:
        made = EmulatedTensor(self.values.clone()).requires_grad_(self.requires_grad)
        made._is_param = getattr(self, "_is_param", False)  # type: ignore[attr-defined]
        memo[id(self)] = made
        return made


class Emulation(TorchDispatchMode):
    """A machine with such a device, while it is entered.

    Attributes:
        operations: that were carried out on the device.
        waits: of the host, by what of this project asked for them, as `file:function`.
        unrepeatable: operations that would not repeat on CUDA.
    """

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.operations: Counter[Any] = Counter()
        self.waits: Counter[str] = Counter()
        self.unrepeatable: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping means loading the compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Carry an operation out."""
        return self.carry_out(func, args, kwargs or {})

    def carry_out(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Do on the CPU what is asked of the device; what is asked of the CPU as it is."""
        tensors: list[Tensor] = []
        own = [_on_the_cpu(value, tensors) for value in args]
        named = {key: _on_the_cpu(value, tensors) for key, value in kwargs.items()}
        there = {id(t.values): t for t in tensors if isinstance(t, EmulatedTensor)}
        asked = kwargs.get("device")
        stays = self._stays(func, tensors, asked)
        if not there and not stays:
            return func(*args, **kwargs)
        self._check(func, args, tensors, asked)
        if asked is not None:
            named["device"] = _CPU
        result = func(*own, **named)
        self.operations[func] += 1
        return _on_the_device(result, there) if stays else result

    def _stays(self, func: Any, tensors: Sequence[Tensor], asked: torch.device | None) -> bool:
        """Whether what comes of an operation is on the device."""
        if func is _aten._local_scalar_dense.default:
            return False
        if asked is not None:
            return asked.type == DEVICE.type
        if func is _aten.copy_.default:
            return isinstance(tensors[0], EmulatedTensor)
        return any(isinstance(tensor, EmulatedTensor) for tensor in tensors)

    def _check(
        self, func: Any, args: Any, tensors: Sequence[Tensor], asked: torch.device | None
    ) -> None:
        """Refuse what CUDA refuses, and count what has the host wait or would not repeat."""
        kind = _kind(func)
        here = [t for t in tensors if not isinstance(t, EmulatedTensor)]
        if kind.copies:
            if here if asked is None else any(t.device.type != asked.type for t in tensors):
                self.waits[_asking()] += 1
        elif len(here) < len(tensors) and any(tensor.dim() for tensor in here):
            raise RuntimeError(f"{func} takes tensors of the device {NAME} and of the CPU")
        if kind.reshapes:
            raise NotImplementedError(f"{func} changes the shape of a tensor of the device {NAME}")
        if kind.reads or (kind.indexes and _by_mask(args[1])):
            self.waits[_asking()] += 1
        if func in _BATCH_NORMS:
            _check_batch_norm(func, args)
        if kind.never_repeats or (
            kind.repeats_if_told and torch.get_deterministic_debug_mode() != 2
        ):
            self.unrepeatable[f"{kind.name} in {_asking()}"] += 1


class _Kind(NamedTuple):
    """What is known of an operation, whatever its arguments."""

    name: str
    copies: bool
    indexes: bool
    reads: bool
    reshapes: bool
    repeats_if_told: bool
    never_repeats: bool


@functools.cache
def _kind(func: Any) -> _Kind:
    name = func.overloadpacket.__name__
    indexes = func.overloadpacket in _INDEXING
    return _Kind(
        name=name,
        copies=func in _COPIES,
        indexes=indexes,
        # Torch says so of an index too, of which only a mask does.
        reads=not indexes and any(tag in func.tags for tag in _READING),
        reshapes=torch.Tag.inplace_view in func.tags,
        repeats_if_told=name in _REPEATING_IF_TOLD,
        never_repeats=name in _NEVER_REPEATING,
    )


def _on_the_cpu(value: Any, tensors: list[Tensor]) -> Any:
    """An argument with values in the places of tensors of the device; every tensor is noted."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return value.values if isinstance(value, EmulatedTensor) else value
    if isinstance(value, (list, tuple)):
        return [_on_the_cpu(item, tensors) for item in value]
    return value


def _on_the_device(result: Any, there: Mapping[int, Tensor]) -> Any:
    """A result with tensors of the device; what was changed in place is the tensor that it was."""
    if isinstance(result, Tensor):
        return there[id(result)] if id(result) in there else EmulatedTensor(result)
    if isinstance(result, (list, tuple)):
        return type(result)(_on_the_device(item, there) for item in result)
    return result


# The emulations that are entered, the innermost last.
_ENTERED: list[Emulation] = []


def _asking() -> str:
    """What of this project is nearest to what is carried out."""
    frame: Any = sys._getframe()
    while frame is not None:
        file, name = _own_file(frame.f_code.co_filename), frame.f_code.co_name
        # A comprehension or a lambda has no name of its own.
        if file and not name.startswith("<"):
            return f"{file}:{name}"
        frame = frame.f_back
    return "a test"


@functools.cache
def _own_file(name: str) -> str:
    """A file of this project, from its root; empty for one of the tests or of others."""
    path = Path(name)
    own = path.is_relative_to(_ROOT) and path.parent.name != "tests"
    return str(path.relative_to(_ROOT)) if own else ""


def _by_mask(indices: Sequence[Tensor | None]) -> bool:
    """Whether a mask says how many elements there are."""
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)


def _check_batch_norm(func: Any, args: Sequence[Any]) -> None:
    """CUDA's kernels take the type of their parameters from the first (aten/src/ATen/native/cuda/Normalization.cu)."""
    gradient, rest = (args[:1], args[1:]) if func is _BATCH_NORMS[1] else ((), args)
    images, *parameters = rest[:4] if gradient else rest[:5]
    types = {tensor.dtype for tensor in parameters if tensor is not None}
    if len(types) > 1 or any(tensor.dtype != images.dtype for tensor in gradient):
        raise RuntimeError(
            f"{func} takes {images.dtype} with parameters of {sorted(map(str, types))}"
        )


def begin() -> None:
    """Name the device and its autocast, once in a process."""
    torch.utils.backend_registration._setup_privateuseone_for_python_backend(
        rename=NAME, backend_module=_Backend()
    )
    _LIBRARIES.extend(_autocast())


class _Backend(backend_registration._DummyBackendModule):
    """What torch asks a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Of autocast."""
        return [torch.bfloat16]


# What is registered lasts as long as these.
_LIBRARIES: list[torch.library.Library] = []


def _autocast() -> Iterator[torch.library.Library]:
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
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.dtype in others else tensor

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys):
            own, named = tree_map_only(Tensor, convert, (args, kwargs))
            return func(*own, **named)

    return kernel


@contextmanager
def emulated() -> Iterator[Emulation]:
    """A machine with such a device; `begin` comes first."""
    lifted = torch._C._only_lift_cpu_tensors()
    # Else a tensor of numbers would be made on the device, which has no kernel for that.
    torch._C._set_only_lift_cpu_tensors(True)
    emulation = Emulation()
    _ENTERED.append(emulation)
    try:
        # The threads of the backward pass would not know of it.
        with emulation, torch.autograd.set_multithreading_enabled(False):
            yield emulation
    finally:
        _ENTERED.pop()
        torch._C._set_only_lift_cpu_tensors(lifted)
