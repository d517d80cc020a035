"""The report as a page."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.report import inline_svg, render_report
from analysis.tables import read_table
from analysis.text_tables import levels_table, results_table
from lottery.records import Value, records_from_json, records_to_json
from lottery.run_folder import RECORDS, read_description
from tests.commands import done
from tests.fake_runs import perplexity_curve, write_run
from training.folders import Folder
from training.metrics import PERPLEXITY
from training.storage import to_json
from training.work_folders import DATA

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects ids, references and text, and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, its id and what it refers to."""
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids[str(value)] += 1
            if name.endswith("href"):
                self.references.append(str(value))
            self.references += [f"#{found}" for found in re.findall(r"url\(#(.*?)\)", value or "")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that what ends is what began last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("runs")
    runs = [
        write_run(root / "<script>alert(2)", network=f"net{HOSTILE}", levels=2),
        write_run(root / "a$b$c_{d}", origin="searched", levels=2),
        write_run(root / "text", perplexity_curve, data="ptb", metric=PERPLEXITY, levels=2),
    ]
    return render_report(runs, f"Report {HOSTILE}")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


def test_the_page_is_well_formed_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    assert max(page.ids.values()) == 1
    inside = [r for r in page.references if not r.startswith("data:")]
    assert inside
    assert all(r[0] == "#" and r[1:] in page.ids for r in inside)


def test_nothing_is_loaded_from_elsewhere(html: str, page: Page) -> None:
    assert "http" not in html
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
    assert "@import" not in html


def test_hostile_names_are_text(html: str, page: Page) -> None:
    assert "<script" not in html
    assert f"Report {HOSTILE}" in page.text
    assert f"Does net{HOSTILE} on mnist hold winning tickets?" in page.text


def test_a_dollar_is_a_dollar(page: Page) -> None:
    assert "a$b$c_{d}" in page.text


def test_what_the_page_holds(html: str, page: Page) -> None:
    assert page.tags["svg"] == page.tags["figcaption"] == 6
    assert page.text.index("Verdicts") < page.text.index("Results") < page.text.index("Figures")
    assert "740.2" in page.text  # the unigram baseline
    assert "d41d8cd9" in page.text  # the data's fingerprint
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert html.lstrip().startswith("<!DOCTYPE html>")


def test_the_results_table_has_a_row_per_run(tmp_path: Path) -> None:
    table = results_table(read_table([write_run(tmp_path / "a", levels=3)]))
    row = dict(zip(table.head, table.rows[0], strict=True))
    assert (row["run"], row["parameters"], row["n"]) == ("a", "267k", "5")
    assert row["matching down to"] == "51.2 %"
    assert row["ticket against reinitialised, sparsest level"].endswith("n = 5: yes")


def test_the_levels_table_has_verdicts_of_tickets_only(tmp_path: Path) -> None:
    table = levels_table(read_table([write_run(tmp_path / "a", levels=1)]), "a")
    words = {(row[0], row[2]): row[-3] for row in table.rows}
    assert words == {
        ("0", "ticket"): "–",
        ("1", "ticket"): "yes",
        ("1", "reinitialised"): "–",
        ("1", "random-mask"): "–",
    }


@pytest.mark.parametrize(("cut", "shown"), [("characters", 2), ("words", 0)])
def test_pages_and_terminals_show_bits_where_tokens_are_characters(
    tmp_path: Path, cut: str, shown: int
) -> None:
    """A loss of 1.25 ln 2 is 1.25 bits, beside the dense network's perplexity and in its row."""
    run = write_run(tmp_path / "a", perplexity_curve, metric=PERPLEXITY, levels=0)
    folder, name = Folder(run), f"level-00/{RECORDS}"
    loss = Value(at="best", split="test", metric="loss", value=1.25 * math.log(2))
    records = records_from_json(folder.read(name), folder.path(name))
    with_loss = [dataclasses.replace(one, values=(*one.values, loss)) for one in records]
    folder.write(name, records_to_json(with_loss))
    folder.write(DATA, to_json({**read_description(run)["data"], "cut into": cut}))
    page = Page()
    page.feed(render_report([run], "Letters"))
    assert page.text.count("bits per character") == shown
    assert page.text.count("1.25") == shown
    assert done("show", run).count("1.25") == shown // 2


def test_an_svg_file_becomes_an_element() -> None:
    file = (
        '<?xml version="1.0"?>\n<svg width="9pt" height="9pt" viewBox="0 0 9 9" '
        'xmlns="http://www.w3.org/2000/svg"><metadata>x</metadata>'
        '<path id="a"/><use xlink:href="#a" clip-path="url(#a)"/></svg>'
    )
    assert inline_svg(file, "f", '"') == (
        '<svg viewBox="0 0 9 9" role="img" aria-label="&#34;">'
        '<path id="f-a"/><use xlink:href="#f-a" clip-path="url(#f-a)"/></svg>'
    )


def test_torch_is_not_imported() -> None:
    code = "import sys, analysis.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
