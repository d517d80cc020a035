"""What is known of a data set before it is read: its kind, options and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.datasets.checks import Published
from training.datasets.data import Data, Options
from training.errors import LotteryError, chosen

EMBEDDED, OWN_ROOT = "embedded", "--data-root itself"


def no_paths(root: Path) -> list[Path]:
    """The files of a data set that has none."""
    return []


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set that can be named.

    Attributes:
        name: what a user types.
        kind: of its data, as their spec has it: `images` or `text`. The task of that kind is what they are for.
        summary: one line for `lottery data`.
        location: what holds it: `embedded`, `--data-root`, or files and folders below the data root.
        options: settings and their defaults: whole numbers of at least 1, or of 0 where that is the default.
        load: reads it from a data root.
        paths: the files that it would read from a data root, whether or not they are there.
        download: fetches its files into a data root, or None where that can't be done.
        published: how much its source publishes, in which files; None for other data.
    """

    name: str
    kind: str
    summary: str
    location: str
    options: Options
    load: Callable[[Path | None, Options], Data]
    paths: Callable[[Path], list[Path]] = no_paths
    download: Callable[[Path], None] | None = None
    published: Published | None = None

    @property
    def embedded(self) -> bool:
        """Whether it needs no files."""
        return self.location == EMBEDDED

    @property
    def own_root(self) -> bool:
        """Whether the data root is the data itself, so that it is looked for nowhere else."""
        return self.location == OWN_ROOT

    def whereabouts(self, root: Path | None) -> str:
        """Where it was looked for, and whether it is there."""
        if self.embedded:
            return "embedded"
        if self.own_root:
            return "name it with --data-root"
        if root is None:
            return f"no data root: {self.location} in --data-root or LOTTERY_DATA"
        paths = self.paths(root)
        missing = [path for path in paths if not path.is_file()]
        return f"missing: {missing[0]}" if missing else f"found in {paths[0].parent}"

    def fetch(self, root: Path | None) -> None:
        """Download its files into a data root.

        Raises:
            LotteryError: that can't be done, there is no data root, or there is no network.
        """
        if self.embedded:
            raise LotteryError(f"{self.name} needs no download.")
        if self.download is None:
            remedy = (
                "it is data of your own; name it"
                if self.own_root
                else f"put its files into {self.location} below a folder and name that"
            )
            raise LotteryError(f"{self.name} can't be fetched: {remedy} with --data-root.")
        if root is None:
            raise LotteryError("--download needs a --data-root to put the files into.")
        self.download(root)

    def options_with(self, changes: Mapping[str, int]) -> dict[str, int]:
        """The options: the defaults, overlaid with changes.

        Raises:
            LotteryError: an option that it does not have, or a value below the least; what is too much is told by
                whoever reads the data.
        """
        for key, value in changes.items():
            least = min(chosen(f"option of {self.name}", key, self.options), 1)
            if value < least:
                raise LotteryError(
                    f"data.options.{key} = {value} is out of range; it must be {least} or more."
                )
        return {**self.options, **changes}
