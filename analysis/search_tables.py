"""Searches on disk -> tidy tables: what each found, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from analysis.rows import visible_names, visible_values
from analysis.wording import short_names
from nas.search.records import (
    DRAWING,
    SearchHistoryRow,
    SearchRecord,
    SearchResult,
    metric_value,
    read_drawing,
    read_result,
    read_search_description,
    read_search_history,
)
from training.errors import ExitCode, LotteryError, visible

FOUND = "found"
RANDOM = "random"
ARCHITECTURES = (
    *("search", "method", "space", "origin", "rank", "round", "parameters", "score", "standalone"),
    *(
        "lost",
        "predicted",
        "score_metric",
        "standalone_metric",
        "metric",
        "unit",
        "encoding",
        "genotype",
    ),
)
HISTORY = ("search", "epoch", "step", "name", "value")
STEPS = ("search", "epoch", "step_size", "promised", "predicted", "real", "count")
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
DRAWN = (  # the elements of a drawing
    *("svg", "defs", "style", "g", "path", "use", "text", "tspan", "clipPath", "rect"),
    *("circle", "line"),
)
CURVES = ("loss", "reward", "baseline", "entropy", "score", "best")


@dataclass(frozen=True, kw_only=True)
class SearchStudy:
    """Everything that figures and reports of searches are made from.

    Attributes:
        architectures: one row per architecture that a search ended with (`ARCHITECTURES`). Scores are rewards, higher
            is better; the columns of a metric are in its own terms. `lost` counts the seeds that diverged when it was
            trained alone, whose reward is 0.
        history: one row per number of a phase (`HISTORY`); rollbacks are named so.
        steps: of NAO, one row per renewal of the pool and step size (`STEPS`): mean gains over the parents.
        descriptions: per search, what it says of itself.
    """

    architectures: pd.DataFrame
    history: pd.DataFrame
    steps: pd.DataFrame
    descriptions: dict[str, dict[str, Any]]


def read_searches(runs: Sequence[Path]) -> SearchStudy:
    """Read all that some finished searches hold.

    Raises:
        LotteryError: one is not a search or not finished, or a file is damaged.
    """
    if not runs:
        raise LotteryError("No search was given; name folders that `lottery search` made.")
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    names = {path: visible(name) for path, name in short_names(paths).items()}
    descriptions = {
        name: visible_values(read_search_description(path)) for path, name in names.items()
    }
    results = {name: read_result(path) for path, name in names.items()}
    histories = {name: read_search_history(path) for path, name in names.items()}
    return SearchStudy(
        architectures=_architectures(results),
        history=_history(histories),
        steps=_steps(histories),
        descriptions=descriptions,
    )


def read_drawings(runs: Sequence[Path]) -> dict[str, str]:
    """Search -> the drawing of its best architecture as SVG, where `lottery search` has put it.

    Raises:
        LotteryError: one is damaged, or holds more than drawings do.
    """
    names = short_names([run.resolve() for run in runs])
    drawings = {path: read_drawing(path) for path in names}
    return {visible(names[path]): _drawing(svg, path) for path, svg in drawings.items() if svg}


def _drawing(svg: str, run: Path) -> str:
    """A drawing written anew, without what acts or loads something in the page that it becomes a part of."""
    path = run / DRAWING.format(rank=1, format="svg")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise _no_drawing(path, f"it is no SVG ({error})") from None
    for element in list(root.iter()):
        for metadata in element.findall(f"{SVG}metadata"):
            element.remove(metadata)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = {key.replace(XLINK, "xlink:"): value for key, value in element.items()}
        if element.tag not in DRAWN or _acts(element):
            raise _no_drawing(path, f"it has an element {element.tag} that drawings don't have")
    return ElementTree.tostring(root, encoding="unicode")


def _no_drawing(path: Path, fault: str) -> LotteryError:
    return LotteryError(
        f"{path} is no drawing of a search: {fault}; remove it, and repeat the search's command to draw it again.",
        ExitCode.BAD_DATA,
    )


def _acts(element: ElementTree.Element) -> bool:
    """Whether an element has code, or names anything outside of its drawing."""
    if any(key.startswith(("on", "{")) for key, _ in element.items()):
        return True
    if not all(value.startswith("#") for key, value in element.items() if key.endswith("href")):
        return True
    texts = [element.text or "" if element.tag == "style" else "", *element.attrib.values()]
    return any("@" in text or "url(" in text.replace("url(#", "") for text in texts)


def _architectures(results: dict[str, SearchResult]) -> pd.DataFrame:
    rows = [_row(name, r, result) for name, result in results.items() for r in result.records]
    table = visible_names(pd.DataFrame(rows, columns=list(ARCHITECTURES)))
    numbers = ["score", "standalone", "predicted", "score_metric", "standalone_metric"]
    return table.astype({**dict.fromkeys(numbers, float), "rank": "Int64"})


def _row(name: str, record: SearchRecord, result: SearchResult) -> dict[str, object]:
    def in_metric(reward: float | None) -> float | None:
        if reward is None:
            return None
        return metric_value(reward, result.metric, result.reward_constant)

    own = asdict(record)
    shared = {key: own[key] for key in ARCHITECTURES if key in own}
    return {
        **shared,
        "search": name,
        "lost": record.standalone_by_seed.count(0.0),
        "predicted": record.details.get("predicted"),
        "score_metric": in_metric(record.score),
        "standalone_metric": in_metric(record.standalone),
        "metric": result.metric.name,
        "unit": result.metric.unit,
    }


def _history(histories: dict[str, list[SearchHistoryRow]]) -> pd.DataFrame:
    rows = [
        (name, row.epoch, row.step, figure, value)
        for name, history in histories.items()
        for row in history
        for figure, value in _figures(row).items()
    ]
    return visible_names(pd.DataFrame(rows, columns=list(HISTORY))).astype({"value": float})


def _figures(row: SearchHistoryRow) -> dict[str, float | None]:
    if row.event == "rollback":
        return {"rollback": 1.0}
    own = {name: value for name in CURVES if (value := asdict(row)[name]) is not None}
    return {**own, **{n: v for n, v in row.details.items() if not n.startswith("step_")}}


def _steps(histories: dict[str, list[SearchHistoryRow]]) -> pd.DataFrame:
    """What NAO's strategy records as `step_SIZE_promised`, `..._predicted`, `..._real` and `..._count`."""
    rows = []
    for name, history in histories.items():
        for row in history:
            sizes = [key.split("_")[1] for key in row.details if key.endswith("_promised")]
            for size in sizes:
                gains = [row.details[f"step_{size}_{what}"] for what in STEPS[3:]]
                rows.append((name, row.epoch, int(size), *gains))
    return pd.DataFrame(rows, columns=list(STEPS))
