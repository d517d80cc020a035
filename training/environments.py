"""What a folder was computed with: every environment that was at work in it, and what differs from the latest."""

from __future__ import annotations

from typing import Any

from training.folders import Folder
from training.storage import damaged, parse_json, to_json

ENVIRONMENT = "environment.json"
# What decides over the last bits of a number, beside the experiment and what each level's `execution.json` holds;
# `torch` stands among the versions.
_DECISIVE = ("torch", "device", "instructions", "threads", "products")


def read_environments(folder: Folder) -> list[dict[str, Any]]:
    """Every environment that was at work in a folder, the first one first; none where none was written.

    Raises:
        LotteryError: the file is damaged.
    """
    if not folder.holds(ENVIRONMENT):
        return []
    path = folder.path(ENVIRONMENT)
    found = parse_json(folder.read(ENVIRONMENT), path)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise damaged(path, "it is not a list of environments")
    return found


def library_before(folder: Folder) -> str:
    """What multiplied matrices when a folder was last worked in; "" where nothing says so.

    Raises:
        LotteryError: the file is damaged.
    """
    return next((str(one.get("products", "")) for one in read_environments(folder)[-1:]), "")


def note_environment(folder: Folder, now: dict[str, Any]) -> str:
    """Add the environment that is about to work in a folder, unless the latest is the same.

    Args:
        folder: locked by the caller.
        now: see `training.device.environment`.

    Returns:
        One sentence on what differs from the latest and decides over the last bits of numbers; "" where nothing does.
    """
    before = read_environments(folder)
    if before and before[-1] == now:
        return ""
    folder.write(ENVIRONMENT, to_json([*before, now]))
    if not before:
        return ""
    old, new = _decisive(before[-1]), _decisive(now)
    # What an older version did not write down is not known to differ.
    changes = [
        f"{name} was {old[name]} and is {new[name]}"
        for name in new
        if name in old and old[name] != new[name]
    ]
    if not changes:
        return ""
    return (
        f"{folder.root} goes on in another environment ({', '.join(changes)}): from here on its numbers may differ "
        "in rounding, and by what training makes of that, from those of an uninterrupted run."
    )


def _decisive(environment: dict[str, Any]) -> dict[str, Any]:
    values = {**environment, **environment.get("versions", {})}
    return {name: values[name] for name in _DECISIVE if name in values}
