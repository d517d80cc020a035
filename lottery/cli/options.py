"""Options that mean the same everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import click

from lottery.machine import STORE_WEIGHTS
from nas.search.spaces import SPACES, USUAL_SPACE
from training.choices import BATCHINGS, DEVICES, PRECISIONS, PRODUCTS, in_words
from training.errors import enumerated

Command = Callable[..., Any]


class Summarised(Protocol):
    """An entry of a table of what can be chosen."""

    @property
    def summary(self) -> str:
        """In one line."""


def listed(table: Mapping[str, Summarised]) -> str:
    """A line of help for each entry of a table."""
    width = max(map(len, table))
    return "\n".join(f"  {name:{width}}  {entry.summary}" for name, entry in table.items())


class WholeNumbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers as a list with commas, such as 0,1,2."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the list."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 0,1,2", param, ctx)


class AtOnce(click.ParamType[int | None]):
    """How many at once, or auto, which is None."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Read it."""
        number = int(value) if str(value).isdecimal() else 0
        if value != "auto" and number < 1:
            self.fail(f"{value!r} is neither auto nor a whole number from 1 on", param, ctx)
        return None if value == "auto" else number


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    return lambda command: functools.reduce(
        lambda inner, add: add(inner), reversed(options), command
    )


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where data files are, or your own data; also LOTTERY_DATA.",
)
quiet = click.option("--quiet", is_flag=True, help="No progress display.")

runs_argument = click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path)
)
run_argument = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="NAME",
    help=f"What computes: {in_words(DEVICES)}.",
)
products_option = click.option(
    "--products",
    type=click.Choice([*PRODUCTS]),
    default="auto",
    show_default=True,
    help=f"What multiplies matrices of fp32 on a CPU: {in_words(PRODUCTS)}.",
)
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change any field that `lottery recipes NAME` prints, such as data.name=mnist; may be repeated.",
)
replay_option = click.option(
    "--replay/--no-replay",
    default=True,
    help="Whether steps repeat the operations of the first ones without your network's code; no number differs.",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print levels, steps, bytes and time, and stop."
)

machine_options = _together(
    device_option,
    products_option,
    data_root_option,
    click.option(
        "--batching",
        type=click.Choice([*BATCHINGS]),
        help=f"How replicates are run: {in_words(BATCHINGS)}; the default is the measured best.",
    ),
    click.option(
        "--replicates-at-once",
        type=AtOnce(),
        default="auto",
        show_default=True,
        help="How many replicates are trained together; auto for as many as fit.",
    ),
    replay_option,
    click.option(
        "--graph/--no-graph",
        default=True,
        help="Whether replayed steps are launched as one graph each on CUDA; no number differs.",
    ),
    quiet,
)

store_weights_option = click.option(
    "--store-weights",
    type=click.Choice([*STORE_WEIGHTS]),
    help=f"Whose trained weights stay on disk: {in_words(STORE_WEIGHTS)}; the default is all, beyond 2 GB newest.",
)

network_option = click.option(
    "--network",
    metavar="NAME",
    help="Another network, see lottery networks; package.module:factory imports your own code.",
)

experiment_options = _together(
    network_option,
    click.option("--seeds", type=WholeNumbers(), help="Seeds, such as 0,1,2."),
    set_option,
    click.option(
        "--precision",
        metavar="NAME",
        help=f"How precisely is computed: {in_words(PRECISIONS)}; weights stay fp32.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="The run's folder; results/runs/NAME by default.",
    ),
    dry_run_option,
    as_json,
)

rank_option = click.option(
    "--rank",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of a search, which architecture; 1, the best, by default.",
)

search_options = _together(
    click.option(
        "--space",
        type=click.Choice(list(SPACES)),
        help="With a method: "
        f"{enumerated((space.summary for space in SPACES.values()), 'or')}; {USUAL_SPACE} by default.",
    ),
    click.option("--data", metavar="NAME", help="With a method: which data, see lottery data."),
    click.option(
        "--seeds", type=WholeNumbers(), help="One search for each, in NAME-seed-N, such as 0,1,2."
    ),
    set_option,
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="The search's folder, or that of all where there are several; results/searches/NAME by default.",
    ),
    click.option(
        "--against-random",
        is_flag=True,
        help="Then random search at the same budget, with shared weights and without, in folders beside it.",
    ),
    click.option("--dry-run", is_flag=True, help="Print what would be done, and stop."),
)
