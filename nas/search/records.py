"""What a search writes, and reading it back; torch-free.

A search's directory holds `search.json` (its configuration), `data.json`, `history.jsonl`, while it goes on a
checkpoint and the scores of networks that were trained alone, and at the end `architectures.json`, written last.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nas.search.configs import SEARCH_FOLDER
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.lines import read_lines
from training.metrics import Metric
from training.plain import to_plain
from training.storage import damaged, parse_json, to_json
from training.work_folders import require_there, stored_config, stored_data

SCHEMA = 2
HISTORY = "history.jsonl"
ARCHITECTURES = "architectures.json"
# Of the architecture of a rank, as SVG, PNG or PDF.
DRAWING = "architectures/rank-{rank}.{format}"


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """One architecture that a search ended with.

    Scores are rewards, higher is better: the share of images that are right, or constant / perplexity. All are of the
    validation split; see `metric_value` for the metric's own terms.

    Attributes:
        run: name of the search's directory.
        method: enas, nao or random.
        space: cell, layers or recurrent.
        origin: found (the strategy's own suggestion) or random (drawn beside it from the whole space).
        rank: among the found, by score or, without shared weights, standalone; 1 is the best. None for the random ones.
        choices: the architecture in `nas.search.spaces`.
        genotype: the same as text.
        encoding: of that text, in `nas.genotypes.encodings.ENCODINGS`.
        parameters: of its stand-alone network.
        round: in which it first came up: for ENAS and random search the epoch.
        score: with the shared weights, on the whole validation split; None in a search without shared weights.
        standalone: of networks trained from scratch, the mean over seeds; None if there were none.
        standalone_by_seed: that of each seed.
        details: what the strategy knew of it, such as NAO's `predicted`; None where that is not finite, as elsewhere.
    """

    run: str
    method: str
    space: str
    origin: Literal["found", "random"]
    rank: int | None
    choices: tuple[int, ...]
    genotype: str
    encoding: str
    parameters: int
    round: int
    score: float | None
    standalone: float | None
    standalone_by_seed: tuple[float | None, ...] = ()
    details: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SearchHistoryRow:
    """One phase of a search, or one rollback.

    Attributes:
        event: phase, or rollback (back to the last phase; `step` is where it was noticed).
        epoch: of the alternation, from 0.
        step: of the shared weights, taken so far.
        loss: of the shared weights, the mean over the phase; None without shared weights.
        reward: the mean over what the strategy evaluated, or None.
        baseline: of ENAS, or None.
        entropy: of ENAS's samples, the mean, or None.
        score: the mean over the architectures that were scored to be shown, or None.
        best: the best of these, or None.
        details: the strategy's further figures; None where one is not finite, as elsewhere.
    """

    event: Literal["phase", "rollback"]
    epoch: int
    step: int
    loss: float | None = None
    reward: float | None = None
    baseline: float | None = None
    entropy: float | None = None
    score: float | None = None
    best: float | None = None
    details: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a finished search found.

    Attributes:
        metric: of the task.
        reward_constant: see `metric_value`.
        records: the found ones by rank, then the random ones in the order of their drawing.
    """

    metric: Metric
    reward_constant: float
    records: tuple[SearchRecord, ...]


def metric_value(reward: float, metric: Metric, constant: float) -> float:
    """A reward in the metric's own terms: accuracy in percent, or perplexity, which is infinite for a reward of 0."""
    if metric.higher_is_better:
        return 100.0 * reward
    return constant / reward if reward > 0 else math.inf


def result_to_json(result: SearchResult) -> bytes:
    """The text of an `architectures.json`."""
    return to_json({"schema": SCHEMA, **asdict(result)})


def result_from_json(data: bytes, path: Path) -> SearchResult:
    """Read the text of an `architectures.json` back.

    Raises:
        LotteryError: it is damaged or of another schema.
    """
    value = parse_json(data, path)
    try:
        if value["schema"] != SCHEMA:
            raise LotteryError(
                f"{path} has search schema {value['schema']}; this version reads schema {SCHEMA}: "
                "use the version that wrote it.",
                ExitCode.BAD_DATA,
            )
        return SearchResult(
            metric=Metric(**value["metric"]),
            reward_constant=value["reward_constant"],
            records=tuple(_record(fields) for fields in value["records"]),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"a record can't be read ({error})") from None


def _record(fields: Mapping[str, Any]) -> SearchRecord:
    rows = {name: tuple(fields[name]) for name in ("choices", "standalone_by_seed")}
    record = SearchRecord(**{**fields, **rows})
    scores = [record.score, record.standalone, *record.standalone_by_seed, *record.details.values()]
    if not all(score is None or math.isfinite(score) for score in scores):
        raise ValueError("a score is not finite")
    return record


def read_result(run: Path) -> SearchResult:
    """What a finished search found; its records bear the name that its folder has now.

    Raises:
        LotteryError: not a search, not finished, or a file is damaged.
    """
    require_there(run, SEARCH_FOLDER)
    folder = Folder(run)
    if ARCHITECTURES not in folder.names():
        raise LotteryError(
            f"The search {run} is not finished; run the command that began it again to go on."
        )
    result = result_from_json(folder.read(ARCHITECTURES), run / ARCHITECTURES)
    name = run.resolve().name
    records = tuple(dataclasses.replace(record, run=name) for record in result.records)
    return dataclasses.replace(result, records=records)


def read_search_description(run: Path) -> dict[str, Any]:
    """What a search says of itself: `{"search": ..., "data": ...}` as plain JSON values."""
    return {"search": to_plain(stored_config(run, SEARCH_FOLDER)), "data": stored_data(run)}


def read_drawing(run: Path) -> str:
    """The drawing of a search's best architecture as SVG; "" where it was not drawn."""
    require_there(run, SEARCH_FOLDER)
    folder, name = Folder(run), DRAWING.format(rank=1, format="svg")
    return folder.read(name).decode(errors="replace") if folder.holds(name) else ""


def read_search_history(run: Path) -> list[SearchHistoryRow]:
    """Every phase and rollback so far; none where no history is there.

    Raises:
        LotteryError: not a search, or the history is damaged or not the one that was written.
    """
    require_there(run, SEARCH_FOLDER)
    return read_lines(Folder(run), HISTORY, SearchHistoryRow)
