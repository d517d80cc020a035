"""Configurations to and from plain values, TOML and JSON, with every field checked; torch-free.

A field that may be off is typed `X | None` and is None by default, so that leaving it out of a TOML file means off.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from training.errors import LotteryError, shown
from training.steps import Steps
from training.storage import read_file

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
    if kind is Steps:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return _steps(_expect(value, str, where, "steps such as 2ep or 500it"), where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    if typing.get_origin(kind) is not None:
        return _generic(typing.get_origin(kind), typing.get_args(kind), value, where)
    return _scalar(kind, value, where)


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
    if origin is dict:
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
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {_join(where, near[0])}?" if near else "."
            raise LotteryError(
                f"There is no field {shown(_join(where, key))}{hint} "
                f"Known{f' in {where}' if where else ''}: {', '.join(fields)}."
            )
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise LotteryError(f"The field {_join(where, name)!r} is missing; give it a value.")
    arguments = {key: _convert(hints[key], item, _join(where, key)) for key, item in table.items()}
    try:
        return kind(**arguments)
    except LotteryError as error:  # of `require`: it begins with the field's own name
        raise LotteryError(_join(where, str(error)), error.exit_code) from None


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    tuple: "a list",
}


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


def override(config: T, *assignments: str) -> T:
    """A configuration with some fields changed, checked once all of them are: one may need another.

    Args:
        config: the dataclass.
        assignments: such as `training.steps=2000` or `network.size.channels=8`, in their order; a value is TOML, or
            bare text.

    Raises:
        LotteryError: no `=`, an unknown field, or a value that does not fit.
    """
    plain = to_plain(config)
    for assignment in assignments:
        _assign(plain, assignment)
    return from_plain(type(config), plain)


def _assign(plain: dict[str, Any], assignment: str) -> None:
    """Change one field of plain values, in place."""
    path, sign, text = assignment.partition("=")
    if not sign or not path.strip():
        raise LotteryError(
            f"{shown(assignment)} sets nothing; write FIELD=VALUE, such as training.steps=2000."
        )
    *parents, last = path.strip().split(".")
    table = plain
    for depth, name in enumerate(parents):
        inner = table.get(name)
        if not isinstance(inner, dict):
            parent = ".".join(parents[:depth])
            known = [key for key, item in table.items() if isinstance(item, dict)]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {_join(parent, near[0])}?" if near else "."
            raise LotteryError(
                f"There is no field {shown('.'.join([*parents[:depth], name]))} with fields of its own"
                f"{hint} Known: {', '.join(known) or 'none'}."
            )
        table = inner
    table[last] = _value(path.strip(), text.strip())


def _value(path: str, text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    try:
        return _parsed(f"value = {text}", path)["value"]
    except tomllib.TOMLDecodeError:
        return text


def _parsed(text: str, source: str) -> dict[str, Any]:
    """What TOML text says.

    Raises:
        LotteryError: it goes beyond what Python reads; `source` is named.
        TOMLDecodeError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise LotteryError(f"{source} is nested too deep to be read; give a plain value.") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise LotteryError(f"{source} holds a number of thousands of digits; shorten it.") from None


def to_toml(value: Any) -> str:
    """A configuration as TOML text that `from_toml` reads back; fields that are off are left out."""
    lines: list[str] = []
    _tables(to_plain(value), "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _tables(table: Mapping[str, Any], where: str, lines: list[str]) -> None:
    if where:
        lines.extend(["", f"[{where}]"])
    for key, item in table.items():
        if item is not None and not isinstance(item, Mapping):
            lines.append(f"{_key(key)} = {_toml_value(item)}")
    for key, item in table.items():
        if isinstance(item, Mapping) and item:
            _tables(item, f"{where}.{_key(key)}" if where else _key(key), lines)


def _toml_value(item: Any) -> str:
    # JSON writes these values as TOML does, but for the delete character, which TOML wants escaped.
    return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def from_toml(kind: type[T], text: str, source: str) -> T:
    """A configuration from TOML text.

    Raises:
        LotteryError: not TOML, or `from_plain` refuses it; `source` is named.
    """
    try:
        plain = _parsed(text, source)
    except tomllib.TOMLDecodeError as error:
        raise LotteryError(f"{source} is not valid TOML: {error}.") from None
    try:
        return from_plain(kind, plain)
    except LotteryError as error:
        raise LotteryError(f"{source}: {error}", error.exit_code) from None


def from_toml_file(kind: type[T], path: Path) -> T:
    """A configuration from a TOML file in UTF-8, with or without a byte order mark.

    Raises:
        LotteryError: it can't be read, or `from_toml` refuses it.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LotteryError(
            f"{path} is not UTF-8 at byte {error.start + 1:,}; save it as plain text in UTF-8."
        ) from None
    return from_toml(kind, text, str(path))
