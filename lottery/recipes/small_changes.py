"""What a small recipe changes of the full one, found by comparing the two; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from lottery.recipes.recipe import Config
from training.plain import to_plain

# Of a list that is longer, such as milestones after every epoch, number and ends are told.
_LONGEST_LIST = 4


def small_name(name: str) -> str:
    """What the small recipe of a recipe is called."""
    return f"{name}-small"


def source_of_small(full: Config, made: Config) -> str:
    """The source of a small recipe: what is otherwise in it, and where the rest is from.

    Args:
        full: the full recipe, with every default that the small one changes written out.
        made: the small one, likewise.
    """
    changes = "; ".join(differences(full, made))
    return (
        f"this project: {full.name}, to be tried in minutes, with {changes}. "
        f"{full.name} is from {full.source}"
    )


def differences(before: Config, after: Config) -> list[str]:
    """Each field that differs, as `--set` names it, with its new and its old value; name and source aside."""
    old = dict(_fields(to_plain(dataclasses.replace(before, name=after.name, source=after.source))))
    new = dict(_fields(to_plain(after)))
    return [
        f"{name} {_in_words(new.get(name))}"
        + (f" in place of {_in_words(old[name])}" if old.get(name) is not None else "")
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _fields(plain: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a configuration by their dotted names."""
    if not isinstance(plain, Mapping):
        yield name, plain
        return
    for key, item in plain.items():
        yield from _fields(item, f"{name}.{key}" if name else key)


def _in_words(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        items = [_in_words(item) for item in value]
        few = len(items) <= _LONGEST_LIST
        return (
            f"[{', '.join(items)}]" if few else f"[{items[0]} ... {items[-1]}, {len(items)} in all]"
        )
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
