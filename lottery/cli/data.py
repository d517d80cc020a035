"""The command `data`: what data sets there are, where they are, whether they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lottery.cli.options import as_json, data_root_option
from lottery.cli.running import print_json
from lottery.cli.showing import print_table

# Numbers of a list beyond so many are summarised.
MOST_NUMBERS = 12


@click.command()
@click.argument("name", required=False)
@data_root_option
@click.option("--download", is_flag=True, help="Fetch the files into the data root first.")
@as_json
def data(name: str | None, data_root: Path | None, download: bool, as_json: bool) -> None:
    """List the data sets, or check one: counts, hashes, labels, copies, baselines.

    Where a source's counts are known, "as published" says whether the files hold so many images or words.
    The data root of `folder`, `npz` and `text` is the folder or file itself.

    \u0008
    Examples:
      lottery data
      lottery data mnist --data-root DATA
      lottery data npz --data-root images.npz
    """
    if name is None:
        rows = _listed(data_root)
    else:
        if download:
            _download(name, data_root)
        facts = _checked(name, data_root)
        rows = [{"field": key, "value": _words(value)} for key, value in facts.items()]
    if as_json:
        print_json(rows if name is None else facts)
    else:
        print_table(rows)


def _listed(given: Path | None) -> list[dict[str, str]]:
    """One row per data set."""
    from training.datasets.catalog import DATASETS, data_root
    from training.datasets.checks import whereabouts

    root = data_root(given)
    return [
        {
            "data": key,
            "what": entry.summary,
            "files": whereabouts(entry, root),
            "options": ", ".join(f"{k}={v}" for k, v in entry.options.items()),
        }
        for key, entry in DATASETS.items()
    ]


def _download(name: str, given: Path | None) -> None:
    """Fetch a data set's files."""
    from training.datasets.catalog import data_entry, data_root
    from training.errors import LotteryError

    entry, root = data_entry(name), data_root(given)
    if entry.download is None:
        if entry.embedded:
            raise LotteryError(f"{name} needs no download.")
        remedy = (
            "it is data of your own; name it"
            if entry.own_root
            else f"put its files into {entry.place} below a folder and name that"
        )
        raise LotteryError(f"{name} can't be fetched: {remedy} with --data-root.")
    if root is None:
        raise LotteryError("--download needs a --data-root to put the files into.")
    entry.download(root)


def _checked(name: str, given: Path | None) -> dict[str, Any]:
    """Everything that is found out about a data set."""
    from training.configs import DataConfig
    from training.datasets.catalog import data_entry, data_root, load_data
    from training.datasets.checks import as_published, file_sums, image_facts, text_facts
    from training.datasets.images import ImageData

    entry, root = data_entry(name), data_root(given)
    loaded = load_data(DataConfig(name=name), root)
    facts: dict[str, Any] = loaded.facts()
    facts |= image_facts(loaded) if isinstance(loaded, ImageData) else text_facts(loaded)
    if not entry.embedded and root is not None:
        paths = entry.paths(root)
        if entry.published is not None and isinstance(loaded, ImageData):
            facts["as published"] = as_published(entry.published, loaded, paths)
        facts["SHA-256"] = file_sums(paths)
    return facts


def _words(value: Any) -> str:
    if isinstance(value, dict):
        nested = any(isinstance(item, dict | list) for item in value.values())
        return ("; " if nested else ", ").join(f"{k} {_words(item)}" for k, item in value.items())
    if isinstance(value, list) and len(value) > MOST_NUMBERS:
        return f"{_words(min(value))} to {_words(max(value))} in each of {len(value):,}"
    if isinstance(value, list):
        nested = any(isinstance(item, dict) for item in value)
        return ("; " if nested else " ").join(map(_words, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
