"""What functions name beside them: the variables of their file, and of their own other files, but not of libraries."""

from __future__ import annotations

import dis
import functools
import itertools
import random
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# What is called there keeps caches and counts of its own, from which no result follows.
_LIBRARIES = ("torch", "torchvision", "numpy", "training", "nas", "lottery", "analysis")
_INSTALLED = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
# Of whichever library's kind these are, what they hold is whose file they stand in.
_CONTAINERS = (
    *(bool, int, float, complex, str, bytes, types.NoneType, list, tuple, dict, set, frozenset),
    *(deque, types.SimpleNamespace, np.generic, np.ndarray, Tensor, nn.Module),
    *(itertools.count, random.Random, np.random.Generator, np.random.RandomState, torch.Generator),
)


def named_values(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The global variables that a function loads, and what it takes of modules and classes that it names.

    Args:
        function: of any file.

    Yields:
        How it names each, and its value; what belongs to a library is left out.
    """
    file = str(function.__globals__.get("__name__"))
    for path in _loaded(function.__code__):
        name, *attributes = path
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        while attributes and isinstance(value, types.ModuleType) and is_own(value.__name__, file):
            name = f"{name}.{attributes[0]}"
            value = vars(value).get(attributes.pop(0))
        if isinstance(value, type):
            yield from ((f"{name}.{key}", item) for key, item in members(value, file))
        elif _is_held(value, file):
            yield name, value


def members(kind: type, beside: str = "") -> list[tuple[str, Any]]:
    """What a class and those above it hold, if they are no library's: objects, and functions of any kind.

    Args:
        kind: the class.
        beside: the name of a module whose package is no library either, wherever it is installed.
    """
    own = [one for one in reversed(kind.__mro__) if is_own(one.__module__, beside)]
    return [
        (key, found)
        for one in own
        for key, value in vars(one).items()
        if isinstance(found := _function(value), types.FunctionType)
        or (_is_held(found, beside) and not key.startswith("__"))
    ]


def _function(value: Any) -> Any:
    """The function behind a method or property of a class."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return value.func if isinstance(value, functools.cached_property) else value


def _is_held(value: Any, beside: str) -> bool:
    return isinstance(value, _CONTAINERS) or is_own(_origin(value), beside)


def _origin(value: Any) -> str:
    """The module in which a function, or the kind of an object, was written."""
    while isinstance(value, types.MethodType | functools.partial):
        value = value.__func__ if isinstance(value, types.MethodType) else value.func
    return str(
        value.__module__ if isinstance(value, types.FunctionType) else type(value).__module__
    )


def is_own(module: str, beside: str) -> bool:
    """Whether a module is the user's: in one package with that which names it, or not installed."""
    package = module.partition(".")[0]
    if package in _LIBRARIES:
        return False
    if package == beside.partition(".")[0]:
        return True
    path = getattr(sys.modules.get(module), "__file__", None)
    return path is not None and not any(Path(path).is_relative_to(own) for own in _INSTALLED)


@functools.cache
def _loaded(code: types.CodeType) -> list[tuple[str, ...]]:
    """The global variables that code loads, also in functions inside it, each with the attributes taken of it."""
    found: list[list[str]] = []
    inside = False
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            found.append([instruction.argval])
            inside = True
        elif inside and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            found[-1].append(instruction.argval)
        # To add to an attribute in place, its object is copied first.
        elif instruction.opname not in ("COPY", "EXTENDED_ARG"):
            inside = False
    nested = [_loaded(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return [*map(tuple, found), *(path for paths in nested for path in paths)]
