"""Names from files and command lines act on no terminal, page, figure or spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from analysis.figures import FIGURES
from analysis.genotype_drawings import draw_genotype
from analysis.rendering import save_figure
from analysis.report import render_report
from analysis.search_figures import SEARCH_FIGURES
from analysis.search_report import render_search_report
from analysis.search_tables import read_searches
from analysis.tables import LAYERS, read_study
from lottery.cli.showing import print_table
from lottery.exemplars import Exemplar, Exemplars, write_exemplars
from lottery.readings import Reading, write_readings
from nas.genotypes.encodings import ENCODINGS
from tests.commands import done, lottery, refused
from tests.fake_runs import perplexity_curve, write_run
from tests.fake_searches import write_search
from training.errors import visible
from training.folders import Folder
from training.metrics import PERPLEXITY

# A terminal's colour and title, the direction turned, a control of 8 bits, bytes that are no text, line ends, markup of
# rich and HTML, mathematics of matplotlib, a letter that its font lacks.
ACTS = "\x1b[31m\x1b]0;t\x07\u202e\x9b\udcff\r\n"
HOSTILE = f"=1+1 {ACTS}[red]<script>$x^2$</script>\u4e2d"
FOLDER = HOSTILE.replace("/", "")
SHOWN = r"=1+1 \x1b[31m\x1b]0;t\x07\u202e\x9b\udcff\r\n[red]<script>$x^2$</script>" + "\u4e2d"


def acts(text: str) -> set[str]:
    """The characters of a text that do something."""
    return set(text) & (set(ACTS) - set("\n[]0;tm31"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs with hostile names of everything."""
    root = tmp_path_factory.mktemp("runs")
    found = [
        write_run(
            root / f"{FOLDER}{number}",
            perplexity_curve,
            network=f"_{HOSTILE}",
            origin=HOSTILE,
            data=HOSTILE,
            metric=PERPLEXITY,
            arms=("ticket", FOLDER),
            seeds=(0, 1, 2),
            levels=1,
        )
        for number in range(2)
    ]
    for run in found:
        readings = [
            Reading(
                level=0,
                arm=arm,
                seed=0,
                copy=0,
                other=HOSTILE,
                at="end",
                metric=HOSTILE,
                x=x,
                value=1.0,
            )
            for arm in ("ticket", FOLDER)
            for x in (None, 0.0, 1.0)
        ]
        write_readings(Folder(run), "m", 0, {HOSTILE: HOSTILE}, readings)
        word = Exemplar(index=0, label=HOSTILE, dense=1.0, pruned=2.0)
        counts = {"networks": 1, "found": 1, "among": 1}
        write_exemplars(
            Folder(run), Exemplars(level=0, unit="words", shape=(), shown=(word,), **counts)
        )
    return found


def test_what_acts_is_shown_as_python_writes_it() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("naïve – 名前") == "naïve – 名前"


def test_the_terminal_shows_names_and_obeys_none(runs: list[Path]) -> None:
    commands: list[tuple[str | Path, ...]] = [
        ("show", runs[0]),
        ("compare", *runs),
        ("show", runs[0], "--json"),
    ]
    for words in commands:
        text = done(*words)
        assert acts(text) == set()
        assert "[red]" in text
    assert f"{visible(FOLDER)}0" in done("show", runs[0])


def test_a_table_has_no_markup_in_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"[red]a": "[bold]b", HOSTILE: HOSTILE}])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split(None, 1)[0] == "[red]a"
    assert row.split(None, 1)[0] == "[bold]b"
    assert head.endswith("\u4e2d")
    assert head.count(SHOWN) == row.count(SHOWN) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("show", HOSTILE),
        ("plot", HOSTILE, "."),
        ("networks", HOSTILE),
        ("prune", HOSTILE),
        ("recipes", f"{HOSTILE}.toml"),
        ("data", HOSTILE),
        ("measure", HOSTILE),
        ("prune", "demo-digits-resnet", "--set", f"{HOSTILE}=1"),
    ],
)
def test_messages_quote_and_obey_nothing(words: tuple[str, ...]) -> None:
    message = refused(*words)
    assert acts(message) == set()
    assert "$x^2$" in message


@pytest.mark.parametrize("words", [(HOSTILE,), ("show", f"--x{HOSTILE[1:]}")])
def test_misuse_quotes_and_obeys_nothing(words: tuple[str, ...]) -> None:
    result = lottery(*words)
    assert result.exit_code == 2
    assert acts(result.stderr) == set()
    assert "$x^2$" in result.stderr


def test_pages_show_names_and_obey_none(runs: list[Path]) -> None:
    page = render_report(runs, visible(HOSTILE))
    assert acts(page) == set()
    assert "<script" not in page
    assert SHOWN.replace("<", "&lt;").replace(">", "&gt;") in page


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_names_and_obey_none(runs: list[Path], tmp_path: Path, name: str) -> None:
    study = read_study(runs)
    kind = FIGURES[name]
    svg, png, table = save_figure(
        kind.drawing(study).draw(), kind.drawing(study).data, tmp_path / "figure", ["svg", "png"]
    )
    text = svg.read_text()
    assert acts(text) == set()
    shown = "".join(ElementTree.fromstring(text).itertext())
    assert "$x^2$" in shown
    assert "<script>" in shown
    assert png.stat().st_size > 0
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {f"'{visible(FOLDER)}{number}" for number in range(2)}


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(runs: list[Path]) -> None:
    figure = FIGURES["searched-vs-pruned"].drawing(read_study(runs)).draw()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 3
    assert texts[0].startswith(" _=1+1")


def test_numbers_of_a_table_stay_numbers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "-a", lambda arm, level, seed: -1.5, levels=0, seeds=(0,))
    study = read_study([run])
    table = study.layers.assign(name=["@x", "+x", "=x"], density=[-0.5, 1e-9, 2.0])
    *_, path = save_figure(
        FIGURES["metric-vs-density"].drawing(study).draw(), table, tmp_path / "f", []
    )
    lines = path.read_text().splitlines()
    assert lines[0].split(",") == list(LAYERS)
    assert [line.split(",")[0] for line in lines[1:]] == ["'-a"] * 3
    assert [line.split(",")[6] for line in lines[1:]] == ["'@x", "'+x", "'=x"]
    assert [line.split(",")[-1] for line in lines[1:]] == ["-0.5", "1e-09", "2.0"]


def test_searches_with_hostile_names(tmp_path: Path) -> None:
    name = FOLDER
    search = write_search(tmp_path / name, random=3)
    shown = visible(name)
    assert shown in done("show", search)
    assert acts(done("show", search)) == set()
    page = render_search_report([search], "Searches")
    assert acts(page) == set()
    assert "<script" not in page
    study = read_searches([search])
    for kind in list(SEARCH_FIGURES.values())[:3]:
        svg, _ = save_figure(
            kind.drawing(study).draw(), kind.drawing(study).data, tmp_path / "f", ["svg"]
        )
        assert shown[-9:] in "".join(ElementTree.fromstring(svg.read_text()).itertext())


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("ENAS micro", "0 2 0 0 0 4 0 1 1 0 1 0 0 3 0 2"),
        ("ENAS macro", "1 2 0 3 1 0"),
        ("ENAS recurrent", "0 0 0"),
    ],
)
def test_drawings_have_dollars_in_their_titles(encoding: str, text: str) -> None:
    figure = draw_genotype("a$b_{c", ENCODINGS[encoding].parse(text))
    assert figure.axes[0].texts[0].get_text().startswith("a$b_{c: ")
