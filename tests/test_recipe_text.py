"""What `lottery recipes NAME` prints: a whole file, in which every field that can be set has a line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from lottery.experiments import Experiment
from lottery.recipes.catalog import RECIPES
from lottery.recipes.recipe_text import experiment_text, search_text
from lottery.recipes.search_catalog import SEARCHES
from nas.catalog.catalog import entry
from nas.search.configs import SearchConfig
from nas.search.spaces import network_of
from tests.commands import done
from training.plain import to_plain
from training.toml_text import from_toml


def fields(plain: dict[str, Any], where: str = "") -> Iterator[str]:
    """The dotted names of all that a configuration holds, tables too."""
    for key, item in plain.items():
        yield f"{where}{key}"
        if isinstance(item, dict):
            yield from fields(item, f"{where}{key}.")


def lines_of(text: str) -> set[str]:
    """The dotted names of all that a text has a line for, comments too."""
    found, table = set(), ""
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        if head := re.fullmatch(r"\[(\S+)\]", bare):
            table = f"{head[1]}."
            found.add(head[1])
        elif key := re.match(r"(\w+)( = |: not set$)", bare):
            found.add(f"{table}{key[1]}")
    return found


def uncommented(text: str) -> str:
    """The text with every comment that is a line of TOML taken for one."""
    return "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if not line.endswith(": not set")
    )


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_printed_whole_and_loads_to_the_same(name: str) -> None:
    experiment = RECIPES[name].config
    text = experiment_text(experiment)
    assert from_toml(Experiment, text, name) == experiment
    assert lines_of(text) >= {*fields(to_plain(experiment))}
    sizes = entry(experiment.network.name).defaults
    whole = from_toml(Experiment, uncommented(text), name)
    assert whole.network.size == {**sizes, **experiment.network.size}


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_a_search_is_printed_whole_and_loads_to_the_same(name: str) -> None:
    config = SEARCHES[name].config
    text = search_text(config)
    assert from_toml(SearchConfig, text, name) == config
    assert lines_of(text) >= {*fields(to_plain(config))}
    whole = from_toml(SearchConfig, uncommented(text), name)
    assert whole.network == {**entry(network_of(config)).defaults, **config.network}
    # The settings of its method are written out.
    assert (config.controller is not None) == (config.method == "enas")
    assert (config.nao is not None) == (config.method == "nao")


def test_the_command_prints_fields_that_are_off_as_comments() -> None:
    lines = done("recipes", "lth-lenet").splitlines()
    assert {"output_rate = 0.1", "# convolution_rate: not set", "# margin: not set"} <= {*lines}
    assert "# widths = [300, 100]" in lines
    assert "# nao: not set" in done("recipes", "enas-micro-search-small").splitlines()
    assert tomllib.loads("\n".join(lines))["network"]["size"] == {}
