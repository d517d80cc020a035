"""What a search found, on the terminal and as drawings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.wording import data_in_words
from lottery.cli.running import print_json
from lottery.cli.showing import print_table, print_text_table, say_answer, to_plain_rows
from lottery.cli.terminal import say
from lottery.recipes.random_search import architectures_alone
from nas.catalog.catalog import entry
from nas.catalog.entry import published_spec
from nas.search.configs import SEARCH_FOLDER, SearchConfig, network_of
from nas.search.records import DRAWING, SearchRecord
from training.errors import LotteryError, chosen, visible
from training.work_folders import is_there

SHOWN = 10
DRAWN = 3
FORMATS = ("svg", "png")


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
        say("", "Also enas, nao and random, with --space cell, layers or recurrent and --data.")


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
    derive = config.derive
    rows = [
        {"what": "search", "how much": config.name},
        {
            "what": "method, space and data",
            "how much": f"{config.method}, {config.space}, {_data(config)}",
        },
    ]
    if config.shared is not None:
        rows.append(
            {"what": "training of the shared weights", "how much": str(config.shared.steps)}
        )
        rows.append({"what": "between two phases of the strategy", "how much": str(config.phase)})
    if config.method == "enas":
        learned = config.controller_in_use
        text = f"{learned.updates} of {learned.samples} architectures"
        rows.append({"what": "updates of the controller per phase", "how much": text})
    if config.method == "nao":
        nao = config.nao_in_use
        new = f"{nao.new} new and {nao.random} random" if nao.random else f"{nao.new} new"
        text = f"{nao.rounds}, a pool of {nao.pool}, {new} in each"
        rows.append({"what": "rounds", "how much": text})
    rows.append(
        {"what": "architectures ranked", "how much": f"{derive.ranked} of {derive.sampled}"}
    )
    if derive.alone is not None:
        if config.shared is None:
            text = f"{architectures_alone(config) * derive.alone_seeds}, {derive.alone.steps} each"
            rows.append({"what": "networks trained alone while searching", "how much": text})
        number = (derive.random + derive.alone_best) * derive.alone_seeds
        text = f"{number} ({derive.random * derive.alone_seeds} of them random), {derive.alone.steps} each"
        rows.append({"what": "networks trained alone at the end", "how much": text})
    return rows


def _data(config: SearchConfig) -> str:
    spec = published_spec(entry(network_of(config)))
    return data_in_words(config.data.name, config.data.options, unit=spec.unit, limits=spec.limits)


def print_ranking(roots: Sequence[Path]) -> None:
    """What finished searches found, what that is worth, and what to do with it."""
    from analysis.search_tables import read_searches
    from analysis.search_text import architectures_table
    from analysis.search_verdicts import search_answers

    study = read_searches(roots)
    for name in study.facts:
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


def draw_best(root: Path, records: Sequence[SearchRecord]) -> None:
    """Draw the best architectures into the search's folder, unless they are there."""
    from analysis.genotype_drawings import draw_genotype
    from analysis.rendering import render
    from nas.genotypes.encodings import ENCODINGS
    from training.folders import Folder

    folder = Folder(root)
    for record in records:
        if record.rank is None or record.rank > DRAWN:
            continue
        names = {kind: DRAWING.format(rank=record.rank, format=kind) for kind in FORMATS}
        if all(folder.holds(name) for name in names.values()):
            continue
        genotype = chosen("encoding", record.encoding, ENCODINGS).parse(record.genotype)
        figure = draw_genotype(visible(f"{record.run}, rank {record.rank}"), genotype)
        for kind, name in names.items():
            folder.write(name, render(figure, kind, salt=name))


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
