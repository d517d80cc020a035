"""What one call of a function of tensors did: its operations, without the program that chose them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves
from torch.utils.weak import TensorWeakRef

from training.capturable import READING, operation_obstacle, value_obstacle

_aten = torch.ops.aten
# Views that often show the whole of a tensor as it is.
_VIEWS = (
    _aten.alias.default,
    _aten.detach.default,
    _aten.expand.default,
    _aten.permute.default,
    _aten.view.default,
)
_LISTS = (tuple, list)


@dataclass(frozen=True)
class Slot:
    """The place of a tensor in a capture."""

    number: int


@dataclass(frozen=True)
class Operation:
    """An operation with slots in the places of tensors, in lists of any depth."""

    target: Any
    args: list[Any]
    kwargs: dict[str, Any]
    result: Any

    def arguments(self) -> list[Any]:
        """All of them, in order."""
        return [*self.args, *self.kwargs.values()]


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Operations, and what they begin with and end in.

    Attributes:
        operations: in their order.
        inputs: the slots of the arguments, flattened.
        outputs: what is returned, flattened.
        structure: of what is returned.
        constants: tensors that stood elsewhere, such as weights.
        obstacle: the first reason for which this does not hold all that was done, such as a value or a shape that came
            out of a tensor, on which the function may have acted; empty if it does.
    """

    operations: list[Operation]
    inputs: list[Slot]
    outputs: list[Slot | None]
    structure: TreeSpec
    constants: Mapping[Slot, Tensor]
    obstacle: str

    def is_like(self, other: Capture) -> bool:
        """Whether both hold all that was done, and that is the same operations on the same constants."""
        return (
            not self.obstacle
            and not other.obstacle
            and not {*self.outputs} & {*self.inputs, *self.constants}
            and self.operations == other.operations
            and self.outputs == other.outputs
            and self.structure == other.structure
            and self.constants.keys() == other.constants.keys()
            and all(tensor is other.constants[s] for s, tensor in self.constants.items())
        )


class _Log:
    """A capture while it is written."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.operations: list[Operation] = []
        self.constants: dict[Slot, Tensor] = {}
        self.obstacle = ""
        self._numbers = itertools.count()
        # By the ids of tensors; what lives no more may have left its id to another one.
        self._slots: dict[int, tuple[TensorWeakRef, Slot]] = {}
        self.inputs = [self.new(tensor) for tensor in inputs]
        if len({id(tensor) for tensor in inputs}) < len(inputs):
            self.obstruct("two arguments are one tensor")

    def obstruct(self, why: str) -> None:
        """Note why a replay would not do all that was done; empty if it would."""
        self.obstacle = self.obstacle or why

    def new(self, tensor: Tensor) -> Slot:
        """A slot for a tensor."""
        slot = Slot(next(self._numbers))
        self.obstruct(value_obstacle(tensor))
        self.alias(tensor, slot)
        return slot

    def alias(self, tensor: Tensor, slot: Slot) -> None:
        """Let a tensor have a slot."""
        self._slots[id(tensor)] = TensorWeakRef(tensor), slot

    def of(self, tensor: Tensor) -> Slot:
        """The slot of a tensor, a constant where no operation made it."""
        known = self._slots.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        slot = self.new(tensor)
        self.constants[slot] = tensor
        return slot

    def write(self, target: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Write an operation down, and what came of it."""
        self.obstruct(operation_obstacle(target, args, kwargs))
        before = self._read(args), {key: self._read(value) for key, value in kwargs.items()}
        self.operations.append(Operation(target, *before, self._made(result)))

    def _read(self, value: Any) -> Any:
        """An argument with slots for its tensors."""
        if isinstance(value, Tensor):
            return self.of(value)
        if isinstance(value, _LISTS):
            return [self._read(item) for item in value]
        self.obstruct(value_obstacle(value))
        return value

    def _made(self, result: Any) -> Any:
        """A result with slots for its tensors."""
        if isinstance(result, Tensor):
            return self.new(result)
        if isinstance(result, _LISTS):
            return [self._made(item) for item in result]
        self.obstruct("" if result is None else f"an operation gives a {type(result).__name__}")
        return result


def slots_of(value: Any) -> Iterator[Slot]:
    """The slots in an argument or a result, in order."""
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from slots_of(item)


def capture(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, Capture]:
    """What a function returns, and how it came to that.

    Args:
        function: is called once.
        inputs: its arguments, tensors in tuples or lists of any depth.
    """
    log = _Log(tree_leaves(inputs))
    with _Reading(log), _Capturing(log):
        result = function(*inputs)
    leaves, structure = tree_flatten(result)
    outputs = [leaf if leaf is None else log.of(leaf) for leaf in leaves]
    return result, Capture(
        operations=log.operations,
        inputs=log.inputs,
        outputs=outputs,
        structure=structure,
        constants=log.constants,
        obstacle=log.obstacle,
    )


class _Reading(TorchFunctionMode):
    """Notices values that leave a tensor without an operation."""

    def __init__(self, log: _Log) -> None:
        TorchFunctionMode.__init__(self)
        self.log = log

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call it, and note whether it is such a one."""
        if func in READING:
            self.log.obstruct(f"{func} reads values")
        return func(*args, **(kwargs or {}))


class Observed(TorchDispatchMode):
    """Changes nothing, but has torch take the same kernels as while it is captured."""

    # Else calling one while this is entered is an error.
    supports_higher_order_operators = True

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping means loading the compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out."""
        return func(*args, **(kwargs or {}))


class _Capturing(Observed):
    """Writes down every operation that is carried out while it is entered."""

    def __init__(self, log: _Log) -> None:
        super().__init__()
        self.log = log

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out and write it down, unless it only gives another name to a tensor."""
        result = func(*args, **(kwargs or {}))
        if func in _VIEWS and _is_alike(result, args[0]):
            self.log.alias(result, self.log.of(args[0]))
        else:
            self.log.write(func, args, kwargs or {}, result)
        return result


def _is_alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.stride() == other.stride()
