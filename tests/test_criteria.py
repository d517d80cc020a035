"""Scores, worked out."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lottery.checks import check_pruning
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Evidence
from lottery.pruning.masks import Tensors
from tests.tiny_runs import TINY
from training.errors import LotteryError
from training.toml_text import override


def no_gradients(weights: object, batches: int) -> Tensors:
    raise AssertionError("no criterion but those that need gradients asks for any")


def evidence(*seeds: int) -> Evidence:
    """Of two replicates, the second with three times the first's weights."""
    start, final = torch.tensor([1.0, -3.0, 0.5]), torch.tensor([-2.0, 1.0, 0.5])
    bias = torch.tensor([[9.0], [9.0]])
    sources = [torch.Generator().manual_seed(seed) for seed in seeds or (0, 1)]
    return Evidence(
        start={"w": torch.stack([start, 3 * start]), "bias": bias},
        final={"w": torch.stack([final, 3 * final]), "bias": bias},
        mask={"w": torch.tensor([[True, True, False], [True, True, True]])},
        uniform=lambda shape: torch.stack([torch.rand(shape, generator=g) for g in sources]),
        gradients=no_gradients,
    )


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("magnitude", [2.0, 1.0, 0.5]),
        ("magnitude-increase", [1.0, -2.0, 0.0]),
        ("movement", [3.0, 4.0, 0.0]),
        ("large-initial", [1.0, 3.0, 0.5]),
    ],
)
def test_worked_examples(name: str, scores: list[float]) -> None:
    found = CRITERIA[name].scores(evidence())
    assert list(found) == ["w"]
    assert found["w"].tolist() == [scores, [3 * score for score in scores]]


def test_random_scores_repeat_and_differ_between_generators() -> None:
    scores = CRITERIA["random"].scores
    first, again, other = (scores(evidence(*seeds))["w"] for seeds in ((0, 5), (0, 5), (1, 5)))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], other[0])
    # Each replicate draws from its own generator: the same whoever is beside it.
    assert torch.equal(first[1], other[1])
    assert not torch.equal(first[0], first[1])
    assert bool(((first >= 0) & (first < 1)).all())


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_scores_cover_what_the_mask_covers(name: str) -> None:
    given = evidence()
    scores = CRITERIA[name].scores(given)
    assert {key: s.shape for key, s in scores.items()} == {
        key: m.shape for key, m in given.mask.items()
    }


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match=r"'magnitud'; did you mean magnitude"):
        check_pruning(override(TINY, "pruning.criterion=magnitud"))


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_a_criterion_looks_at_what_it_says_that_it_needs(name: str) -> None:
    """What else there is may be missing, and what it needs may not."""
    found, whole = CRITERIA[name], evidence()
    without = {
        "start": dataclasses.replace(whole, start={}),
        "final": dataclasses.replace(whole, final={}),
    }
    for need, rest in without.items():
        if need in found.needs:
            with pytest.raises(KeyError):
                found.scores(rest)
        else:
            found.scores(rest)
    assert "gradients" not in found.needs


def test_each_is_said_in_one_line() -> None:
    for found in CRITERIA.values():
        assert found.summary.strip() and "\n" not in found.summary
        assert found.rounds >= 1
