"""What a search would do and what it found, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.wording import data_in_words
from lottery.cli.running import print_json
from lottery.cli.showing import print_table, print_text_table, say_answer, to_plain_rows
from lottery.cli.terminal import say
from lottery.search_planning import search_plan
from nas.catalog.catalog import entry
from nas.catalog.entry import published_spec
from nas.search.configs import SEARCH_FOLDER, SearchConfig
from nas.search.methods import METHODS
from nas.search.spaces import SPACES, network_of
from training.errors import LotteryError, enumerated
from training.work_folders import is_there

SHOWN = 10


def list_searches(as_json: bool) -> None:
    """The recipes of searches."""
    from lottery.recipes.search_catalog import SEARCHES

    rows = [
        {
            "search": name,
            "method": recipe.config.method,
            "space": recipe.config.space,
            "data": _data(recipe.config),
            "what": recipe.summary,
        }
        for name, recipe in SEARCHES.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
        say(
            "",
            f"Also {enumerated(METHODS, 'and')}, with --space {enumerated(SPACES, 'or')} and --data:",
        )
        print_table([{"method": name, "what": each.summary} for name, each in METHODS.items()])


def print_search_plans(configs: Sequence[SearchConfig], as_json: bool) -> None:
    """What searches would do: a table for each; in JSON one object, or a list where there are several."""
    plans = [_plan(config) for config in configs]
    if as_json:
        told = [{row["what"]: row["how much"] for row in rows} for rows in plans]
        print_json(told if len(told) > 1 else told[0])
        return
    for rows in plans:
        print_table(rows)


def _plan(config: SearchConfig) -> list[dict[str, str]]:
    named = {
        "search": config.name,
        "method, space and data": f"{config.method}, {config.space}, {_data(config)}",
    }
    plan = {**named, **search_plan(config)}
    return [{"what": what, "how much": how_much} for what, how_much in plan.items()]


def _data(config: SearchConfig) -> str:
    spec = published_spec(entry(network_of(config)))
    return data_in_words(config.data.name, config.data.options, unit=spec.unit, limits=spec.limits)


def print_ranking(roots: Sequence[Path]) -> None:
    """What finished searches found, what that is worth, and what to do with it."""
    from analysis.search_tables import read_searches
    from analysis.search_text import architectures_table
    from analysis.search_verdicts import search_answers

    study = read_searches(roots)
    for name in study.descriptions:
        say("", name)
        print_text_table(architectures_table(study.architectures, name, SHOWN))
    for answer in search_answers(study):
        say_answer(answer)
    say(
        "",
        f"lottery retrain {roots[0]} --rank 1    train the best as published",
        f"lottery prune {roots[0]} --rank 1      find its winning tickets",
        f"lottery report {' '.join(map(str, roots))}    one page with figures and verdicts",
    )


def of_searches(runs: Sequence[Path]) -> bool:
    """Whether these are searches rather than runs.

    Raises:
        LotteryError: there are some of either.
    """
    are = [is_there(run, SEARCH_FOLDER) for run in runs]
    if any(are) and not all(are):
        raise LotteryError(
            f"{runs[are.index(True)]} is a search and {runs[are.index(False)]} is not; name runs or searches."
        )
    return any(are)


def show_search(run: Path, as_json: bool) -> None:
    """What a search found, as a table or as JSON rows."""
    from analysis.search_tables import read_searches

    if as_json:
        print_json(to_plain_rows(read_searches([run]).architectures))
    else:
        print_ranking([run])


def plot_searches(
    figure: str, runs: Sequence[Path], path_without_suffix: Path, formats: Sequence[str]
) -> list[Path]:
    """Draw a figure of searches; the files."""
    from analysis.rendering import save_figure
    from analysis.search_figures import search_drawing
    from analysis.search_tables import read_searches

    drawing = search_drawing(figure, read_searches(runs))
    return save_figure(drawing.draw(), drawing.data, path_without_suffix, formats)
