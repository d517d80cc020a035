"""A search on disk: beginning it, and the refusal to mix two of them; torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.search.configs import SearchConfig
from nas.search.records import (
    DATA,
    SEARCH,
    is_search,
    read_config,
    read_data_facts,
)
from training.errors import LotteryError
from training.folders import LOCK, MANIFEST, Folder
from training.plain import to_plain
from training.storage import to_json


def open_search(root: Path, config: SearchConfig, data_facts: dict[str, Any]) -> Folder:
    """Begin a search, or take up the one that is there when it is the same, clearing up what killed processes left.

    Args:
        root: its directory, which the caller has locked.
        config: with its steps resolved.
        data_facts: fingerprint and counts.

    Raises:
        LotteryError: the directory holds another search (each differing field is shown), or something else.
    """
    folder = Folder(root)
    if is_search(root):
        folder.tidy()
        stored = read_config(root)
        if stored != config:
            raise LotteryError(_difference(root, stored, config))
        held = read_data_facts(root)["fingerprint"]
        if held != data_facts["fingerprint"]:
            raise LotteryError(
                f"{root} was begun with other data: fingerprint {held[:12]}, not "
                f"{data_facts['fingerprint'][:12]}; choose another --out."
            )
        return folder
    if root.is_dir() and any(not _just_begun(path.name) for path in root.iterdir()):
        raise LotteryError(f"{root} is not empty and is not a search; choose another --out.")
    folder.tidy()
    folder.write(DATA, to_json(data_facts))
    folder.write(SEARCH, to_json(to_plain(config)))
    return folder


def _just_begun(name: str) -> bool:
    """Whether a file may be what a process leaves that was killed before a search had its configuration."""
    return name in (LOCK, MANIFEST, DATA) or name.endswith(".tmp")


def _difference(root: Path, stored: SearchConfig, given: SearchConfig) -> str:
    before, now = _leaves(to_plain(stored)), _leaves(to_plain(given))
    fields = [
        f"{name} is {before.get(name)!r} there and {now.get(name)!r} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    return f"{root} holds another search: {'; '.join(fields)}. Choose another --out."


def _leaves(value: Any, where: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {where: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{where}.{key}" if where else key)
    return found
