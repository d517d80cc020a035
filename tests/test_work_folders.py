"""Folders of work: begun, continued, and refused to anything else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.refusals import refusal
from training.errors import ExitCode, LotteryError
from training.folders import Folder
from training.storage import to_json
from training.work_folders import (
    DATA,
    FORMAT,
    FolderKind,
    config_to_json,
    is_there,
    open_folder,
    require_apart,
    require_there,
    stored_config,
    stored_data,
    stored_plain,
)


@dataclass(frozen=True)
class Inner:
    """Part of a configuration."""

    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Config:
    """A configuration."""

    seed: int = 0
    inner: Inner | None = field(default_factory=Inner)
    source: str = ""
    rounds: int = 2


@dataclass(frozen=True)
class Walk:
    """The configuration of another kind of work."""

    steps: int = 5


DIG = FolderKind(
    name="dig",
    subject="spade",
    config=Config,
    command="dig here",
    mendable=("source",),
    extendable=("rounds",),
)
WALK = FolderKind(name="walk", subject="path", config=Walk, command="walk away")
FOUND = {"name": "digits", "fingerprint": "0123456789abcdef"}


def files(root: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in root.iterdir()}


def test_what_is_begun_goes_on_with_the_same(tmp_path: Path) -> None:
    root = tmp_path / "a"
    assert not is_there(root, DIG)
    assert open_folder(root, DIG, Config(), FOUND) == Folder(root)
    assert is_there(root, DIG)
    assert not is_there(root, WALK)
    require_there(root, DIG)
    assert (stored_config(root, DIG), stored_data(root)) == (Config(), FOUND)
    before = files(root)
    assert set(before) == {"spade.json", DATA, "manifest.json"}
    assert json.loads(before["spade.json"]) == {"format": FORMAT, **stored_plain(root, DIG)}
    open_folder(root, DIG, Config(), FOUND)
    assert files(root) == before


def test_each_field_that_differs_is_shown(tmp_path: Path) -> None:
    open_folder(tmp_path, DIG, Config(), FOUND)
    before = files(tmp_path)
    error = refusal(open_folder, tmp_path, DIG, Config(1, Inner(0.25, (1, 3)), "b", 7), FOUND)
    assert str(error) == (
        f"{tmp_path} holds another spade: inner.rate is 0.5 there and 0.25 now; inner.sizes is [1, 2] there and "
        "[1, 3] now; seed is 0 there and 1 now. Choose another --out."
    )
    without = refusal(open_folder, tmp_path, DIG, Config(inner=None), FOUND)
    assert "inner is None there" not in str(without)
    assert "inner.rate is 0.5 there and None now" in str(without)
    assert files(tmp_path) == before


def test_other_data_are_shown_by_twelve_letters(tmp_path: Path) -> None:
    open_folder(tmp_path, DIG, Config(), FOUND)
    error = refusal(open_folder, tmp_path, DIG, Config(rounds=3), {"fingerprint": "f" * 16})
    assert str(error) == (
        f"{tmp_path} was begun with other data: fingerprint 0123456789ab, not ffffffffffff; choose another --out."
    )
    assert stored_config(tmp_path, DIG) == Config()


def test_a_mended_text_changes_nothing_and_a_raised_number_extends(tmp_path: Path) -> None:
    given = [Config(), Config(source="mended"), Config(rounds=5, source="longer"), Config(rounds=1)]
    stored = [Config(), Config(), given[2], given[2]]
    for now, then in zip(given, stored, strict=True):
        open_folder(tmp_path, DIG, now, FOUND)
        assert stored_config(tmp_path, DIG) == then


def test_a_kind_that_names_no_field_has_none_that_may_differ(tmp_path: Path) -> None:
    open_folder(tmp_path, WALK, Walk(), FOUND)
    with pytest.raises(LotteryError, match="holds another path: steps is 5 there and 6 now"):
        open_folder(tmp_path, WALK, Walk(6), FOUND)


def test_what_a_killed_beginning_leaves_is_no_hindrance(tmp_path: Path) -> None:
    left = f".spade.json.{'0f' * 16}.tmp"
    for name in ("lock", DATA, left):
        (tmp_path / name).touch()
    open_folder(tmp_path, DIG, Config(), FOUND)
    assert set(files(tmp_path)) == {"lock", "manifest.json", DATA, "spade.json"}
    (tmp_path / left).touch()
    open_folder(tmp_path, DIG, Config(), FOUND)
    assert not (tmp_path / left).exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LotteryError, match="is not empty and is not a dig; choose another --out"):
        open_folder(tmp_path, DIG, Config(), FOUND)
    assert set(files(tmp_path)) == {"thesis.tex"}
    open_folder(tmp_path / "walk", WALK, Walk(), FOUND)
    with pytest.raises(LotteryError, match="is not empty and is not a dig; choose another --out"):
        open_folder(tmp_path / "walk", DIG, Config(), FOUND)


READERS: list[Callable[[Path, FolderKind[Config]], object]] = [
    require_there,
    stored_config,
    stored_plain,
]


@pytest.mark.parametrize("read", READERS)
def test_what_is_not_there_is_told(
    read: Callable[[Path, FolderKind[Config]], object], tmp_path: Path
) -> None:
    assert str(refusal(read, tmp_path, DIG)) == (
        f"{tmp_path} is not a dig: it has no spade.json; name a folder that `dig here` made."
    )


@pytest.mark.parametrize("read", READERS[1:])
@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({}, "an older version: spade.json has no format number"),
        ({"format": 1}, "an older version: spade.json has format 1"),
        ({"format": 3}, "a newer version: spade.json has format 3"),
    ],
)
def test_a_folder_of_another_version_is_refused_and_left_alone(
    tmp_path: Path,
    read: Callable[[Path, FolderKind[Config]], object],
    numbers: dict[str, int],
    words: str,
) -> None:
    open_folder(tmp_path, DIG, Config(), FOUND)
    Folder(tmp_path).write(DIG.file, to_json({**numbers, "seed": 0, "no such field": 1}))
    (tmp_path / f".spade.json.{'0f' * 16}.tmp").touch()
    before = files(tmp_path)
    for error in (
        refusal(read, tmp_path, DIG),
        refusal(open_folder, tmp_path, DIG, Config(), FOUND),
    ):
        assert str(error) == (
            f"{tmp_path} is a dig of {words}, and this version reads format 2; use the version that made it, or begin "
            "anew with another --out."
        )
        assert error.exit_code is ExitCode.BAD_DATA
    assert files(tmp_path) == before


def test_damage_is_named(tmp_path: Path) -> None:
    folder = open_folder(tmp_path, DIG, Config(), FOUND)
    for text, words in (
        (b"[]", "spade.json is damaged: it holds no fields"),
        (b"{", "spade.json is damaged: it is not valid JSON"),
    ):
        folder.write(DIG.file, text)
        error = refusal(stored_config, tmp_path, DIG)
        assert words in str(error)
        assert error.exit_code is ExitCode.BAD_DATA
    folder.write(DIG.file, to_json({"format": FORMAT, "sed": 1}))
    assert str(refusal(stored_config, tmp_path, DIG)).startswith(
        f"{tmp_path / 'spade.json'}: There is no field 'sed'; did you mean seed?"
    )
    folder.write(DIG.file, config_to_json(Config()))
    (tmp_path / DIG.file).write_bytes(config_to_json(dataclasses.replace(Config(), seed=9)))
    assert "SHA-256 differs" in str(refusal(stored_plain, tmp_path, DIG))


def test_kinds_are_kept_apart(tmp_path: Path) -> None:
    kinds = (DIG, WALK)
    root = tmp_path / "a"
    require_apart(root, DIG, kinds)
    open_folder(root, DIG, Config(), FOUND)
    require_apart(root, DIG, kinds)
    require_apart(tmp_path / "b", WALK, kinds)
    assert str(refusal(require_apart, root, WALK, kinds)) == (
        f"{root} is a dig; choose another --out for the walk."
    )
    for kind in kinds:
        inside = root / "level-00" / "more"
        assert str(refusal(require_apart, inside, kind, kinds)) == (
            f"{inside} would be inside {root}, which is a dig; choose another --out for the {kind.name}."
        )
