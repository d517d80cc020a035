"""The README names what there is, and nothing else."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from analysis.figures import FIGURES, FORMATS
from analysis.search_figures import SEARCH_FIGURES
from lottery.cli.main import cli
from lottery.portable_tickets import load_ticket
from lottery.recipes.catalog import RECIPES, recipe
from lottery.recipes.recipe import Recipe
from lottery.recipes.search_catalog import SEARCHES
from nas.search.methods import METHODS
from tests.tiny_runs import TINY
from training.errors import ExitCode
from training.steps import Steps

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    match
    for language, block in BLOCKS
    if language == "sh"
    for match in re.findall(r"^lottery (\S+) ?([^#\n]*)", block, re.MULTILINE)
]
MAP = next(block for _, block in BLOCKS if block.startswith("training/"))
PACKAGES = ("training", "nas", "lottery", "analysis")


def mapped() -> dict[str, set[str]]:
    """What the file map names in each package."""
    found: dict[str, set[str]] = {}
    package = ""
    for line in MAP.splitlines():
        if not line.startswith(" "):
            package = line.split("/")[0]
        names = re.findall(r"^  (\w+)/", line)
        found.setdefault(package, set()).update(names)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_the_file_map_is_what_is_there(package: str) -> None:
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert mapped()[package] == folders


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert name in {command for command, _ in COMMANDS}


def test_every_command_line_can_be_parsed() -> None:
    assert len(COMMANDS) > 10
    for name, rest in COMMANDS:
        command = cli.commands[name]
        words = shlex.split(rest.split(">")[0])
        context = command.make_context(name, [*words])
        assert isinstance(context, click.Context)
        for word in ("recipes", "prune", "retrain"):
            if name == word and words and not words[0].endswith(".toml"):
                assert words[0] in RECIPES or words[0].startswith("results/searches/")
        if name == "search" and words:
            assert words[0] in {*SEARCHES, *METHODS}
        if name == "plot":
            assert words[0] in {*FIGURES, *SEARCH_FIGURES}


def test_the_python_lines_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = dataclasses.replace(TINY, name="demo-digits-resnet", seeds=(0,), levels=5, arms=())
    known = {**RECIPES, tiny.name: Recipe(summary="Tiny", config=tiny)}
    monkeypatch.setattr("lottery.recipes.catalog.RECIPES", known)
    monkeypatch.chdir(tmp_path)
    # Those of files of one's own are tried with the networks that they are about.
    blocks = [
        text for language, text in BLOCKS if language == "python" and not text.startswith("#")
    ]
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert load_ticket(Path("ticket.safetensors")).mask.keys() == names["ticket"].mask.keys()
    short, other = names["short"], names["other"]
    assert (short.training.steps, short.levels) == (Steps(iterations=2000), 3)
    assert short.pruning == recipe("lth-lenet").pruning
    assert (other.network.name, other.levels) == ("lenet-5", 3)


@pytest.mark.parametrize("name", [*FIGURES, *SEARCH_FIGURES, *(f.upper() for f in FORMATS)])
def test_every_figure_and_format_is_named(name: str) -> None:
    assert name in README


def test_every_exit_code_is_explained() -> None:
    for code in set(ExitCode):
        assert re.search(rf"\b{int(code)} \w", README), code


def test_every_relative_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("results/**/*.md")]
    assert len(pages) > 5
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("https:") or (page.parent / link).exists(), (page, link)
