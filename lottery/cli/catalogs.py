"""Commands that say what there is: `recipes`, `networks`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    """List the recipes, or print one as TOML.

    \u0008
    Examples:
      lottery recipes
      lottery recipes lth-lenet > mine.toml
      lottery recipes enas-micro-search-small > mine.toml
    """
    from lottery.recipes.catalog import RECIPES, recipe
    from lottery.recipes.recipe import small_recipes
    from lottery.recipes.search_catalog import SEARCHES, search_recipe
    from training.plain import to_plain
    from training.toml_text import to_toml

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
    else:
        found = search_recipe(name) if name in SEARCHES else recipe(name)
        if as_json:
            print_json(to_plain(found))
        else:
            click.echo(to_toml(found), nl=False)


def _recipe_row(recipe: Recipe[Experiment]) -> dict[str, str]:
    from lottery.cli.architectures import published_spec
    from nas.catalog.catalog import entry

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
    from lottery.cli.architectures import save_drawing
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
        path = save_drawing(entry(name, text), out)
        if as_json:
            print_json({"drawing": str(path)})
        else:
            say(str(path))


def _list_networks(as_json: bool) -> None:
    from nas.catalog.catalog import NETWORKS

    listed = [*NETWORKS.values()]
    if as_json:
        from lottery.cli.architectures import network_facts

        print_json([network_facts(found) for found in listed])
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
    from lottery.cli.architectures import network_facts, network_rows
    from nas.catalog.entry import genotype_of
    from nas.genotypes.encodings import genotype_texts

    if as_json:
        print_json(network_facts(found, genotype_text))
        return
    print_table(network_rows(found, genotype_text))
    genotype = genotype_of(found, found.defaults)
    if genotype is not None:
        for encoding, text in genotype_texts(found.encoding, genotype).items():
            # Not in the table, whose lines break: a genotype is copied whole.
            say("", f"genotype ({encoding})", text)
