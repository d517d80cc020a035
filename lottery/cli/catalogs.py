"""Commands that say what there is: `recipes`, `networks`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lottery.cli.options import as_json
from lottery.cli.running import print_json
from lottery.cli.showing import print_table
from lottery.cli.terminal import say
from lottery.records import data_in_words
from training.errors import LotteryError

if TYPE_CHECKING:
    from nas.catalog.entry import NetworkEntry

SMALL = "-small"


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
    from lottery.recipes.catalog import recipe
    from lottery.recipes.search_catalog import SEARCHES, search_recipe
    from training.plain import to_plain
    from training.toml_text import to_toml

    if name is None and as_json:
        print_json(_recipe_rows())
    elif name is None:
        print_table(_grouped(_recipe_rows()))
        say(
            "",
            f"With yes under small there is also RECIPE{SMALL}, which takes minutes on two cores. "
            "lottery search lists the searches.",
        )
    else:
        found = search_recipe(name) if name in SEARCHES else recipe(name)
        if as_json:
            print_json(to_plain(found))
        else:
            click.echo(to_toml(found), nl=False)


def _recipe_rows() -> list[dict[str, str]]:
    from lottery.recipes.catalog import RECIPES
    from nas.catalog.catalog import entry

    rows = []
    for name, make in RECIPES.items():
        found, what = make(), " ".join((make.__doc__ or "").split()).rstrip(".")
        text = entry(found.network.name).task == "text"
        data = data_in_words(found.data.name, found.data.options, text=text)
        rows.append({"recipe": name, "network": found.network.name, "data": data, "what": what})
    return rows


def _grouped(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """One row for a recipe and its small form."""
    names = {row["recipe"] for row in rows}
    return [
        {
            **{key: row[key] for key in ("recipe", "network", "data")},
            "small": "yes" if row["recipe"] + SMALL in names else "",
            "what": row["what"],
        }
        for row in rows
        if row["recipe"].removesuffix(SMALL) not in names - {row["recipe"]}
    ]


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
    given = genotype or ""
    if name is None:
        _list_networks(as_json)
    elif not draw:
        _show_network(entry(name, given), given, as_json)
    else:
        path = save_drawing(entry(name, given), out)
        if as_json:
            print_json({"drawing": str(path)})
        else:
            say(str(path))


def _list_networks(as_json: bool) -> None:
    from nas.catalog.catalog import NETWORKS
    from nas.catalog.given_genotypes import GIVEN

    listed = [*NETWORKS.values(), *GIVEN.values()]
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


def _show_network(found: NetworkEntry, given: str, as_json: bool) -> None:
    from lottery.cli.architectures import network_facts, network_rows
    from nas.catalog.entry import genotype_of
    from nas.genotypes.encodings import genotype_texts

    if as_json:
        print_json(network_facts(found, given))
        return
    print_table(network_rows(found, given))
    genotype = genotype_of(found, found.sizes)
    if genotype is not None:
        for encoding, text in genotype_texts(found, genotype).items():
            # Not in the table, whose lines break: a genotype is copied whole.
            say("", f"genotype ({encoding})", text)
