"""Everything that is found out about a data set by reading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.configs import DataConfig
from training.datasets.catalog import data_entry, data_options, load_data
from training.datasets.checks import file_sums


def data_description(config: DataConfig, root: Path | None) -> dict[str, Any]:
    """Counts, labels, copies, baselines and sums of a data set, as plain JSON values.

    Args:
        config: its name and options.
        root: the folder of data files, or data of the user's own.

    Returns:
        What a run records of it, its options and details, and of what has files the sum of each; "as published" too,
        where the source's counts are known and no option reads less.

    Raises:
        LotteryError: an unknown name or option, or a missing or damaged file.
    """
    entry, options = data_entry(config.name), data_options(config)
    loaded = load_data(config, root)
    told = {**loaded.description(), "options": options, **loaded.details()}
    if not entry.embedded and root is not None:
        paths = entry.paths(root)
        # With a limit less is read than there is.
        whole = not any(options[limit] for limit in loaded.spec.limits)
        if entry.published is not None and whole:
            told["as published"] = loaded.as_published(entry.published, paths)
        told["SHA-256"] = file_sums(paths)
    return told
