"""Configurations to and from plain values, as JSON and TOML hold them, with every field checked; torch-free.

A field that may be off is typed `X | None` and is None by default, so that leaving it out of a TOML file means off.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from training.errors import LotteryError, shown
from training.steps import Steps

T = TypeVar("T")
# Tables and lists within one another, more than any configuration has.
_DEEPEST = 12


def to_plain(value: Any) -> Any:
    """A configuration as plain values, as JSON can hold them: dataclasses as objects, steps as text."""
    if isinstance(value, Steps):
        return str(value)
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def resolved(value: T, steps_per_epoch: int) -> T:
    """The same configuration with every number of steps in iterations, so that equal meanings compare equal.

    Args:
        value: a configuration, or a value of one of its fields.
        steps_per_epoch: of the data that all of its steps are counted on.
    """
    return cast("T", _resolved(value, steps_per_epoch))


def _resolved(value: Any, steps_per_epoch: int) -> Any:
    if isinstance(value, Steps):
        return value.resolved(steps_per_epoch)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        parts = {name: _resolved(getattr(value, name), steps_per_epoch) for name in names}
        return dataclasses.replace(value, **parts)
    if isinstance(value, Mapping):
        return {key: _resolved(item, steps_per_epoch) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_resolved(item, steps_per_epoch) for item in value)
    return value


def from_plain(kind: type[T], value: Any, where: str = "") -> T:
    """A configuration from plain values.

    Args:
        kind: the dataclass.
        value: as `to_plain` gives it; fields with a default may be missing.
        where: the dotted name of the field that holds it, for messages.

    Raises:
        LotteryError: an unknown, missing, ill-typed, non-finite or out-of-range field, named with its dotted path.
    """
    _check_bounds(value, where)
    result: T = _convert(kind, value, where)
    return result


def _check_bounds(value: Any, where: str) -> None:
    """Refuse whole numbers beyond 64 bits, and what is nested deeper than any configuration."""
    waiting = [(where, value, 0)]
    while waiting:
        name, item, depth = waiting.pop()
        if isinstance(item, dict | list | tuple):
            inner = item.items() if isinstance(item, dict) else enumerate(item)
            waiting.extend((_join(name, str(key)), one, depth + 1) for key, one in inner)
        if depth > _DEEPEST:
            raise LotteryError(
                f"{shown(name)} is nested deeper than any field; give a plain value."
            )
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise LotteryError(f"{name} is out of range; whole numbers have up to 64 bits.")


def _convert(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise LotteryError(f"{where} = {value} is not finite; give a finite number.")
    if kind in _SCALARS:
        return _scalar(kind, value, where)
    if kind is Steps:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return _steps(_expect(value, str, where, "steps such as 2ep or 500it"), where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    return _generic(typing.get_origin(kind), typing.get_args(kind), value, where)


def _steps(text: str, where: str) -> Steps:
    try:
        return Steps.parse(text)
    except LotteryError as error:
        raise LotteryError(f"{where}: {error}", error.exit_code) from None


def _generic(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if origin is Literal:
        return _choice(arguments, value, where)
    if origin is tuple:
        example = {str: '["a", "b"]', int: "[0, 1]"}.get(arguments[0], "[...]")
        items = _expect(value, (list, tuple), where, f"a list such as {example}")
        return tuple(_convert(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(items))
    if origin in (dict, Mapping):
        table = _expect(value, dict, where, "a table")
        return {key: _convert(arguments[1], v, f"{where}.{key}") for key, v in table.items()}
    return _union(arguments, value, where)


def _choice(possible: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in possible:
        near = difflib.get_close_matches(str(value), possible, n=1)
        hint = f"; did you mean {near[0]}?" if near else ";"
        words = ", ".join(map(str, possible))
        raise LotteryError(f"{where} = {shown(value)} is not possible{hint} possible: {words}.")
    return value


def _union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    """The first kind that the value converts to; a list's own fault is told, as it may be an item's."""
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    for kind in kinds:
        try:
            return _convert(kind, value, where)
        except LotteryError:
            if len(kinds) == 1 or (isinstance(value, list) and typing.get_origin(kind) is tuple):
                raise
    words = " or ".join(_WORDS[typing.get_origin(kind) or kind] for kind in kinds)
    raise LotteryError(f"{where} = {shown(value)} is not {words}.")


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    table = _expect(value, dict, where, "a table of fields")
    fields, required = _fields_of(kind)
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {_join(where, near[0])}?" if near else "."
            raise LotteryError(
                f"There is no field {shown(_join(where, key))}{hint} "
                f"Known{f' in {where}' if where else ''}: {', '.join(fields)}."
            )
    for name in required:
        if name not in table:
            raise LotteryError(f"The field {_join(where, name)!r} is missing; give it a value.")
    arguments = {key: _convert(fields[key], item, _join(where, key)) for key, item in table.items()}
    try:
        return kind(**arguments)
    except LotteryError as error:  # of `require`: it begins with the field's own name
        raise LotteryError(_join(where, str(error)), error.exit_code) from None


@functools.cache
def _fields_of(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """The type of each field of a dataclass, and the names of those without a default.

    They are kept, as thousands of rows of a table are of one kind.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = [f.name for f in fields if f.default is missing and f.default_factory is missing]
    return {f.name: hints[f.name] for f in fields}, required


_SCALARS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_WORDS = {**_SCALARS, tuple: "a list"}


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) and kind is not bool:
        raise LotteryError(f"{where} = {shown(value)} is not {_WORDS[kind]}.")
    return _expect(value, kind, where, _WORDS[kind])


def _expect(value: Any, kind: Any, where: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise LotteryError(f"{where or 'the configuration'} = {shown(value)} is not {words}.")
    return value


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
