"""What a small recipe changes of the full one, found by comparing the two; torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lottery.recipes.recipe import Config
from training.plain import to_plain

# Of a longer list, such as milestones after every epoch, the ends and the number are told.
_LONGEST_LIST = 5


def small_name(name: str) -> str:
    """What the small recipe of a recipe is called."""
    return f"{name}-small"


def source_of_small(full: Config, small: Config) -> str:
    """The source of a small recipe: what is otherwise in it, and where the rest is from.

    Args:
        full: the full recipe, with every default that the small one may change written out.
        small: the small one, likewise, its source still that of the full one.
    """
    before = {**to_plain(full), "name": small.name}
    changes = "; ".join(differences(before, to_plain(small)))
    return f"this project: {full.name}, to be tried in minutes, with {changes}. {full.name} is from {full.source}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In what two configurations differ, as plain values: a text for each table, of its fields with both values.

    >>> differences({"levels": 9, "data": {"train": 5, "flip": 1}}, {"levels": 2, "data": {"train": 3, "test": 1}})
    ['levels 2 in place of 9', 'data: train 3 in place of 5, flip none in place of 1, test 1']
    """
    old, new = dict(_fields(before)), dict(_fields(after))
    tables: dict[str, list[str]] = {}
    for table, field in {**old, **new}:
        was, now = old.get((table, field)), new.get((table, field))
        if was != now:
            replaced = "" if was is None else f" in place of {_in_words(was)}"
            tables.setdefault(table, []).append(f"{field} {_in_words(now)}{replaced}")
    return [
        f"{table}: {', '.join(told)}" if table else "; ".join(told)
        for table, told in tables.items()
    ]


def _fields(plain: Mapping[str, Any], table: str = "") -> Iterator[tuple[tuple[str, str], Any]]:
    """Every value that is no table itself, by the dotted name of its table and its own."""
    for name, value in plain.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{table}.{name}" if table else name)
        else:
            yield (table, name), value


def _in_words(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        items = [_in_words(item) for item in value]
        if len(items) > _LONGEST_LIST:
            items = [f"{items[0]} ... {items[-1]}", f"{len(items)} in all"]
        return f"[{', '.join(items)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
