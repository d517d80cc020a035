"""What may be in a folder in which something begins, or goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from training.errors import LotteryError
from training.reopening import require_free, require_same, require_same_data


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


def test_the_same_goes_on() -> None:
    require_same(Path("a"), "search", Config(), Config())
    require_same_data(Path("a"), "0123", "0123")


def test_each_field_that_differs_is_shown() -> None:
    with pytest.raises(LotteryError) as error:
        require_same(Path("a"), "search", Config(), Config(1, Inner(0.25, (1, 3))))
    assert str(error.value) == (
        "a holds another search: inner.rate is 0.5 there and 0.25 now; inner.sizes is [1, 2] there and [1, 3] now; "
        "seed is 0 there and 1 now. Choose another --out."
    )


def test_other_data_are_shown_by_twelve_letters() -> None:
    with pytest.raises(LotteryError) as error:
        require_same_data(Path("a"), "0123456789abcdef", "f" * 16)
    assert str(error.value) == (
        "a was begun with other data: fingerprint 0123456789ab, not ffffffffffff; choose another --out."
    )


def test_what_a_killed_beginning_leaves_is_no_hindrance(tmp_path: Path) -> None:
    require_free(tmp_path / "new", "run", ["data.json"])
    for name in ("lock", "manifest.json", "data.json", ".experiment.json.abc.tmp"):
        (tmp_path / name).touch()
    require_free(tmp_path, "run", ["data.json"])
    with pytest.raises(LotteryError, match="is not empty and is not a run; choose another --out"):
        require_free(tmp_path, "run", [])
