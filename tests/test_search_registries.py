"""Methods and spaces by name: all that a search does with one that is new comes from its entry."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from torch import Tensor

from analysis.retraining_verdicts import CONTROLS
from lottery.recipes.random_search import random_rivals
from lottery.recipes.search_catalog import USUAL
from lottery.recipes.small_searches import LAYERS as LAYERS_SCALE
from lottery.recipes.small_searches import small_search
from lottery.search_planning import search_plan
from nas.catalog.catalog import entry
from nas.genotypes.encodings import ENCODINGS
from nas.search.configs import SearchConfig
from nas.search.layer_space import LAYERS, LayerSpace
from nas.search.method import Method
from nas.search.methods import BASELINE, METHODS, all_settings, no_settings, own_settings
from nas.search.space import Dialect, Space
from nas.search.spaces import SPACES, USUAL_SPACE, space_of
from nas.search.strategy import Candidate, Evaluate, Strategy
from tests.tiny_searches import LAYERS as TINY
from tests.tiny_searches import NAO_ALONE, RANDOM_ALONE, carry_out
from training.errors import LotteryError


def test_every_method_and_space_says_what_it_is() -> None:
    assert all(method.summary for method in METHODS.values())
    assert all(space.summary for space in SPACES.values())
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
    assert BASELINE in METHODS
    assert USUAL_SPACE in SPACES
    fields = {field.name for field in dataclasses.fields(SearchConfig)}
    assert fields >= no_settings().keys() == {"controller", "nao"}


@pytest.mark.parametrize("name", SPACES)
def test_a_space_has_its_name_networks_and_encodings(name: str) -> None:
    known = SPACES[name]
    for words, dialect in known.dialects.items():
        space = space_of(dataclasses.replace(TINY, space=name, words=words))
        assert space.name == name
        assert dialect.encoding in ENCODINGS
        assert dialect.encoding in entry(known.network).accepts
    assert entry(known.network).task == entry(known.sized_as).task == known.kind


def test_settings_are_those_of_the_method() -> None:
    assert own_settings(TINY) == {"controller": TINY.controller, "nao": None}
    assert own_settings(NAO_ALONE) == {"controller": None, "nao": NAO_ALONE.nao}
    assert own_settings(RANDOM_ALONE) == no_settings()
    assert all_settings(RANDOM_ALONE) == {"controller": TINY.controller, "nao": TINY.nao}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "enass"}, "no search method 'enass'; did you mean enas.*: enas, nao, random"),
        ({"space": "layer"}, "no search space 'layer'; did you mean layers"),
        ({"words": "nao"}, "words = nao is out of range; it must be enas for layers"),
        ({"shared": None}, "shared = None is out of range; it must be given for enas"),
    ],
)
def test_what_is_not_known_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LotteryError, match=message):
        dataclasses.replace(TINY, **changes)


class First(Strategy):
    """Suggests the first architectures of a space, and has learned how often it was asked."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.asked = 0

    def propose(self, step: int) -> tuple[int, ...]:
        """The row of zeros."""
        return (0,) * len(self.space.decisions())

    def after_epoch(self, epoch: int, evaluate: Evaluate) -> dict[str, float]:
        """Score it."""
        self.asked += 1
        (reward,) = evaluate([self.propose(0)])
        return {"reward": reward, "asked": float(self.asked)}

    def candidates(self, count: int) -> list[Candidate]:
        """Rows that differ in the first decision."""
        rest = self.propose(0)[1:]
        return [Candidate(choices=(number, *rest), round=0) for number in range(min(count, 3))]

    def tensors(self) -> dict[str, Tensor]:
        """See `Strategy.tensors`."""
        return {}

    def values(self) -> dict[str, Any]:
        """See `Strategy.values`."""
        return {"asked": self.asked}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See `Strategy.restore`."""
        self.asked = values["asked"]


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> SearchConfig:
    """A search by a method that is a module and a line."""
    module = ModuleType("first_method")
    vars(module)["strategy_of"] = lambda config: First(space_of(config))
    monkeypatch.setitem(sys.modules, "first_method", module)
    method = Method(
        title="First",
        summary="takes what comes first",
        module="first_method",
        phases=lambda config: 2,
        trained_alone=lambda config: 3,
        plan=lambda config: {"what is taken": "the first"},
    )
    monkeypatch.setitem(METHODS, "first", method)
    return dataclasses.replace(TINY, name="tiny-first", method="first")


def test_a_new_method_searches(first: SearchConfig, tmp_path: Path) -> None:
    records = carry_out(first, tmp_path / "shared")
    assert {record.method for record in records} == {"first"}
    assert [record.rank for record in records][:3] == [1, 2, 3]
    alone = dataclasses.replace(first, shared=None)
    assert [r.choices[1:] for r in carry_out(alone, tmp_path / "alone")[:3]] == [(0,) * 5] * 3


def test_a_new_method_is_planned_made_small_and_rivalled(first: SearchConfig) -> None:
    assert search_plan(first)["what is taken"] == "the first"
    alone = dataclasses.replace(first, shared=None)
    assert search_plan(alone)["networks trained alone while searching"].startswith("3, ")
    (by_itself,) = random_rivals(alone, 4, 4)
    assert (by_itself.method, by_itself.derive.sampled) == (BASELINE, 3)
    assert small_search(first, LAYERS_SCALE).method == "first"
    with pytest.raises(LotteryError, match="a search by ENAS, NAO or First that trains"):
        random_rivals(by_itself, 4, 4)


class ShortSpace(LayerSpace):
    """Half of the layers."""

    name: ClassVar[str] = "short"


def test_a_new_space_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = Dialect(
        encoding="ENAS macro", make=lambda config: ShortSpace(layers=max(1, config.layers // 2))
    )
    short = dataclasses.replace(LAYERS, dialects={"enas": made})
    monkeypatch.setitem(SPACES, "short", short)
    for method in METHODS:
        config = dataclasses.replace(TINY, name=f"tiny-{method}", method=method, space="short")
        records = carry_out(dataclasses.replace(config, layers=4), tmp_path / method)
        assert {record.space for record in records} == {"short"}
        assert all(len(record.choices) == 3 for record in records)


def test_every_method_has_a_usual_search_of_every_space_and_is_judged() -> None:
    assert set(USUAL) == {(method, space) for method in METHODS for space in SPACES}
    learning = {name for name in METHODS if name != BASELINE}
    assert all(learning <= set(methods) for methods in CONTROLS.values())
