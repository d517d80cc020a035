"""Imports point one way, and what claims to do without torch does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("training", "nas", "lottery", "analysis", "tests", "benchmarks")
# Which of our packages and modules each folder may import; a folder stands for all that is in it.
MAY_IMPORT = {
    "training": ("training",),
    "nas": ("nas", "training"),
    # Genotypes are values, networks are built from them, and the catalog names what builds a network.
    "nas/genotypes": ("nas.genotypes", "training"),
    "nas/convolutional": (
        "nas.convolutional",
        "nas.genotypes",
        "nas.normalised_weights",
        "training",
    ),
    "nas/recurrent": ("nas.recurrent", "nas.genotypes", "nas.normalised_weights", "training"),
    "nas/catalog": ("nas.catalog", "nas.genotypes", "nas.normalised_weights", "training"),
    "lottery": ("lottery", "nas", "training"),
    # Pruning knows masks and networks, and nothing of runs; recipes are values; what is measured was trained before.
    "lottery/pruning": ("lottery.pruning", "nas", "training"),
    "lottery/recipes": (
        *("lottery.recipes", "lottery.experiments", "lottery.pruning.config"),
        *("nas.catalog.catalog", "nas.catalog.sizes", "nas.search.configs", "nas.search.records"),
        *("nas.search.controller_config", "nas.search.derive_config", "nas.search.nao_config"),
        *("nas.search.methods", "nas.search.enas_method", "nas.search.nao_method"),
        "nas.search.spaces",
        *("training.configs", "training.steps", "training.tasks.settings", "training.errors"),
        *("training.plain", "training.toml_text", "training.work_folders"),
    ),
    "lottery/measurements": (
        *("lottery.measurements", "lottery.session", "lottery.batching", "lottery.pruning"),
        *("lottery.runs", "lottery.levels", "lottery.records", "lottery.readings"),
        *("lottery.memory", "lottery.arms", "lottery.tickets", "lottery.ticket_files"),
        *("lottery.exemplars", "lottery.experiments", "lottery.scoring", "lottery.level_training"),
        *("lottery.pruning.criteria", "lottery.pruning.schedules", "lottery.forward_pass"),
        "lottery.cuts",
        *("lottery.identity", "nas", "training"),
    ),
    "lottery/cli": ("lottery", "nas", "training", "analysis"),
    "analysis": (
        *("analysis", "nas.genotypes.encodings", "nas.search.methods", "training.folders"),
        *("lottery.identity", "lottery.records", "lottery.history"),
        *("lottery.readings", "lottery.exemplars", "lottery.run_folder", "lottery.mask_files"),
        "nas.search.records",
        *("nas.catalog.catalog", "nas.genotypes.values", "training.errors", "training.storage"),
    ),
}
# What a folder may not import although it stands in what it may.
NEVER = {"lottery": ("lottery.cli",)}
TORCH_FREE = (
    *("lottery.identity", "lottery.records", "lottery.history", "lottery.readings"),
    *("lottery.run_folder", "lottery.exemplars"),
    *("lottery.mask_files", "lottery.experiments", "lottery.recipes.catalog"),
    *("lottery.runs", "lottery.progress", "lottery.cli.main", "lottery.cli.start"),
    *("lottery.controls", "lottery.cuts", "lottery.machine", "lottery.pruning.config"),
    "lottery.own_pieces",
    *("lottery.changing", "lottery.recipes.recipe_text", "lottery.recipes.retraining"),
    *("lottery.pruning.evidence", "lottery.pruning.criteria"),
    *("lottery.pruning.groups", "lottery.pruning.schedules", "lottery.pruning.scopes"),
    *(
        "lottery.recipes.search_catalog",
        "nas.catalog.catalog",
        "nas.genotypes.encodings",
        "nas.genotypes.random_genotypes",
        "nas.search.spaces",
    ),
    *("nas.search.configs", "nas.search.methods", "nas.search.records", "nas.search.watching"),
    *("lottery.search_planning", "training.choices", "training.configs"),
    *("training.storage", "training.folders", "training.errors"),
    *("training.metrics", "training.plain", "training.toml_text", "training.lines"),
    *("training.work_folders", "training.stopping"),
    *("training.specs", "training.environments", "training.tasks.settings"),
)

# Specs, data and tasks, which answer for themselves: only their own modules may ask which of them one is.
ANSWERING = frozenset(
    (
        *("ImageSpec", "TextSpec", "ImageData", "TextData"),
        *("ImageClassification", "LanguageModelling"),
    )
)
THEIR_OWN = ("training/specs.py", "training/datasets/", "training/tasks/")


def imported(path: Path) -> Iterator[str]:
    """What a file imports, as `package.module` or `package.module.name`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder: str) -> list[Path]:
    """The modules of a folder that have no rule of their own."""
    inner = [name for name in MAY_IMPORT if name.startswith(f"{folder}/")]
    found = (ROOT / folder).rglob("*.py")
    return [p for p in found if not any((ROOT / name) in p.parents for name in inner)]


def may_import(folder: str, module: str) -> bool:
    """Whether a module, or a name in it, is none of ours or one that a folder may import."""

    def is_inside(packages: Collection[str]) -> bool:
        return any(f"{module}.".startswith(f"{package}.") for package in packages)

    ours = module.partition(".")[0] in OURS
    return not ours or (is_inside(MAY_IMPORT[folder]) and not is_inside(NEVER.get(folder, ())))


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_point_one_way(folder: str) -> None:
    assert sources(folder)
    for path in sources(folder):
        for module in imported(path):
            assert may_import(folder, module), f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("analysis", "from lottery import sessions"),
        ("lottery", "from lottery import cli"),
        ("lottery", "import lottery.cli.running"),
        ("lottery/measurements", "from lottery.cycle import find_tickets"),
        ("lottery/pruning", "from lottery.session import Session"),
        ("lottery/pruning", "from lottery.cli.options import as_json"),
        ("lottery/recipes", "from lottery.sessions import carry_out"),
        ("lottery/recipes", "from nas.search.enas import Enas"),
        ("nas", "from lottery.experiments import Experiment"),
    ],
)
def test_imports_against_the_way_are_found(tmp_path: Path, folder: str, text: str) -> None:
    path = tmp_path / "imports.py"
    path.write_text(text)
    assert not all(may_import(folder, module) for module in imported(path))


def test_analysis_never_names_torch() -> None:
    for path in (ROOT / "analysis").rglob("*.py"):
        assert not any(module.split(".")[0] == "torch" for module in imported(path)), path


def asked_classes(path: Path) -> Iterator[str]:
    """The classes that a file tells values apart by: `isinstance`, class patterns, and comparisons of `type`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        asked: list[ast.AST] = []
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
                asked = [classes]
            case ast.MatchClass(cls=pattern):
                asked = [pattern]
            case ast.Compare():
                asked = [node.left, *node.comparators]
            case ast.Dict(keys=keys):
                asked = [key for key in keys if key is not None]
        for part in asked:
            # Of `ImageSpec.kind` the class is no value that is compared.
            inner = [n.value for n in ast.walk(part) if isinstance(n, ast.Attribute)]
            names = [n for n in ast.walk(part) if isinstance(n, ast.Name) and n not in inner]
            yield from (name.id for name in names)


def test_nobody_else_asks_which_spec_data_or_task_it_is() -> None:
    folders = ("training", "nas", "lottery", "analysis", "benchmarks")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(THEIR_OWN):
            found = ANSWERING.intersection(asked_classes(path))
            assert not found, f"{name} asks whether something is a {' or '.join(sorted(found))}"


@pytest.mark.parametrize(
    "text",
    [
        "isinstance(spec, ImageSpec)",
        "isinstance(task, (Toy, LanguageModelling))",
        "isinstance(spec, ImageSpec | None)",
        "type(spec) is TextSpec",
        "{ImageSpec: 1, TextSpec: 2}[type(spec)]",
        "match data:\n    case TextData():\n        pass",
    ],
)
def test_such_questions_are_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "asks.py"
    path.write_text(text)
    assert ANSWERING.intersection(asked_classes(path))


def test_a_kind_may_be_compared(tmp_path: Path) -> None:
    path = tmp_path / "asks.py"
    path.write_text("spec.kind == TextSpec.kind, {ImageSpec.kind: 1}")
    assert not ANSWERING.intersection(asked_classes(path))


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
