"""Commands that say what there is: `recipes`, `networks`, `data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lottery.cli.options import as_json, data_root_option
from lottery.cli.running import print_json
from lottery.cli.showing import print_table


@click.command()
@click.argument("name", required=False)
@as_json
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one as TOML.

    \u0008
    Example: lottery recipes lth-lenet > mine.toml
    """
    from lottery.recipes import RECIPES, recipe
    from training.plain import to_plain, to_toml

    if name is not None:
        found = recipe(name)
        if as_json:
            print_json(to_plain(found))
        else:
            click.echo(to_toml(found), nl=False)
        return
    rows = [
        {"recipe": key, "what": (make.__doc__ or "").strip().rstrip(".")}
        for key, make in RECIPES.items()
    ]
    _show(rows, as_json)


@click.command()
@click.argument("name", required=False)
@as_json
def networks(name: str | None, as_json: bool) -> None:
    """List the networks, or show one with its sizes and parameters.

    \u0008
    Example: lottery networks enas-micro
    """
    from nas.catalog import NETWORKS, entry

    if name is None:
        rows = [
            {"network": e.name, "origin": e.origin, "for": e.task, "what": e.summary}
            for e in NETWORKS.values()
        ]
        _show(rows, as_json)
        return
    found = entry(name)
    facts: dict[str, Any] = {
        "network": found.name,
        "origin": found.origin,
        "for": found.task,
        "what": found.summary,
        "source": found.source,
        "sizes": dict(found.sizes),
        "parameters": _parameters(found.name, found.task),
    }
    if as_json:
        print_json(facts)
    else:
        print_table([{"field": key, "value": str(value)} for key, value in facts.items()])


def _parameters(name: str, task: str) -> dict[str, int]:
    """Exact parameters at the catalog's sizes, for data of the shape that it was published on."""
    import torch

    from nas.networks import build
    from training.specs import ImageSpec, Spec, TextSpec

    published: dict[str, Spec] = {
        "10 classes of 3 x 32 x 32": ImageSpec(channels=3, height=32, width=32, classes=10),
        "10 classes of 1 x 28 x 28": ImageSpec(channels=1, height=28, width=28, classes=10),
    }
    if task == "text":
        published = {"10,000 words": TextSpec(vocabulary=10_000)}
    counts = {}
    for words, spec in published.items():
        network = build(name, {}, spec, torch.Generator())
        counts[words] = sum(parameter.numel() for parameter in network.parameters())
    return counts


@click.command()
@click.argument("name", required=False)
@data_root_option
@click.option("--download", is_flag=True, help="Fetch the files into the data root first.")
@as_json
def data(name: str | None, data_root: Path | None, download: bool, as_json: bool) -> None:
    """List the data sets, or check one: counts, fingerprint, baselines.

    \u0008
    Examples:
      lottery data
      lottery data mnist --data-root DATA
    """
    from training.configs import DataConfig
    from training.datasets.catalog import DATASETS, data_entry, load_data
    from training.errors import LotteryError

    if name is None:
        rows = [
            {
                "data": key,
                "what": found.summary,
                "files": "embedded" if found.embedded else "--data-root",
                "options": ", ".join(f"{k}={v}" for k, v in found.options.items()),
            }
            for key, found in DATASETS.items()
        ]
        _show(rows, as_json)
        return
    if download:
        fetch = data_entry(name).download
        if fetch is None or data_root is None:
            raise LotteryError(
                f"{name} needs no download."
                if fetch is None
                else "--download needs a --data-root to put the files into."
            )
        fetch(data_root)
    facts = load_data(DataConfig(name=name), data_root).facts()
    if as_json:
        print_json(facts)
    else:
        print_table([{"field": key, "value": _words(value)} for key, value in facts.items()])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_words, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _show(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
