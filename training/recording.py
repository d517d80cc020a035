"""A record of what a function of tensors does: its operations without the program that chose them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves
from torch.utils.weak import TensorWeakRef

_aten = torch.ops.aten
# Kinds of operations after which a recording does not hold all that was done.
_ESCAPING = {
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
    torch.Tag.inplace_view,
}
# Views that often show the whole of a tensor as it is.
_MERE_NAMES = (
    _aten.alias.default,
    _aten.detach.default,
    _aten.expand.default,
    _aten.permute.default,
    _aten.view.default,
)
# By these, values leave a tensor without an operation.
_READING = {Tensor.tolist, Tensor.numpy, Tensor.__array__}
_LISTS = (tuple, list)


@dataclass(frozen=True)
class Variable:
    """The place of a tensor in a recording."""

    number: int


@dataclass(frozen=True)
class Operation:
    """An operation with variables in the places of tensors, in lists of any depth."""

    target: OpOverload
    args: list[Any]
    kwargs: dict[str, Any]
    result: Any


@dataclass
class Recording:
    """Operations, and what they begin with and end in.

    Attributes:
        operations: in their order.
        inputs: the arguments.
        outputs: what is returned, flattened.
        structure: of what is returned.
        constants: tensors that stood elsewhere.
        is_whole: whether it holds all that was done: no value or shape came out of a tensor, on which the function may
            have acted, no tensor got another shape in place, and nothing was drawn from a generator.
        variables: of tensors, by their ids; what lives no more may have left its id to another one.
        count: of variables.
    """

    operations: list[Operation] = field(default_factory=list)
    inputs: list[Variable] = field(default_factory=list)
    outputs: list[Variable | None] = field(default_factory=list)
    structure: Any = None
    constants: dict[Variable, Tensor] = field(default_factory=dict)
    is_whole: bool = True
    variables: dict[int, tuple[TensorWeakRef, Variable]] = field(default_factory=dict)
    count: int = 0

    def is_like(self, other: Recording) -> bool:
        """Whether both are the same operations on the same constants."""
        return (
            self.is_whole
            and other.is_whole
            and not {*self.outputs} & {*self.inputs, *self.constants}
            and self.operations == other.operations
            and self.outputs == other.outputs
            and self.constants.keys() == other.constants.keys()
            and all(tensor is other.constants[v] for v, tensor in self.constants.items())
        )

    def new(self, tensor: Tensor) -> Variable:
        """A variable for a tensor."""
        variable = Variable(self.count)
        self.count += 1
        self.name(tensor, variable)
        return variable

    def name(self, tensor: Tensor, variable: Variable) -> None:
        """Let a tensor have a variable."""
        self.variables[id(tensor)] = TensorWeakRef(tensor), variable

    def of(self, tensor: Tensor) -> Variable:
        """The variable of a tensor, a constant where no operation made it."""
        known = self.variables.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        variable = self.new(tensor)
        self.constants[variable] = tensor
        return variable

    def note(self, target: OpOverload, args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """Write an operation down, and what came of it."""
        before = replaced(args, Tensor, self.of), replaced(dict(kwargs), Tensor, self.of)
        after = replaced(result, Tensor, self.new)
        self.operations.append(Operation(target, *before, after))
        tensors = all(leaf is None or isinstance(leaf, Variable) for leaf in leaves_of(after))
        self.is_whole &= tensors and not (
            _escapes(target) or _indexes_by_values(target, args) or _draws(target, args, kwargs)
        )


@functools.cache
def _escapes(target: OpOverload) -> bool:
    """Whether a recording never holds all that an operation did."""
    # With an index of numbers it gives as many elements as there are numbers.
    judged_by_arguments = target is _aten.index.Tensor
    return not judged_by_arguments and bool(_ESCAPING & {*target.tags})


def _indexes_by_values(target: OpOverload, args: Any) -> bool:
    """Whether the values of its arguments decide how many elements an operation gives."""
    return target is _aten.index.Tensor and any(
        i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
    )


def _draws(target: OpOverload, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether an operation draws from a generator, whose state a recording does not hold."""
    if torch.Tag.nondeterministic_seeded not in target.tags:
        return False
    names = [argument.name for argument in target._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    # Attention draws nothing without dropout, which is its default.
    return "dropout_p" not in names or given.get("dropout_p", 0.0) > 0.0


def replaced(value: Any, kind: type, by: Callable[[Any], Any]) -> Any:
    """Lists, tuples and dicts with what is of a kind replaced in them."""
    if isinstance(value, kind):
        return by(value)
    if isinstance(value, _LISTS):
        return [replaced(item, kind, by) for item in value]
    if isinstance(value, dict):
        return {key: replaced(item, kind, by) for key, item in value.items()}
    return value


def leaves_of(value: Any) -> Iterator[Any]:
    """What stands in lists, tuples and the values of dicts, in order."""
    if isinstance(value, _LISTS):
        for item in value:
            yield from leaves_of(item)
    elif isinstance(value, dict):
        yield from leaves_of([*value.values()])
    else:
        yield value


def record(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, Recording]:
    """What a function returns, and how it came to that."""
    recording = Recording()
    recording.inputs = [recording.new(tensor) for tensor in tree_leaves(inputs)]
    with _Escapes(recording), _Recorder(recording):
        outputs = function(*inputs)
    leaves, recording.structure = tree_flatten(outputs)
    recording.outputs = [leaf if leaf is None else recording.of(leaf) for leaf in leaves]
    return outputs, recording


class _Escapes(TorchFunctionMode):
    """Notices values that leave a tensor without an operation."""

    def __init__(self, recording: Recording) -> None:
        TorchFunctionMode.__init__(self)
        self.recording = recording

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call it, and note whether it is such a one."""
        self.recording.is_whole &= func not in _READING
        return func(*args, **(kwargs or {}))


class Observed(TorchDispatchMode):
    """Changes nothing, but has torch take the same kernels as while it is recorded."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and skipping means loading the compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out."""
        return func(*args, **(kwargs or {}))


class _Recorder(Observed):
    """Writes down every operation that is carried out while it is entered."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry an operation out and write it down, unless it only gives another name to a tensor."""
        result = func(*args, **(kwargs or {}))
        if func in _MERE_NAMES and _is_alike(result, args[0]):
            self.recording.name(result, self.recording.of(args[0]))
        else:
            self.recording.note(func, args, kwargs or {}, result)
        return result


def _is_alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.stride() == other.stride()
