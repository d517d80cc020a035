"""A search on disk: beginning it, and the refusal to mix two of them; torch-free."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from nas.search.configs import SearchConfig
from nas.search.records import DATA, SEARCH, is_search, read_config, read_data_facts
from training.folders import Folder
from training.plain import to_plain
from training.reopening import require_free, require_same, require_same_data
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
        # The text of the source may be mended without making another search.
        require_same(root, "search", stored, dataclasses.replace(config, source=stored.source))
        require_same_data(root, read_data_facts(root)["fingerprint"], data_facts["fingerprint"])
        return folder
    require_free(root, "search", [DATA])
    folder.tidy()
    folder.write(DATA, to_json(data_facts))
    folder.write(SEARCH, to_json(to_plain(config)))
    return folder
