"""The command `data`: what data sets there are, where they are, whether they are whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lottery.cli.options import as_json, data_root_option
from lottery.cli.running import print_json
from lottery.cli.showing import print_table
from training.errors import LotteryError

if TYPE_CHECKING:
    from training.configs import DataConfig

# Numbers of a list beyond so many are summarised.
MOST_NUMBERS = 12


@click.command()
@click.argument("name", required=False)
@data_root_option
@click.option("--download", is_flag=True, help="Fetch the files into the data root first.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Change an option, such as characters=1; may be repeated.",
)
@as_json
def data(
    name: str | None,
    data_root: Path | None,
    download: bool,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the data sets, or check one: counts, hashes, labels, copies, baselines.

    Where a source's counts are known, "as published" says whether the files hold so many images or words.
    The data root of `folder`, `npz` and `text` is the folder or file itself. A recipe takes the same options as
    --set data.options.OPTION=VALUE.

    \u0008
    Examples:
      lottery data
      lottery data mnist --data-root DATA
      lottery data npz --data-root images.npz
      lottery data pydoc --set characters=1 --set train=100000
    """
    from training.datasets.catalog import data_entry
    from training.datasets.catalog import data_root as root_of
    from training.datasets.describing import data_description

    root = root_of(data_root)
    if name is None:
        if assignments:
            raise LotteryError("--set changes an option of one data set; name it.")
        rows = _listed(root)
    else:
        if download:
            data_entry(name).fetch(root)
        found = data_description(_config(name, assignments), root)
        told = {key: _words(value) for key, value in found.items() if value != []}
        if found.get("baselines"):
            told["baselines"] = _baselines(
                found["baselines"], found.get("cut into") == "characters"
            )
        rows = [{"field": key, "value": value} for key, value in told.items()]
    if as_json:
        print_json(rows if name is None else found)
    else:
        print_table(rows)


def _listed(root: Path | None) -> list[dict[str, str]]:
    """One row per data set."""
    from training.datasets.catalog import DATASETS

    return [
        {
            "data": key,
            "what": entry.summary,
            "files": entry.whereabouts(root),
            "options": ", ".join(f"{k}={v}" for k, v in entry.options.items()),
        }
        for key, entry in DATASETS.items()
    ]


def _config(name: str, assignments: Sequence[str]) -> DataConfig:
    """A data set with changed options; an option may be written as in a recipe, data.options.characters."""
    from training.configs import DataConfig
    from training.toml_text import override

    for assignment in assignments:
        if "=" not in assignment:
            raise LotteryError(
                f"{assignment!r} sets nothing; write OPTION=VALUE, such as characters=1."
            )
    options = (f"options.{one.removeprefix('data.options.')}" for one in assignments)
    return override(DataConfig(name=name), *options)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        nested = any(isinstance(item, dict | list) for item in value.values())
        return ("; " if nested else ", ").join(f"{_key(k)} {_words(v)}" for k, v in value.items())
    if isinstance(value, list) and len(value) > MOST_NUMBERS:
        return f"{_words(min(value))} to {_words(max(value))} in each of {len(value):,}"
    if isinstance(value, list):
        nested = any(isinstance(item, dict) for item in value)
        return ("; " if nested else " ").join(map(_words, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _baselines(baselines: Sequence[Mapping[str, Any]], per_word: bool) -> str:
    """Baselines in words: `unigram perplexity: validation 92.8, test 92.9`."""
    kinds: dict[str, list[str]] = {}
    for baseline in baselines:
        of_words = per_word and baseline["metric"] == "perplexity"
        kind = f"{baseline['name']} {baseline['metric']}{' per word' if of_words else ''}"
        kinds.setdefault(kind, []).append(f"{baseline['split']} {_value(baseline['value'])}")
    return "; ".join(f"{kind}: {', '.join(values)}" for kind, values in kinds.items())


def _value(score: float) -> str:
    """Three digits or more: 4.53 bits, perplexities of 92.8 and 1,234."""
    return f"{score:,.{2 if score < 10 else 1 if score < 1000 else 0}f}"


def _key(text: str) -> str:
    """A name, in quotes where it is a blank that could not be seen: a token of characters."""
    return text if text.strip() else repr(text)
