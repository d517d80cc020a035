"""Going on in a folder, or beginning in it: the refusal to mix what is there with anything else; torch-free."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from training.errors import LotteryError
from training.folders import LOCK, MANIFEST
from training.plain import to_plain


def require_same(root: Path, what: str, stored: Any, given: Any) -> None:
    """Refuse to go on in a folder with another configuration than the one that is stored there.

    Args:
        root: the folder.
        what: "experiment" or "search".
        stored: the configuration, a dataclass.
        given: likewise.

    Raises:
        LotteryError: they differ; each differing field is shown.
    """
    if stored == given:
        return
    before, now = _leaves(to_plain(stored)), _leaves(to_plain(given))
    fields = [
        f"{name} is {before.get(name)!r} there and {now.get(name)!r} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    raise LotteryError(f"{root} holds another {what}: {'; '.join(fields)}. Choose another --out.")


def _leaves(value: Any, where: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {where: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{where}.{key}" if where else key)
    return found


def require_same_data(root: Path, stored: str, given: str) -> None:
    """Refuse to go on in a folder with data of another fingerprint.

    Raises:
        LotteryError: the fingerprints differ.
    """
    if stored != given:
        raise LotteryError(
            f"{root} was begun with other data: fingerprint {stored[:12]}, not {given[:12]}; choose another --out."
        )


def require_free(root: Path, what: str, first: Collection[str]) -> None:
    """Refuse to begin in a folder that holds more than what a process leaves that was killed while it began there.

    Args:
        root: the folder.
        what: "run" or "search".
        first: the files that are written before the folder is one.

    Raises:
        LotteryError: there is something else in it.
    """
    begun = {LOCK, MANIFEST, *first}
    if root.is_dir() and any(
        path.name not in begun and path.suffix != ".tmp" for path in root.iterdir()
    ):
        raise LotteryError(f"{root} is not empty and is not a {what}; choose another --out.")
