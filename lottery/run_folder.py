"""What a run's folder tells those who read it: its files, and what it says of itself; torch-free."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from lottery.experiments import RUN_FOLDER
from training.environments import read_environments
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.work_folders import DATA, stored_data, stored_plain

HISTORY = "metrics.jsonl"
RECORDS = "records.json"
READINGS = "readings/{measurement}-level-{level:02d}.json"
EXEMPLARS = "forgotten/level-{level:02d}.json"


def names_of(run: Path, *patterns: str) -> list[str]:
    """The files of a run whose names match one of some patterns, sorted; refused where one is gone.

    Args:
        run: its folder.
        patterns: such as `level-*/records.json`; a star stands for no `/`.

    Raises:
        LotteryError: the manifest lists one that is missing.
    """
    # Before the folder is looked at: what another process finishes meanwhile is not missing.
    listed = {name for name in Folder(run).names() if _matches(name, patterns)}
    paths = [path for pattern in patterns for path in run.glob(pattern)]
    present = {path.relative_to(run).as_posix() for path in paths}
    if listed - present:
        raise LotteryError(
            f"{run} is damaged: {min(listed - present)} is missing; restore it from a copy, or repeat the "
            "command that wrote it, which makes it again.",
            ExitCode.BAD_DATA,
        )
    return sorted(present)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    path = PurePosixPath(name)
    # A relative pattern alone would match the end of a longer name.
    return any(len(path.parts) == p.count("/") + 1 and path.match(p) for p in patterns)


def read_description(run: Path) -> dict[str, Any]:
    """What a run says of itself: `{"experiment": ..., "data": ..., "environments": ...}` as plain JSON values.

    `data` holds name, fingerprint, counts and `baselines` such as the unigram perplexity; what was not written is {}.
    `environments` are a list, the first one first.

    Raises:
        LotteryError: not a run, or a file of it is damaged.
    """
    return {
        "experiment": stored_plain(run, RUN_FOLDER),
        "data": stored_data(run) if Folder(run).holds(DATA) else {},
        "environments": read_environments(Folder(run)),
    }
