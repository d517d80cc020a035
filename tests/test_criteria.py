"""Scores, worked out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from lottery.checks import check_pruning
from lottery.pruning.criteria import CRITERIA
from lottery.pruning.evidence import Derivative, Evidence
from lottery.pruning.masks import Tensors
from tests.tiny_runs import TINY
from training.errors import LotteryError
from training.toml_text import override

START, FINAL = [1.0, -3.0, 0.5, -0.25], [-2.0, -1.0, 0.5, 0.75]
# What the derivatives of a network are taken to be.
GRADIENT, CURVATURE, FLOW = [0.5, -1.0, 2.0, 4.0], [1.0, -2.0, 3.0, -4.0], [1.0, 1.0, 4.0, 2.0]


def stacked(values: Sequence[float]) -> Tensors:
    """Of two replicates, the second with three times the first's."""
    return {
        "w": torch.tensor(values) * torch.tensor([[1.0], [3.0]]),
        "bias": torch.full((2, 1), 9.0),
    }


def evidence(*seeds: int) -> Evidence:
    """Of two replicates, the first of which has lost its third weight."""
    mask = torch.tensor([[True, True, False, True], [True, True, True, True]])
    sources = [torch.Generator().manual_seed(seed) for seed in seeds or (0, 1)]

    def derivative(values: Sequence[float]) -> Derivative:
        def taken(weights: Mapping[str, Tensor]) -> Tensors:
            # Of the network as it is pruned, with all that is not pruned in it.
            assert weights["w"].ne(0).equal(mask) and bool(weights["bias"].all())
            return {**stacked(values), "bias": torch.zeros(2, 1)}

        return taken

    return Evidence(
        start=stacked(START),
        final=stacked(FINAL),
        mask={"w": mask},
        uniform=lambda shape: torch.stack([torch.rand(shape, generator=g) for g in sources]),
        gradients=derivative(GRADIENT),
        curvature=derivative(CURVATURE),
        flow=derivative(FLOW),
    )


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("magnitude", [2.0, 1.0, 0.5, 0.75]),
        ("magnitude-same-sign", [0.0, 1.0, 0.5, 0.0]),
        ("magnitude-other-sign", [2.0, 0.0, 0.0, 0.75]),
        ("magnitude-increase", [1.0, -2.0, 0.0, 0.5]),
        ("magnitude-increase-same-sign", [0.0, -2.0, 0.0, 0.0]),
        ("magnitude-increase-other-sign", [1.0, 0.0, 0.0, 0.5]),
        ("movement", [3.0, 2.0, 0.0, 1.0]),
        ("large-initial", [1.0, 3.0, 0.5, 0.25]),
        ("small-final", [-2.0, -1.0, -0.5, -0.75]),
        ("small-initial", [-1.0, -3.0, -0.5, -0.25]),
    ],
)
def test_worked_examples(name: str, scores: list[float]) -> None:
    found = CRITERIA[name].scores(evidence())
    assert list(found) == ["w"]
    assert found["w"].tolist() == [scores, [3 * score for score in scores]]


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        # Both derivative and weight of the second replicate are three times the first's.
        ("snip", [0.5, 3.0, 1.0, 1.0]),
        ("grasp", [1.0, 6.0, 1.5, 1.0]),
        ("synflow", [1.0, 3.0, 2.0, 0.5]),
        ("gradient-times-weight", [1.0, 1.0, 1.0, 3.0]),
    ],
)
def test_worked_examples_of_derivatives(name: str, scores: list[float]) -> None:
    found = CRITERIA[name].scores(evidence())
    assert list(found) == ["w"]
    assert found["w"].tolist() == [scores, [9 * score for score in scores]]


def test_a_gradient_by_itself() -> None:
    found = CRITERIA["gradient"].scores(evidence())["w"]
    assert found.tolist() == [[0.5, 1.0, 2.0, 4.0], [1.5, 3.0, 6.0, 12.0]]


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        # Of the first: |start| 1, 3, 0.25 and |final| 2, 1, 0.75, the pruned one before all.
        ("large-initial-large-final", [[1 / 3, 1 / 3, -1 / 3, 0], [2 / 4, 2 / 4, 0, 0]]),
        ("small-initial-small-final", [[0, 0, -1 / 3, 2 / 3], [0, 0, 2 / 4, 2 / 4]]),
    ],
)
def test_the_lesser_of_two_ranks(name: str, ranks: list[list[float]]) -> None:
    assert CRITERIA[name].scores(evidence())["w"].tolist() == ranks


def test_ranks_of_small_and_large_parameters_can_be_ranked_together() -> None:
    """Four weights and a hundred, all as large as they stand: a half of each stays, not the large one's."""
    sizes = {"small": torch.arange(1.0, 5.0)[None], "large": torch.arange(1.0, 101.0)[None]}
    whole = dataclasses.replace(
        evidence(),
        start=sizes,
        final=sizes,
        mask={name: torch.ones_like(one, dtype=torch.bool) for name, one in sizes.items()},
    )
    scores = CRITERIA["large-initial-large-final"].scores(whole)
    assert [int((scores[name] >= 0.5).sum()) for name in sizes] == [2, 50]


def test_weights_of_a_sign_come_first_and_are_drawn_among_themselves() -> None:
    """The second and third kept theirs."""
    for name, signs in (("same-sign", [0, 1, 1, 0]), ("other-sign", [1, 0, 0, 1])):
        scores = CRITERIA[name].scores(evidence(0, 5))["w"]
        assert scores.floor().tolist() == [signs, signs]
        other = CRITERIA[name].scores(evidence(1, 5))["w"]
        assert not torch.equal(scores[0], other[0]) and torch.equal(scores[1], other[1])


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

    def missing(weights: object) -> Tensors:
        raise KeyError("missing")

    without = {
        "start": dataclasses.replace(whole, start={}),
        "final": dataclasses.replace(whole, final={}),
        "gradients": dataclasses.replace(whole, gradients=missing),
        "curvature": dataclasses.replace(whole, curvature=missing),
        "flow": dataclasses.replace(whole, flow=missing),
    }
    assert {*found.needs} <= without.keys()
    for need, rest in without.items():
        if need in found.needs:
            with pytest.raises(KeyError):
                found.scores(rest)
        else:
            found.scores(rest)


def test_each_is_said_in_one_line() -> None:
    for found in CRITERIA.values():
        assert found.summary.strip() and "\n" not in found.summary
        assert found.rounds >= 1
