"""Imports point one way, and what claims to do without torch does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("training", "nas", "lottery", "analysis", "tests", "benchmarks")
# Which of our packages and modules each folder may import; a folder stands for all that is in it.
MAY_IMPORT = {
    "training": ("training",),
    "nas": ("nas", "training"),
    "lottery": ("lottery", "nas", "training"),
    "lottery/cli": ("lottery", "nas", "training", "analysis"),
    "analysis": (
        *("analysis", "lottery.records", "lottery.mask_files", "nas.search.records"),
        *("training.errors", "training.storage"),
    ),
}
TORCH_FREE = (
    *("lottery.records", "lottery.mask_files", "lottery.experiments", "lottery.recipes.catalog"),
    *("lottery.runs", "lottery.progress", "lottery.cli.main", "lottery.cli.start"),
    *(
        "lottery.recipes.search_catalog",
        "nas.catalog.catalog",
        "nas.genotypes.values",
        "nas.search.spaces",
    ),
    *("nas.search.configs", "nas.search.records", "nas.search.watching"),
    *("training.configs", "training.storage", "training.folders", "training.errors"),
    *("training.metrics", "training.plain", "training.toml_text", "training.lines"),
    *("training.work_folders", "training.stopping"),
    *("training.specs", "training.environments"),
)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, as `package.module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield str(node.module)


def sources(folder: str) -> list[Path]:
    """The modules of a folder that have no rule of their own."""
    inner = [name for name in MAY_IMPORT if name.startswith(f"{folder}/")]
    found = (ROOT / folder).rglob("*.py")
    return [p for p in found if not any((ROOT / name) in p.parents for name in inner)]


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_point_one_way(folder: str) -> None:
    assert sources(folder)
    for path in sources(folder):
        for module in imported(path):
            if module.split(".")[0] in OURS:
                allowed = any(f"{module}.".startswith(f"{a}.") for a in MAY_IMPORT[folder])
                assert allowed, f"{path.relative_to(ROOT)} imports {module}"


def test_analysis_never_names_torch() -> None:
    for path in (ROOT / "analysis").rglob("*.py"):
        assert not any(module.split(".")[0] == "torch" for module in imported(path)), path


def test_the_rules_cover_every_package() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == {name for name in MAY_IMPORT if "/" not in name}


def test_torch_is_not_imported_by_what_does_without() -> None:
    analysis = [f"analysis.{path.stem}" for path in (ROOT / "analysis").glob("[a-z]*.py")]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *TORCH_FREE, *analysis],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
