"""What a network holds besides its parameters and buffers, wherever it stands."""

from __future__ import annotations

import functools
import itertools
import random
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.named_values import members, named_values

# Looked at as modules, parameters and buffers, or no state; torch's recurrent layers repeat their weights, or what is
# computed of them, in the last.
_OWN_OF_MODULES = ("_parameters", "_buffers", "_modules", "training", "_flat_weights")
_TEXTS = (bool, int, float, complex, str, bytes, types.NoneType, np.generic)
LENGTH = "len"


def attributes(network: nn.Module) -> dict[str, str | Tensor]:
    """Numbers, texts, arrays and tensors that are neither parameter nor buffer of a network.

    They are found in attributes of modules and of their classes, in lists, tuples, dicts and sets, in objects of any
    class, in what functions enclose or name beside them, and the functions and objects that are named there in turn,
    in generators of random numbers and in modules that are not registered. Libraries are not looked into.

    Returns:
        By where it stands, such as `0.counter.calls`: tensors as they are, anything else as text. A container has its
        length too, as `len(0.outputs)`.
    """
    registered = {id(t) for t in (*network.parameters(), *network.buffers())}
    # The objects stay alive while their ids are known: another one could have the id of one that is gone.
    seen: dict[int, object] = {id(module): module for module in network.modules()}
    found: dict[str, Any] = {}
    for name, module in network.named_modules():
        inside = f"{name}." if name else ""
        own = {key: value for key, value in vars(module).items() if key not in _OWN_OF_MODULES}
        for key, value in (dict(members(type(module), type(module).__module__)) | own).items():
            for path, leaf in _leaves(f"{inside}{key}", value, seen):
                found[path] = leaf
    return {path: leaf for path, leaf in found.items() if id(leaf) not in registered}


def _leaves(path: str, value: Any, seen: dict[int, object]) -> Iterator[tuple[str, str | Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, _TEXTS):
        yield path, repr(value)
    elif isinstance(value, np.ndarray):
        yield path, f"{value.dtype} {value.shape} {value.tobytes()!r}"
    elif isinstance(value, type | types.ModuleType) or id(value) in seen:
        return
    else:
        seen[id(value)] = value
        if isinstance(value, Mapping | list | tuple | deque):
            yield f"{LENGTH}({path})", str(len(value))
        for inside, part in _parts(path, value):
            yield from _leaves(inside, part, seen)


def _parts(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    """What an object holds, and where."""
    if isinstance(value, Mapping):
        return [(f"{path}[{key!r}]", item) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    for kind, state in _STATES.items():
        if isinstance(value, kind):
            return [(path, state(value))]
    fields = _enclosed(value) if isinstance(value, types.FunctionType) else _fields(value)
    return [(f"{path}.{key}", item) for key, item in fields]


# Kinds of objects that hold something elsewhere than in attributes -> all of it.
_STATES: dict[type, Callable[[Any], Any]] = {
    set: lambda value: repr(sorted(map(repr, value))),
    frozenset: lambda value: repr(sorted(map(repr, value))),
    types.MethodType: lambda method: (method.__func__, method.__self__),
    functools.partial: lambda partial: (partial.func, partial.args, partial.keywords),
    itertools.count: repr,
    random.Random: lambda generator: repr(generator.getstate()),
    np.random.Generator: lambda generator: generator.bit_generator.state,
    np.random.RandomState: lambda generator: generator.get_state(legacy=False),
    torch.Generator: torch.Generator.get_state,
}


def _enclosed(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables that a function has from where it was written, and those of files that it names."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        # A cell is empty until its variable has a value.
        if cell != types.CellType():
            yield name, cell.cell_contents
    yield from named_values(function)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, whether it keeps them in a dict or in slots; a module's tensors and modules too.

    And what its class holds, if that is no library's.
    """
    yield from members(type(value))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                yield name, getattr(value, name, None)
    if isinstance(value, nn.Module):
        yield from value.named_parameters(recurse=False)
        yield from value.named_buffers(recurse=False)
        yield from value.named_children()
    if "__dict__" in dir(type(value)):
        yield from ((k, item) for k, item in vars(value).items() if k not in _OWN_OF_MODULES)
