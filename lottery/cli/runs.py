"""Commands that train: `retrain`, `prune`, `control`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lottery.changing import with_controls_named, with_masks_from, with_network
from lottery.cli.options import (
    StepsList,
    as_json,
    experiment_options,
    listed,
    machine_options,
    network_option,
    own_options,
    rank_option,
    run_argument,
    store_weights_option,
)
from lottery.cli.running import (
    commanded,
    default_folder,
    factory_of,
    machine_of,
    named_experiment,
    own_of,
    print_json,
)
from lottery.cli.showing import print_levels, print_plan
from lottery.cli.watching import watcher_for
from lottery.controls import CONTROLS
from lottery.experiments import RUN_FOLDER, Experiment
from lottery.machine import Machine
from lottery.progress import Watcher
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.schedules import SCHEDULES
from lottery.pruning.scopes import SCOPES
from training.errors import LotteryError
from training.toml_text import override
from training.work_folders import stored_config

if TYPE_CHECKING:
    from lottery.own_pieces import OwnPieces
    from nas.catalog.outside_networks import Factory


CONTROL_HELP = f"""Train one more control beside every level of a finished RUN.

A RUN of your own code needs --network, --criterion and --control again: code is imported only when the command line
names it. ARM may be your own too, package.module:control.

\b
ARM is one of
{listed(CONTROLS)}
Example: lottery control results/runs/demo-digits-enas shuffled-mask
"""


PRUNE_HELP = f"""Train, prune the smallest weights, rewind the rest, and repeat, beside controls.

The same command again goes on where a stopped one left off; more --levels extend a finished run.

\b
What goes, --set pruning.criterion=NAME:
{listed(CRITERIA)}
Over what it is ranked, --set pruning.scope=NAME:
{listed(SCOPES)}
How much at each level, --set pruning.schedule=NAME:
{listed(SCHEDULES)}

\b
Examples:
  lottery prune demo-digits-enas
  lottery prune lth-lenet --data-root DATA --seeds 0,1,2 --levels 8 --set training.steps=6000
  lottery recipes lth-lenet > mine.toml; lottery prune mine.toml
  lottery prune lth-lenet --network conv-2 --set network.size.widths=[128]
  lottery prune lth-lenet --network my_package.my_module:make_network
  lottery prune lth-lenet --criterion my_module:scores --control my_module:control
  lottery prune results/searches/enas-micro-search-small
  lottery prune lth-lenet --set data.name=kmnist --masks-from results/runs/lth-lenet
  lottery prune lmc-resnet20 --rewind-steps 0,500,2000
"""


def _train(target: str, levels: int | None, options: dict[str, Any]) -> None:
    from analysis.tables import read_study

    machine = machine_of(options)
    named = named_experiment(target, options["rank"])
    if options["network"] is not None:
        named = with_network(named, options["network"])
    named = with_controls_named(
        override(named, *_assignments(levels, options)), options["controls"]
    )
    source = options.get("masks_from")
    experiment = with_masks_from(named, source)
    root: Path = options["out"] or default_folder(target, experiment)
    factory, own = factory_of(options["network"], experiment), own_of(options, experiment)
    if options["dry_run"]:
        if options.get("rewind_steps"):
            raise LotteryError("--dry-run plans one run; leave --rewind-steps out.")
        _plan(experiment, root, machine, factory, own, source, options["as_json"])
        return
    from lottery.rewind_steps import carry_out_rewind_steps, variants
    from lottery.sessions import carry_out

    watcher, roots = watcher_for(options["quiet"]), [root]
    with commanded(watcher):
        if steps := options.get("rewind_steps"):
            runs = variants(experiment, root, steps)
            records = carry_out_rewind_steps(runs, machine, watcher, factory, own, source)
            roots = [run.root for run in runs]
        else:
            records = carry_out(experiment, root, machine, watcher, factory, own, source)
    if options["as_json"]:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        print_levels(read_study(roots))


def _plan(
    experiment: Experiment,
    root: Path,
    machine: Machine,
    factory: Factory | None,
    own: OwnPieces,
    source: Path | None,
    as_json: bool,
) -> None:
    """Print what a run would do."""
    from lottery.planning import plan
    from lottery.sessions import prepared
    from lottery.transfer import require_source

    require_source(experiment, source)
    watcher = Watcher()
    with (
        commanded(watcher),
        prepared(experiment, root, machine, watcher, factory, own, source) as session,
    ):
        planned = plan(session)
    if as_json:
        print_json(dataclasses.asdict(planned))
    else:
        print_plan(planned)


def _assignments(levels: int | None, options: Mapping[str, Any]) -> list[str]:
    """What the options change, in their order: those with a name of their own count over `--set`."""
    fields = {
        "training.precision": options["precision"],
        "seeds": None if options["seeds"] is None else [*options["seeds"]],
        "levels": levels,
        "pruning.criterion": options["criterion"],
    }
    own = [f"{field}={value}" for field, value in fields.items() if value is not None]
    return [*options["assignments"], *own]


@click.command()
@click.argument("target", metavar="RECIPE|FILE.toml|RUN|SEARCH")
@rank_option
@experiment_options
@machine_options
def retrain(target: str, **options: Any) -> None:
    """Train a network, dense, from scratch.

    The same folder can be pruned afterwards: `lottery prune` with the same recipe goes on from the dense network.

    \u0008
    Examples:
      lottery retrain demo-digits-enas --seeds 0,1,2
      lottery retrain results/searches/enas-micro-search-small --rank 2
    """
    _train(target, 0, options)


@click.command(help=PRUNE_HELP)
@click.argument("target", metavar="RECIPE|FILE.toml|RUN|SEARCH")
@click.option("--levels", type=click.IntRange(min=0), metavar="N", help="How often to prune.")
@click.option(
    "--masks-from",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take each level's masks from another run's tickets, such as of other data; "
    "with --set transfer.weights=source what they start from too.",
)
@click.option(
    "--rewind-steps",
    type=StepsList(),
    help="Several rewind steps of one dense training, such as 0,100,2ep: a run for each, in NAME-rewind-100 and so on.",
)
@rank_option
@experiment_options
@machine_options
@store_weights_option
def prune(target: str, levels: int | None, **options: Any) -> None:
    """Find winning tickets, see `PRUNE_HELP`."""
    _train(target, levels, options)


@click.command(help=CONTROL_HELP)
@run_argument
@click.argument("arm")
@network_option
@own_options
@machine_options
@store_weights_option
@as_json
def control(run: Path, arm: str, as_json: bool, **options: Any) -> None:
    """Train one more control, see `CONTROLS`."""
    from analysis.tables import read_study
    from lottery.sessions import carry_out_control

    experiment = stored_config(run, RUN_FOLDER)
    check_same_network(experiment, options["network"], run)
    watcher = watcher_for(options["quiet"])
    factory = factory_of(options["network"], experiment)
    own = own_of(options, experiment, [arm])
    with commanded(watcher):
        records = carry_out_control(
            experiment, run, arm, machine_of(options), watcher, factory, own
        )
    if as_json:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        print_levels(read_study([run]))


def check_same_network(experiment: Experiment, network: str | None, run: Path) -> None:
    """Refuse another network than a run's.

    Raises:
        LotteryError: the command line names another one.
    """
    if network not in (None, experiment.network.name):
        raise LotteryError(
            f"{run} is a run of {experiment.network.name}, not of {network}; leave --network out or "
            "give that name."
        )
