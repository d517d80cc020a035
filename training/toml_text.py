"""Configurations as TOML text, and single fields of them set by text; torch-free."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from training.errors import LotteryError, shown
from training.plain import from_plain, to_plain
from training.storage import read_file

T = TypeVar("T")


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
            known = [key for key, item in table.items() if isinstance(item, dict)]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {'.'.join([*parents[:depth], near[0]])}?" if near else "."
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


def to_toml(value: Any, defaults: Mapping[str, Any] | None = None) -> str:
    """A configuration as TOML text with every field that can be set, which `from_toml` reads back.

    Args:
        value: the configuration. Of a field that is off a comment says that it is not set.
        defaults: of the keys that open tables, such as sizes, may have, as nested plain values; a key that is missing
            stands there as a comment.
    """
    lines: list[str] = []
    _tables(to_plain(value), defaults or {}, "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _tables(
    table: Mapping[str, Any], defaults: Mapping[str, Any], where: str, lines: list[str]
) -> None:
    """Add the lines of a table, and of those within it."""
    if where:
        lines.extend(["", f"[{where}]"])
    for key, item in table.items():
        if item is None:
            lines.append(f"# {_key(key)}: not set")
        elif not isinstance(item, Mapping):
            lines.append(f"{_key(key)} = {_toml_value(item)}")
    for key, item in defaults.items():
        if key not in table:
            lines.append(f"# {_key(key)} = {_toml_value(item)}")
    for key, item in table.items():
        if isinstance(item, Mapping):
            inner = f"{where}.{_key(key)}" if where else _key(key)
            _tables(item, defaults.get(key, {}), inner, lines)


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
