"""What a capture can hold: operations and values that do the same again when they are replayed.

Anything of another kind, also what a later torch adds, is an obstacle: the function is then called at every step.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

_aten = torch.ops.aten
# Torch's own, oneDNN's and ours. What those of other libraries draw, count or change, they need not say.
_NAMESPACES = ("aten", "mkldnn", "nas")
_DRAWS = "draws from a generator"
# By torch's own tags: what an operation does that a capture does not hold.
_ESCAPES = {
    torch.Tag.data_dependent_output: "gives a number that a function may act on",
    torch.Tag.dynamic_output_shape: "gives as many elements as values decide",
    torch.Tag.inplace_view: "gives a tensor another shape in place",
    torch.Tag.nondeterministic_seeded: _DRAWS,
}
_TENSORS = (Tensor, nn.Parameter)
_LITERALS = {
    *(types.NoneType, bool, int, float, complex, str),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
}
# By these, values leave a tensor without an operation.
READING = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}


def operation_obstacle(target: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Why an operation with such arguments can not be replayed; empty if it can."""
    if target is _aten.index.Tensor:
        # With an index of numbers it gives as many elements as there are numbers.
        by_mask = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        return f"{target} gives as many elements as a mask keeps" if by_mask else ""
    found = _escape(target)
    return "" if found.endswith(_DRAWS) and _drops_nothing(target, args, kwargs) else found


def value_obstacle(value: object) -> str:
    """Why an argument can not be replayed; empty if it can."""
    if type(value) in _LITERALS:
        return ""
    if not isinstance(value, Tensor) or type(value) not in _TENSORS:
        return f"there is a {type(value).__name__}"
    # oneDNN orders packed matrices in a layout of its own.
    is_known = value.layout is torch.strided or value.is_mkldnn
    return "" if is_known else f"there is a tensor in the layout {value.layout}"


@functools.cache
def _escape(target: object) -> str:
    """Why an operation can not be replayed, whatever its arguments; empty if that does not follow from what it is."""
    if not isinstance(target, OpOverload) or target.namespace not in _NAMESPACES:
        return f"{target} is none of torch's own operations"
    found = [what for tag, what in _ESCAPES.items() if tag in target.tags]
    return f"{target} {found[0]}" if found else ""


def _drops_nothing(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether it is attention without dropout, which is its default."""
    names = [argument.name for argument in target._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return "dropout_p" in names and given.get("dropout_p", 0.0) == 0.0
