"""Searches on disk -> tables, verdicts, figures and a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from analysis.answers import Answer
from analysis.retraining_verdicts import retraining_answers
from analysis.search_figures import SEARCH_FIGURES, search_drawing
from analysis.search_plots import ranked
from analysis.search_report import render_search_report
from analysis.search_tables import SearchStudy, read_drawings, read_searches
from analysis.search_text import architectures_table, history_table
from analysis.search_verdicts import ranking_table, rankings, search_answers
from analysis.tables import read_study
from nas.search.configs import SEARCH_FOLDER
from nas.search.records import ARCHITECTURES, DRAWING, read_result
from tests.fake_runs import write_run
from tests.fake_searches import write_search
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.metrics import ACCURACY, PERPLEXITY, Metric
from training.storage import to_json
from training.work_folders import FORMAT, config_to_json, stored_config

NAO = "nao-ws-cell-search-small"


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An ENAS search whose scores rank well, NAO with and without sharing, and one of language."""
    root = tmp_path_factory.mktemp("searches")
    return [
        write_search(root / "enas", noise=0.1),
        write_search(root / "nao", NAO, noise=30.0, advantage=0.05),
        write_search(root / "alone", "nao-cell-search-small"),
        write_search(root / "text", "enas-rnn-search-small", random=4),
    ]


@pytest.fixture(scope="module")
def study(searches: list[Path]) -> SearchStudy:
    return read_searches(searches)


def test_tables_hold_every_architecture_in_the_terms_of_the_metric(study: SearchStudy) -> None:
    rows = study.architectures
    assert rows.groupby("search", sort=False).size().to_dict() == {
        "enas": 26,
        "nao": 26,
        "alone": 26,
        "text": 10,
    }
    first = rows[rows["search"] == "enas"].iloc[0]
    assert first["score_metric"] == pytest.approx(100 * first["score"])
    of_text = rows[rows["search"] == "text"].iloc[0]
    assert of_text["standalone_metric"] == pytest.approx(80 / of_text["standalone"])
    assert rows[rows["search"] == "alone"]["score"].isna().all()
    assert list(rows["rank"][:3]) == [1, 2, 3]


def test_what_nao_promised_is_read_per_step_size(study: SearchStudy) -> None:
    steps = study.steps[study.steps["search"] == "nao"]
    assert sorted(set(steps["step_size"])) == [1, 2]
    assert list(steps[steps["step_size"] == 2]["promised"]) == pytest.approx([0.02] * 3)
    assert "step_1_real" not in set(study.history["name"])
    assert "kendall" in set(study.history["name"])


def test_scores_are_judged_on_random_architectures_alone(study: SearchStudy) -> None:
    found = rankings(study.architectures)
    assert found["enas", "score"].n == 20
    assert found["enas", "score"].verdict == "yes"
    assert found["nao", "score"].verdict == "undecided"
    assert found["text", "score"].verdict == "undecided"
    assert ("alone", "score") not in found
    table = ranking_table(study.architectures)
    assert all(len(row) == len(table.head) for row in table.rows)


def test_answers_say_whether_a_search_beats_chance(study: SearchStudy) -> None:
    answers = {answer.question: answer for answer in search_answers(study)}
    better = "Does {} find better architectures than chance?"
    assert answers[better.format("enas")].verdict == "yes"
    assert answers[better.format("nao")].verdict == "undecided"
    assert (
        "at least 20 are needed"
        in answers["Do the scores by shared weights of text rank architectures?"].answer
    )


def test_architectures_that_diverged_rank_worst(study: SearchStudy) -> None:
    rows = study.architectures[study.architectures["search"] == "enas"]
    alone = rows["standalone"].notna()
    question = "Does enas find better architectures than chance?"

    def answer(origin: str, number: int) -> Answer:
        lost = rows[alone & (rows["origin"] == origin)].index[:number]
        table = rows.assign(lost=rows["lost"].where(~rows.index.isin(lost), 1))
        found = search_answers(dataclasses.replace(study, architectures=table))
        return {a.question: a for a in found}[question]

    less, more = answer("found", 2), answer("random", 4)
    assert less.verdict == "undecided"
    assert "(diverged: its own 2 of 5, the others 0 of 20; rank test p =" in less.answer
    assert more.verdict == "yes"
    assert "its own 0 of 5, the others 4 of 20" in more.answer


def test_an_advantage_that_size_explains_is_none_at_equal_parameters(study: SearchStudy) -> None:
    table = study.architectures[study.architectures["search"] == "enas"].dropna(
        subset=["standalone"]
    )
    # Reward grows with the logarithm of the size alone, but for a little.
    sizes = 1000 * np.exp(20 * (table["standalone"] + 0.01 * np.cos(np.arange(len(table)))))
    answers = {
        a.question: a
        for a in search_answers(
            dataclasses.replace(study, architectures=table.assign(parameters=sizes))
        )
    }
    plain = "Does enas find better architectures than chance"
    assert answers[f"{plain}?"].verdict == "yes"
    assert answers[f"{plain} at equal parameters?"].verdict != "yes"
    # Without sizes that both have, a line through them decides nothing.
    sizes = np.where(table["origin"] == "found", 9000.0, 1000.0) + np.arange(len(table))
    apart = dataclasses.replace(study, architectures=table.assign(parameters=sizes))
    answers = {a.question: a for a in search_answers(apart)}
    assert "only extrapolates" in answers[f"{plain} at equal parameters?"].answer
    assert answers[f"{plain} at equal parameters?"].verdict == "undecided"


def test_a_search_is_compared_with_random_search_at_its_budget(tmp_path: Path) -> None:
    ours = write_search(tmp_path / "enas", advantage=0.3)
    rival = write_search(tmp_path / "enas-random", advantage=0.0)
    other = write_search(tmp_path / "other", advantage=0.0)
    for path, seed in ((rival, 0), (other, 1)):
        config = dataclasses.replace(stored_config(path, SEARCH_FOLDER), method="random", seed=seed)
        Folder(path).write(SEARCH_FOLDER.file, config_to_json(config.resolved(16)))
    answers = {a.question: a for a in search_answers(read_searches([ours, rival, other]))}
    assert (
        answers["Does enas find better architectures than the random search enas-random?"].verdict
        == "yes"
    )
    assert not [question for question in answers if "random search other" in question]


def test_tables_of_text(study: SearchStudy) -> None:
    table = architectures_table(study.architectures, "enas", 3)
    assert [row[0] for row in table.rows] == ["1", "2", "3", "–"]
    assert table.rows[-1][-1] == "mean of 20 random"
    assert any(row[:2] == ("enas", "entropy") for row in history_table(study.history).rows)


@pytest.mark.parametrize("name", SEARCH_FIGURES)
def test_every_figure_is_drawn_with_what_there_is(name: str, study: SearchStudy) -> None:
    figure = search_drawing(name, study).draw()
    assert figure.axes
    assert not SEARCH_FIGURES[name].drawing(study).data.empty


def test_ranks_are_within_a_search(study: SearchStudy) -> None:
    rows = ranked(study.architectures)
    of_enas = rows[rows["search"] == "enas"]
    assert len(of_enas) == 25
    best = of_enas[of_enas["standalone"] == of_enas["standalone"].max()]
    assert list(best["rank alone"]) == [1]


def test_what_can_not_be_drawn_is_refused(searches: list[Path]) -> None:
    study = read_searches(searches[:1])
    with pytest.raises(LotteryError, match="nothing to draw in promised-vs-real"):
        search_drawing("promised-vs-real", study)
    with pytest.raises(LotteryError, match="no figure of searches 'search-curve'; did you mean"):
        search_drawing("search-curve", study)


def test_the_report_is_one_page_that_loads_nothing(searches: list[Path]) -> None:
    page = render_search_report(searches, "Searches <b>")
    assert "Searches &lt;b&gt;" in page
    for search in ("enas", "nao", "alone", "text"):
        assert f"<h3>{search}</h3>" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<figure>") == len(SEARCH_FIGURES)


def test_the_report_shows_the_best_architecture_that_was_drawn(tmp_path: Path) -> None:
    path = write_search(tmp_path / "enas")
    name = DRAWING.format(rank=1, format="svg")
    Folder(path).write(name, b'<svg viewBox="0 0 1 1"><circle id="dot"/></svg>')
    page = render_search_report([path], "One")
    assert "The best of enas." in page
    assert '<circle id="best-0-dot" />' in page


@pytest.mark.parametrize(
    "svg",
    [
        b"<svg><script>alert(1)</script></svg>",
        b"<svg><g onload='alert(1)'/></svg>",
        b"<svg><foreignObject/></svg>",
        b"<svg xmlns:x='http://www.w3.org/1999/xlink'><use x:href='http://a.b/c.svg#d'/></svg>",
        b"<svg><use href='javascript:alert(1)'/></svg>",
        b"<svg><style>@import 'http://a.b/c.css';</style></svg>",
        b"<svg><rect style='fill: url(http://a.b/c)'/></svg>",
        b"<svg><rect fill='url(http://a.b/c)'/></svg>",
        b"<svg><image/></svg>",
        b"<svg><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script></svg>",
        b"<svg><g></svg>",
        b"\xff\x00",
    ],
)
def test_a_drawing_that_does_more_than_show_is_refused(tmp_path: Path, svg: bytes) -> None:
    path = write_search(tmp_path / "enas", random=0)
    name = DRAWING.format(rank=1, format="svg")
    Folder(path).write(name, svg)
    with pytest.raises(LotteryError, match="rank-1.svg is no drawing of a search: it") as raised:
        read_drawings([path])
    assert raised.value.exit_code == ExitCode.BAD_DATA
    if svg.startswith((b"<svg><script>", b"<svg><image")):
        element = "script" if b"script" in svg else "image"
        assert f"it has an element {element} that drawings don't have; remove it" in str(
            raised.value
        )


def test_comments_of_a_drawing_open_no_way_for_code(tmp_path: Path) -> None:
    # To XML all of it is a comment; to HTML the comment ends at once.
    path = write_search(tmp_path / "enas", random=0)
    name = DRAWING.format(rank=1, format="svg")
    Folder(path).write(
        name, b"<svg><!--><script>alert(1)</script>--><g><![CDATA[<script>]]></g></svg>"
    )
    assert read_drawings([path]) == {"enas": "<svg><g>&lt;script&gt;</g></svg>"}


def test_an_unfinished_search_says_so(tmp_path: Path) -> None:
    path = write_search(tmp_path / "enas")
    Folder(path).remove(ARCHITECTURES)
    with pytest.raises(LotteryError, match="is not finished; run the command that began it again"):
        read_searches([path])
    with pytest.raises(LotteryError, match="is not a search"):
        read_searches([tmp_path])
    with pytest.raises(LotteryError, match="No search was given"):
        read_searches([])


def retrained(
    path: Path,
    method: str,
    gain: float,
    data: str = "mnist",
    metric: Metric = ACCURACY,
    network: str = "searched-cells",
) -> Path:
    """A run of an architecture that a method found, or where that is "" of a network that no search found."""
    write_run(
        path,
        lambda arm, level, seed: 90.0 + gain + 0.01 * seed,
        seeds=(0, 1),
        levels=0,
        history=False,
        data=data,
        metric=metric,
    )
    found = {"run": "s", "method": method, "seed": 0, "rank": 1} if method else None
    trained = {"name": network, "found": found}
    experiment = {"name": "demo", "levels": 0, "training": {"steps": 9}, "network": trained}
    Folder(path).write("experiment.json", to_json({"format": FORMAT, **experiment}))
    return path


def test_searched_and_random_are_compared_at_equal_retraining(tmp_path: Path) -> None:
    runs = [
        retrained(tmp_path / f"{method}-{i}", method, gain + 0.1 * i)
        for method, gain in (("enas", 2.0), ("random", 0.0))
        for i in range(3)
    ]
    (answer,) = retraining_answers(read_study(runs))
    assert answer.question == "Does enas beat random search on mnist at equal retraining?"
    assert answer.verdict == "yes"
    assert "3 architectures against 3" in answer.answer
    # Less perplexity is better, whatever comes first.
    texts = [
        retrained(tmp_path / f"{method}-text-{i}", method, gain + 0.1 * i, "ptb", PERPLEXITY)
        for method, gain in (("enas", 2.0), ("random", 0.0))
        for i in range(3)
    ]
    for mixed in ([*runs, *texts], [*texts, *runs]):
        verdicts = {a.question: a.verdict for a in retraining_answers(read_study(mixed))}
        assert verdicts == {
            "Does enas beat random search on mnist at equal retraining?": "yes",
            "Does enas beat random search on ptb at equal retraining?": "no",
        }
    lost = read_study([*runs, retrained(tmp_path / "enas-3", "enas", 5.0)])
    of_one = (lost.table["run"] == "enas-3") & (lost.table["seed"] == 1)
    table = lost.table.assign(diverged=lost.table["diverged"] | of_one)
    (answer,) = retraining_answers(dataclasses.replace(lost, table=table))
    # One seed of the fourth diverged, so that 3 of 4 are above all 3 of random search and one below: (20 + 1) / 35
    # of the ways to rank them are as good.
    assert answer.verdict == "undecided"
    assert "4 architectures against 3" in answer.answer
    assert "(diverged: its own 1 of 4, the others 0 of 3; rank test p =" in answer.answer
    (few,) = retraining_answers(read_study([*runs[:2], runs[3]]))
    assert few.verdict == "undecided"
    assert "at least 3 of each are needed" in few.answer
    other = read_study(runs)
    described = other.descriptions["enas-0"]
    experiment = {**described["experiment"], "training": {"steps": 99}}
    changed = {**other.descriptions, "enas-0": {**described, "experiment": experiment}}
    (fewer,) = retraining_answers(dataclasses.replace(other, descriptions=changed))
    assert "2 architectures against 3" in fewer.answer


def test_architectures_are_compared_with_those_that_the_catalog_draws(tmp_path: Path) -> None:
    """A network of the user's own is not drawn because of its name."""
    found = [retrained(tmp_path / f"enas-{i}", "enas", 2.0 + 0.1 * i) for i in range(3)]

    def others(network: str) -> list[Path]:
        name = network.partition(":")[0]
        return [retrained(tmp_path / f"{name}-{i}", "", 0.1 * i, network=network) for i in range(3)]

    (answer,) = retraining_answers(read_study([*found, *others("random-micro")]))
    assert answer.question == (
        "Does enas beat architectures drawn at random on mnist at equal retraining?"
    )
    assert retraining_answers(read_study([*found, *others("random-forests:make")])) == []


def test_searches_bear_the_names_of_their_folders_and_twins_those_of_their_parents(
    tmp_path: Path,
) -> None:
    write_search(tmp_path / "one" / "before")
    one = (tmp_path / "one" / "before").rename(tmp_path / "one" / "twin")
    other = write_search(tmp_path / "other" / "twin")
    Folder(other).write(DRAWING.format(rank=1, format="svg"), b"<svg/>")
    assert {record.run for record in read_result(one).records} == {"twin"}
    assert list(read_searches([one, other]).descriptions) == ["one/twin", "other/twin"]
    assert read_drawings([one, other]) == {"other/twin": "<svg />"}
