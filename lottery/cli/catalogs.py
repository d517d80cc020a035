"""Commands that say what there is: `recipes`, `networks`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.wording import data_in_words
from lottery.cli.options import as_json
from lottery.cli.running import print_json
from lottery.cli.showing import print_table
from lottery.cli.terminal import say
from training.errors import LotteryError

if TYPE_CHECKING:
    from lottery.experiments import Experiment
    from lottery.recipes.recipe import Recipe
    from nas.catalog.entry import NetworkEntry


@click.command()
@click.argument("name", required=False)
@as_json
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one as TOML: every field that can be set, also those that are off, as comments.

    \u0008
    Examples:
      lottery recipes
      lottery recipes lth-lenet > mine.toml
      lottery recipes enas-micro-search-small > mine.toml
    """
    from lottery.recipes.catalog import RECIPES, recipe
    from lottery.recipes.recipe import small_recipes
    from lottery.recipes.recipe_text import experiment_text, search_text
    from lottery.recipes.search_catalog import SEARCHES, search_recipe
    from training.plain import to_plain

    if name is None and as_json:
        print_json([{**_recipe_row(each), "what": each.summary} for each in RECIPES.values()])
    elif name is None:
        small = {each.name for each in small_recipes(RECIPES.values())}
        print_table(
            [
                {**_recipe_row(each), "small": "yes" * bool(each.small), "what": each.summary}
                for each in RECIPES.values()
                if each.name not in small
            ]
        )
        say(
            "",
            "With yes under small there is also RECIPE-small, which takes minutes on two cores. "
            "lottery search lists the searches.",
        )
    elif as_json:
        print_json(to_plain(search_recipe(name) if name in SEARCHES else recipe(name)))
    elif name in SEARCHES:
        click.echo(search_text(search_recipe(name)), nl=False)
    else:
        click.echo(experiment_text(recipe(name)), nl=False)


def _recipe_row(recipe: Recipe[Experiment]) -> dict[str, str]:
    from nas.catalog.catalog import entry
    from nas.catalog.entry import published_spec

    found = recipe.config
    spec = published_spec(entry(found.network.name))
    data = data_in_words(found.data.name, found.data.options, unit=spec.unit, limits=spec.limits)
    return {"recipe": recipe.name, "network": found.network.name, "data": data}


@click.command()
@click.argument("name", required=False)
@click.option("--genotype", metavar="TEXT", help="Of a network such as searched-cells, as text.")
@click.option("--draw", is_flag=True, help="Draw the cells or layers of a searched network.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the drawing goes, as .svg, .png or .pdf; NAME.svg by default.",
)
@as_json
def networks(
    name: str | None, genotype: str | None, draw: bool, out: Path | None, as_json: bool
) -> None:
    """List the networks, or show one: source, sizes, figures, genotype.

    \u0008
    A network of torchvision is torchvision/resnet18, for example.
    Parameters are counted by building the network at its published size.
    A genotype of your own is ENCODING: TEXT, in the usual encoding without its name.

    \u0008
    Examples:
      lottery networks
      lottery networks enas-micro
      lottery networks darts-v2 --draw --out darts.pdf
      lottery networks searched-cells --genotype '0 2 0 0 0 4 0 1 1 0 1 0 0 3 0 2' --draw
    """
    from nas.catalog.catalog import entry

    if draw and name is None:
        raise LotteryError("--draw draws one network; name it, as in networks enas-micro --draw.")
    if out is not None and not draw:
        raise LotteryError("--out says where a drawing goes; give --draw too.")
    if genotype is not None and name is None:
        raise LotteryError("--genotype is of one network; name it, as in networks searched-cells.")
    if genotype is not None and not genotype.strip():
        raise LotteryError("--genotype is empty; give the genotype as text, or leave it out.")
    text = genotype or ""
    if name is None:
        _list_networks(as_json)
    elif not draw:
        _show_network(entry(name, text), text, as_json)
    else:
        _draw_network(entry(name, text), out, as_json)


def _list_networks(as_json: bool) -> None:
    from nas.catalog.catalog import NETWORKS

    listed = [*NETWORKS.values()]
    if as_json:
        from nas.describing import network_description

        print_json([network_description(found) for found in listed])
        return
    # Without parameters, for which every network would have to be built.
    print_table(
        [
            {"network": each.name, "origin": each.origin, "for": each.task, "what": each.summary}
            for each in listed
        ]
    )
    say(
        "",
        "lottery networks NAME shows one: parameters, sizes, published figures, genotype. "
        "Also torchvision/NAME.",
    )


def _show_network(found: NetworkEntry, genotype_text: str, as_json: bool) -> None:
    from nas.describing import network_description

    description = network_description(found, genotype_text)
    if as_json:
        print_json(description)
        return
    print_table(network_rows(found, description))
    for encoding, text in description["genotype"].items():
        # Not in the table, whose lines break: a genotype is copied whole.
        say("", f"genotype ({encoding})", text)


def network_rows(found: NetworkEntry, description: dict[str, Any]) -> list[dict[str, str]]:
    """The description of a network as rows of a table, without the genotype's texts."""
    from nas.catalog.entry import published_spec

    sizes = ", ".join(f"{key} {_words(value)}" for key, value in description["sizes"].items())
    counts = ", ".join(f"{count} x {word}" for word, count in description["operations"].items())
    counted = description["parameters"]
    number = "those of its genotype," if counted is None else f"{counted:,}"
    published = [f"{one.what}: {one.value} ({one.source})" for one in found.published]
    told = [
        *((key, description[key]) for key in ("network", "origin", "for", "what", "source")),
        ("sizes", sizes or "none"),
        ("parameters", f"{number} for {published_spec(found).in_words}"),
        *([("encodings", ", ".join(found.accepts))] if found.accepts else []),
        *(("published", text) for text in published),
        *([("operations", counts)] if counts else []),
    ]
    return [{"field": field, "value": value} for field, value in told]


def _draw_network(found: NetworkEntry, out: Path | None, as_json: bool) -> None:
    from analysis.genotype_drawings import save_drawing
    from nas.catalog.entry import published_genotype

    path = out or Path(f"{found.name.replace('/', '-')}.svg")
    save_drawing(found.name, published_genotype(found), path)
    if as_json:
        print_json({"drawing": str(path)})
    else:
        say(str(path))


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
