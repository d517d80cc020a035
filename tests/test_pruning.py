"""Exact counts, ties by position, nothing revived."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import Group, LayerKinds
from lottery.pruning.masks import Mask, Tensors, dense_mask, kept
from lottery.pruning.scopes import groups_at, kept_at
from lottery.pruning.selection import prune, select
from training.errors import LotteryError


def flat(mask: Mask) -> list[int]:
    return [int(x) for m in mask.values() for x in m.flatten()]


def shapes(mask: Mask) -> dict[str, tuple[int, ...]]:
    return {name: tuple(m.shape) for name, m in mask.items()}


def pruned(
    scores: Tensors, mask: Mask, level: int, config: PruningConfig, kinds: LayerKinds
) -> Mask:
    """A mask of a level from that of the level before."""
    return select(scores, mask, groups_at(shapes(mask), level, config, kinds))


def count_at(mask: Mask, level: int, config: PruningConfig, kinds: LayerKinds) -> int:
    return kept_at(shapes(mask), level, config, kinds)


def test_the_highest_scores_stay() -> None:
    scores = {"a": torch.tensor([[0.3, 0.1], [0.4, 0.2]]), "b": torch.tensor([0.05, 0.5])}
    mask = prune(scores, dense_mask(scores), 3)
    assert mask["a"].tolist() == [[True, False], [True, False]]
    assert mask["b"].tolist() == [False, True]


def test_of_equal_scores_the_first_stay() -> None:
    scores = {"a": torch.ones(6), "b": torch.ones(4)}
    eight = prune(scores, dense_mask(scores), 8)
    six = prune(scores, eight, 6)
    assert flat(eight) == [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    assert flat(six) == [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]


def test_it_is_so_for_many_weights_of_few_values() -> None:
    scores = {"w": torch.arange(30_000) % 3}
    mask = prune(scores, dense_mask(scores), 15_000)["w"]
    # All 10,000 of score 2, and of the score 1 the first 5,000: up to position 3 x 5,000.
    assert torch.equal(
        mask, (scores["w"] == 2) | ((scores["w"] == 1) & (torch.arange(30_000) < 15_000))
    )


def test_nothing_is_revived() -> None:
    scores = {"w": torch.tensor([9.0, 1.0, 8.0, 2.0])}
    assert flat(prune(scores, {"w": torch.tensor([False, True, False, True])}, 1)) == [0, 0, 0, 1]


def test_all_and_none_can_be_kept() -> None:
    scores = {"w": torch.tensor([1.0, 2.0])}
    assert flat(prune(scores, dense_mask(scores), 2)) == [1, 1]
    assert flat(prune(scores, dense_mask(scores), 0)) == [0, 0]


def test_more_than_there_are_is_misuse() -> None:
    scores = {"w": torch.tensor([1.0, 2.0])}
    with pytest.raises(ValueError, match="2 of 1 kept"):
        prune(scores, {"w": torch.tensor([True, False])}, 2)


def test_a_score_that_is_not_a_number_is_refused_unless_it_was_pruned() -> None:
    scores = {"w": torch.tensor([1.0, float("nan"), 2.0])}
    with pytest.raises(LotteryError, match=r"^A score of a kept weight is not a number[^.]*\."):
        prune(scores, dense_mask(scores), 2)
    assert flat(prune(scores, {"w": torch.tensor([True, False, True])}, 1)) == [0, 0, 1]


def test_infinite_scores_stay_longest() -> None:
    scores = {"w": torch.tensor([float("-inf"), 1.0, float("inf")])}
    assert flat(prune(scores, dense_mask(scores), 1)) == [0, 0, 1]


def test_each_group_keeps_its_own_count_and_the_mask_its_order() -> None:
    scores = {
        "a": torch.tensor([4.0, 3.0, 2.0]),
        "b": torch.tensor([9.0, 8.0]),
        "c": torch.tensor([3.5, 1.0]),
    }
    groups = [
        Group(names=("a", "c"), keep=3, is_pruned=True),
        Group(names=("b",), keep=1, is_pruned=True),
    ]
    found = select(scores, dense_mask(scores), groups)
    assert list(found) == ["a", "b", "c"]
    assert flat(found) == [1, 1, 0, 1, 0, 1, 0]
    again = select(scores, found, [Group(names=("a", "b", "c"), keep=2, is_pruned=True)])
    assert flat(again) == [1, 0, 0, 1, 0, 0, 0]


def test_layerwise_has_rates_of_its_own_for_output_and_convolutions() -> None:
    # Whatever their order and their dimensions.
    mask = {
        "output": torch.ones(10, 2, dtype=torch.bool),
        "conv": torch.ones(4, 5, dtype=torch.bool),
        "hidden": torch.ones(1, 1, 10, 10, dtype=torch.bool),
    }
    kinds = LayerKinds(output=frozenset({"output"}), convolutions=frozenset({"conv"}))
    config = PruningConfig(scope="layerwise", rate=0.2, output_rate=0.1, convolution_rate=0.5)
    scores = {name: torch.ones(m.shape) for name, m in mask.items()}

    def kept_of_each(config: PruningConfig, kinds: LayerKinds) -> dict[str, int]:
        return {n: int(m.sum()) for n, m in pruned(scores, mask, 1, config, kinds).items()}

    assert kept_of_each(config, kinds) == {"output": 18, "conv": 10, "hidden": 80}
    plain = PruningConfig(scope="layerwise", rate=0.2)
    assert kept_of_each(plain, kinds) == {"output": 16, "conv": 16, "hidden": 80}
    # A convolution that gives the logits is the output layer.
    both = LayerKinds(output=frozenset({"conv"}), convolutions=frozenset({"conv"}))
    assert kept_of_each(config, both) == {"output": 16, "conv": 18, "hidden": 80}


def test_global_ranks_over_all_layers() -> None:
    scores = {"small": torch.full((4,), 0.1), "large": torch.full((4,), 5.0)}
    found = pruned(scores, dense_mask(scores), 1, PruningConfig(rate=0.5), LayerKinds())
    assert flat(found) == [0, 0, 0, 0, 1, 1, 1, 1]


WHOLE_OUTPUT = PruningConfig(scope="global", rate=0.25, output_rate=0.0)
OUTPUT = LayerKinds(output=frozenset({"output"}))


def test_an_output_layer_that_stays_whole_is_not_ranked() -> None:
    scores = {
        "first": torch.tensor([[8.0, 1.0], [7.0, 2.0]]),
        "second": torch.tensor([6.0, 3.0, 5.0, 4.0]),
        "output": torch.tensor([[0.1, 0.2, 0.3]]),
    }
    # Of 8 weights that are ranked 8 x 0.75 = 6 and 8 x 0.75 x 0.75 = 4.5, so 4, are kept; the 3 lowest of all stay.
    first = pruned(scores, dense_mask(scores), 1, WHOLE_OUTPUT, OUTPUT)
    second = pruned(scores, first, 2, WHOLE_OUTPUT, OUTPUT)
    assert list(first) == ["first", "second", "output"]
    assert flat(first) == [1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    assert flat(second) == [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    assert [count_at(first, level, WHOLE_OUTPUT, OUTPUT) for level in range(3)] == [11, 9, 7]
    ranked = pruned(scores, dense_mask(scores), 1, PruningConfig(rate=0.25), OUTPUT)
    assert flat(ranked) == [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]


def test_an_output_layer_alone_stays_whole() -> None:
    scores = {"output": torch.tensor([[3.0, 1.0]])}
    assert flat(pruned(scores, dense_mask(scores), 1, WHOLE_OUTPUT, OUTPUT)) == [1, 1]
    assert count_at(dense_mask(scores), 1, WHOLE_OUTPUT, OUTPUT) == 2


def draw(sizes: list[int], seed: int, distinct: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"layer.{i}": torch.randint(distinct, (n,), generator=generator).float()
        for i, n in enumerate(sizes)
    }


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
    distinct=st.sampled_from([1, 2, 5, 10**6]),
    rate=st.floats(0.0, 0.9),
    scope=st.sampled_from(["global", "layerwise"]),
    whole=st.booleans(),
)
def test_exact_nested_and_never_revived(
    sizes: list[int], seed: int, distinct: int, rate: float, scope: str, whole: bool
) -> None:
    config = PruningConfig(
        scope="global" if scope == "global" else "layerwise",
        rate=rate,
        output_rate=0.0 if whole else None,
    )
    *others, output = sizes
    kinds = LayerKinds(output=frozenset({f"layer.{len(others)}"}))
    mask = dense_mask(draw(sizes, seed, distinct))

    def expected(total: int, rate: float, level: int) -> int:
        return round(total * (1.0 - rate) ** level)

    for level in range(1, 5):
        scores = draw(sizes, seed + level, distinct)
        new = pruned(scores, mask, level, config, kinds)
        assert kept(new) == count_at(mask, level, config, kinds)
        last = output if whole else expected(output, rate, level)
        counts = [int(m.sum()) for m in new.values()]
        if scope == "layerwise":
            assert counts == [*(expected(n, rate, level) for n in others), last]
        elif whole:
            assert (sum(counts[:-1]), counts[-1]) == (expected(sum(others), rate, level), output)
        else:
            assert sum(counts) == expected(sum(sizes), rate, level)
        for name, m in new.items():
            assert not bool((m & ~mask[name]).any())
        mask = new


@given(seed=st.integers(0, 2**32), keep=st.integers(0, 30))
def test_no_pruned_score_is_above_a_kept_one(seed: int, keep: int) -> None:
    scores = draw([17, 13], seed, 6)
    values = torch.cat(list(scores.values()))
    chosen = torch.tensor(flat(prune(scores, dense_mask(scores), keep)), dtype=torch.bool)
    assert int(chosen.sum()) == keep
    if 0 < keep < 30:
        assert values[chosen].min() >= values[~chosen].max()
