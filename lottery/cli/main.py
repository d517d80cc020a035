"""The group `lottery`, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lottery.cli.catalogs import networks, recipes
from lottery.cli.data import data
from lottery.cli.demo import demo
from lottery.cli.measure import measure
from lottery.cli.results import compare, plot, report, show
from lottery.cli.runs import control, prune, retrain
from lottery.cli.search import search
from lottery.cli.terminal import output, stop
from training.errors import ExitCode, LotteryError, is_out_of_memory, visible
from training.version import own_version


class Group(click.Group):
    """Shows a `LotteryError` as it is, and nothing else that a user could cause as a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command line, as long as its output is taken."""
        with output():
            return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the group's own options."""
        with _visible_misuse():
            return super().make_context(*args, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run a command and translate what it raises."""
        try:
            with _visible_misuse():
                return super().invoke(context)
        except LotteryError as error:
            stop(str(error), error.exit_code)
        except KeyboardInterrupt:
            stop("Aborted; the same command goes on from the last checkpoint.", ExitCode.ABORTED)
        except OSError as error:
            if error.filename is None:  # of the output
                raise
            path = Path(os.fsdecode(error.filename))
            stop(f"{path}: {error.strerror or error}; name another file or folder.", ExitCode.DISK)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                stop(_OUT_OF_MEMORY, ExitCode.OUT_OF_MEMORY)
            if str(error).startswith("Symlink loop"):  # of pathlib before Python 3.13
                stop(f"{error}; name another file or folder.", ExitCode.DISK)
            raise


@contextlib.contextmanager
def _visible_misuse() -> Iterator[None]:
    """While inside, what click says of what was typed is as visible as what `say` prints."""
    try:
        yield
    except click.UsageError as error:
        lines = error.format_message().split("\n")
        if all(map(str.isprintable, lines)):
            raise
        raise click.UsageError("\n".join(map(visible, lines)), error.ctx) from None


_OUT_OF_MEMORY = (
    "There is not enough memory; train fewer replicates together with --replicates-at-once, or "
    "choose a smaller --set training.batch_size. Finished levels are kept."
)


def _show_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"lottery, version {own_version()}")
        context.exit()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Lottery-ticket studies of searched, hand-designed and own networks.

    \u0008
    lottery demo                         a whole study in minutes
    lottery recipes                      what can be run
    lottery prune lth-lenet-short        find winning tickets
    lottery report results/runs/NAME     one page with figures and verdicts

    Exit codes: 0 done, 1 error, 2 usage, 3 bad data or a damaged file, 4 disk, 5 out of memory, 75 stopped by a signal
    and resumable with the same command, 130 aborted.
    """


for command in (
    demo,
    recipes,
    networks,
    data,
    search,
    retrain,
    prune,
    control,
    measure,
    show,
    plot,
    compare,
    report,
):
    cli.add_command(command)
