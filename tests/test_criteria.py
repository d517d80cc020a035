"""Scores, worked out."""

from __future__ import annotations

import pytest
import torch

from lottery.pruning.criteria import CRITERIA, Evidence, criterion
from training.errors import LotteryError


def evidence(seed: int = 0) -> Evidence:
    return Evidence(
        start={"w": torch.tensor([1.0, -3.0, 0.5]), "bias": torch.tensor([9.0])},
        final={"w": torch.tensor([-2.0, 1.0, 0.5]), "bias": torch.tensor([9.0])},
        mask={"w": torch.tensor([True, True, False])},
        generator=torch.Generator().manual_seed(seed),
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
    found = criterion(name)(evidence())
    assert list(found) == ["w"]
    assert found["w"].tolist() == scores


def test_random_scores_repeat_and_differ_between_generators() -> None:
    first, again, other = (criterion("random")(evidence(seed))["w"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert bool(((first >= 0) & (first < 1)).all())


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_scores_cover_what_the_mask_covers(name: str) -> None:
    given = evidence()
    scores = CRITERIA[name](given)
    assert {key: s.shape for key, s in scores.items()} == {
        key: m.shape for key, m in given.mask.items()
    }


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(LotteryError, match=r"'magnitud'; did you mean magnitude"):
        criterion("magnitud")
