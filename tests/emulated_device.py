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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from tests.emulated_autocast import autocast
from tests.emulated_operations import by_mask, check_batch_norm, kind_of

NAME = "emulated"
DEVICE = torch.device("privateuseone", 0)
_CPU = torch.device("cpu")
_ROOT = Path(__file__).parents[1]
# An environment may lie below the root too.
_PACKAGES = ("training", "nas", "lottery", "analysis")
_aten = torch.ops.aten


def _dispatch(cls: type, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    return _ENTERED[-1].carry_out(func, args, kwargs or {})


class EmulatedTensor(Tensor):
    """A tensor on `DEVICE`, with its values in one of the CPU's, `on_cpu`."""

    on_cpu: Tensor
    __torch_function__: Any = torch._C._disabled_torch_function_impl
    __torch_dispatch__: Any = classmethod(_dispatch)

    def __new__(cls, on_cpu: Tensor) -> EmulatedTensor:
        """A tensor in the memory of a plain one."""
        made: EmulatedTensor = Tensor._make_wrapper_subclass(
            cls,
            on_cpu.shape,
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=DEVICE,
        )
        made.on_cpu = on_cpu
        return made

    @property
    def data(self) -> Tensor:
        """The same values, apart from autograd."""
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        plain: Any = Tensor.data
        plain.__set__(self, other)
        self.on_cpu = _plain(other)

    def untyped_storage(self) -> torch.UntypedStorage:
        """Where the values are."""
        return self.on_cpu.untyped_storage()

    def tolist(self) -> Any:
        """The values as numbers."""
        return self.cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> EmulatedTensor:
        made: Any = EmulatedTensor(self.on_cpu.clone())
        made.requires_grad_(self.requires_grad)
        made._is_param = getattr(self, "_is_param", False)
        memo[id(self)] = made
        copied: EmulatedTensor = made
        return copied


def _plain(tensor: Tensor) -> Tensor:
    """A tensor of the CPU: the values of one of the device, and any other as it is."""
    return tensor.on_cpu if isinstance(tensor, EmulatedTensor) else tensor


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
        there = {id(t.on_cpu): t for t in tensors if isinstance(t, EmulatedTensor)}
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
        kind = kind_of(func)
        here = [t for t in tensors if not isinstance(t, EmulatedTensor)]
        if kind.copies:
            if here if asked is None else any(t.device.type != asked.type for t in tensors):
                self.waits[_asking()] += 1
        elif len(here) < len(tensors) and any(tensor.dim() for tensor in here):
            raise RuntimeError(f"{func} takes tensors of the device {NAME} and of the CPU")
        if kind.reshapes:
            raise NotImplementedError(f"{func} changes the shape of a tensor of the device {NAME}")
        if kind.reads or (kind.indexes and by_mask(args[1])):
            self.waits[_asking()] += 1
        if kind.is_batch_norm:
            check_batch_norm(func, args)
        if kind.never_repeats or (
            kind.repeats_if_told and torch.get_deterministic_debug_mode() != 2
        ):
            self.unrepeatable[f"{kind.name} in {_asking()}"] += 1


def _on_the_cpu(value: Any, tensors: list[Tensor]) -> Any:
    """An argument with values in the places of tensors of the device; every tensor is noted."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _plain(value)
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
    own = path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _PACKAGES
    return str(path.relative_to(_ROOT)) if own else ""


def begin() -> None:
    """Name the device and its autocast, once in a process."""
    torch.utils.backend_registration._setup_privateuseone_for_python_backend(
        rename=NAME, backend_module=_Backend()
    )
    _LIBRARIES.extend(autocast())


class _Backend(backend_registration._DummyBackendModule):
    """What torch asks a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Of autocast."""
        return [torch.bfloat16]


# What is registered lasts as long as these.
_LIBRARIES: list[torch.library.Library] = []


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
